"""The decisions: one in each file, numbered without a gap, all in the index; what replaces what stands on both."""

import re
from pathlib import Path

import pytest

from scripts.list_decisions import FOLDER, INDEX, list_files, read_head, render

ROOT = Path(__file__).parents[2]
FILES = list_files()
# Names of files of ours, as decisions write them.
_FILE = re.compile(r"`((?:pipeline|sql|tests|docs|scripts)/[\w./*-]+)`")


def replaced_by(path: Path) -> set[str]:
    """The files that a decision says it replaces."""
    last = path.read_text("utf-8").split("**Replaces.**")[1:]
    return set(re.findall(r"\]\(([^)]+)\)", "".join(last)))


def test_the_index_is_what_the_files_say() -> None:
    assert INDEX.read_text("utf-8") == render(), "run: make decisions"


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [path.name[:4] for path in FILES] == [f"{number:04}" for number in range(1, len(FILES) + 1)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_decision_says_what_and_why_and_names_files_that_are_there(path: Path) -> None:
    text = path.read_text("utf-8")

    assert read_head(path)[0] == path.name[:4]
    assert text.count("\n**Why.** ") == 1
    assert len(text.splitlines()) <= 50
    assert [name for name in _FILE.findall(text) if not list(ROOT.glob(name))] == []
    assert [link for link in re.findall(r"\]\(([^)]+)\)", text) if not (FOLDER / link).is_file()] == []


def test_what_is_superseded_names_what_replaces_it_and_the_other_way_round() -> None:
    superseded = {(path.name, name) for path in FILES for name in re.findall(r"\]\(([^)]+)\)", read_head(path)[3])}
    replacing = {(name, path.name) for path in FILES for name in replaced_by(path)}

    assert superseded == replacing
    assert superseded
