"""What is installed by a file of pins is what was looked at: each pin has its hashes, and pip is told to insist."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for folder in (".", "tests", "tests/peers", "tests/readers", "tests/recorders", "tests/tools", "scripts")
    for path in (ROOT / folder).glob("*.txt")
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_pin_has_a_version_and_a_hash_and_names_no_registry(path: Path) -> None:
    text = "\n".join(line for line in path.read_text("utf-8").splitlines() if not line.lstrip().startswith("#"))
    pins = text.replace("\\\n", " ").split("\n")

    assert [pin for pin in pins if pin.strip() and not re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", pin)] == []
    assert "://" not in text
    assert "index-url" not in text


def test_make_installs_nothing_that_is_not_pinned() -> None:
    recipes = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    installs = [line for line in recipes.splitlines() if "pip install" in line]

    assert len(installs) >= 4
    assert [line for line in installs if "--require-hashes" not in line and "--no-deps" not in line] == []


def test_nothing_that_is_kept_is_a_link() -> None:
    """A link names a place of the machine that it was made on: `.recorders/` would not be made anew beside one."""
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True)
    modes = [line.split()[0] for line in listed.stdout.splitlines()]

    assert len(modes) > 500
    assert "120000" not in modes
