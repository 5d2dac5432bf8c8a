"""What README.md and the pages of docs/ show is what the commands print, and nothing that they name is missing."""

import re
from pathlib import Path

import msgspec
import pytest

from pipeline.settings.profiles import ConfigFile, Profile, read_config_file
from tests.readme_examples import PAGES, README, ROOT, TABLES, count_examples, make_place, render

SERVERS = ROOT / "docs" / "servers.md"
MOST_LINES = 120
by_page = pytest.mark.parametrize("page", [README, *PAGES, TABLES], ids=lambda page: page.stem)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("place"))


@by_page
def test_every_output_on_a_page_is_what_its_command_prints_on_the_sample(page: Path, place: Path) -> None:
    """Red after a change of what is printed: run `python -m tests.readme_examples`."""
    text = page.read_text("utf-8")

    assert render(text, place).splitlines() == text.splitlines()


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_every_page_has_an_example(page: Path) -> None:
    assert count_examples(page.read_text("utf-8")) >= 1


@by_page
def test_links_lead_to_files(page: Path) -> None:
    places = re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))

    assert [place for place in places if not (page.parent / place).exists()] == []


def test_the_first_page_stays_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= MOST_LINES


def test_every_key_of_a_profile_is_explained() -> None:
    named = set(re.findall(r"`(\w+)`", SERVERS.read_text("utf-8")))
    keys = {field.name for kind in (Profile, ConfigFile) for field in msgspec.structs.fields(kind)} - {"profiles"}

    assert keys - named == set()


def test_the_profiles_shown_are_read(tmp_path: Path) -> None:
    [shown] = re.findall(r"<!-- profiles -->\n```toml\n(.*?)```", SERVERS.read_text("utf-8"), re.DOTALL)
    (tmp_path / "pipeline.toml").write_text(shown, "utf-8")

    profiles = read_config_file(tmp_path / "pipeline.toml").profiles

    assert {profile.beta for profile in profiles.values()} >= {"assistants=v1"}
    assert "x-portkey-virtual-key" in (profiles["gateway"].headers_env or {})


@pytest.mark.parametrize("name", ["report.png", "terminal.svg"])
def test_pictures_are_small_and_name_no_machine(name: str) -> None:
    picture = (ROOT / "docs" / "pictures" / name).read_bytes()

    assert 1_000 < len(picture) < 2**20
    assert not re.findall(rb"/work/|/home/|/root/|/tmp/", picture)
