"""`CONTRIBUTING.md` is true: files, names, targets and rooms that it names are there."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
_PATH = re.compile(r"`((?:pipeline|sql|tests|docs|data|scripts)/[\w./-]+)`")
# What a reader puts in: the name of what is new.
_PLACEHOLDER = re.compile(r"NAME|TYPE")


def read_names() -> list[tuple[list[str], str]]:
    """Names in an item or a paragraph, each with the sources that are named in the same one."""
    found = []
    for paragraph in re.split(r"\n(?=\d\. |\n)", TEXT):
        files = [name for name in _PATH.findall(paragraph) if name.endswith(".py")]
        words = re.findall(r"`([A-Za-z_]\w+)`", paragraph)
        found += [(files, word) for word in words if files]
    return found


def test_every_file_that_is_named_is_there() -> None:
    named = [name for name in _PATH.findall(TEXT) if not _PLACEHOLDER.search(name)]

    assert [name for name in named if not (ROOT / name).exists()] == []
    assert len(named) > 15


def test_names_beside_a_file_stand_in_it() -> None:
    named = [(" ".join((ROOT / name).read_text("utf-8") for name in files), name) for files, name in read_names()]

    assert [name for text, name in named if not re.search(rf"\b{name}\b", text)] == []
    assert len(named) > 8


def test_every_target_that_is_named_is_in_the_makefile() -> None:
    named = set(re.findall(r"make ([a-z][a-z0-9-]*)", TEXT))

    assert named <= set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, flags=re.MULTILINE))


@pytest.mark.parametrize("room", sorted(set(re.findall(r"ROOM=([a-z]+)|^\| `([a-z]+)` \|", TEXT, flags=re.MULTILINE))))
def test_every_room_that_is_named_has_tests(room: tuple[str, str]) -> None:
    assert (ROOT / "tests" / "".join(room)).is_dir()


@pytest.mark.parametrize(("asked", "run"), [([], "-n 3 --dist worksteal"), (["ROOM=flatten"], "-n 0 tests/flatten")])
def test_make_test_runs_one_room_if_one_is_named(asked: list[str], run: str) -> None:
    # As typed by hand: within `make test` make would take itself for a part of that and say so.
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    said = subprocess.run(
        ["make", "-n", "test", *asked], capture_output=True, text=True, check=True, cwd=ROOT, env=alone
    )

    assert said.stdout.splitlines()[-1] == f".venv/bin/python -m pytest {run}"
