"""Copies of the repository with one fault each, and whether the tests that are named for it fail there."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.mutants.mutant import Mutant, apply
from tests.mutants.witness import PLANTED

ROOT = Path(__file__).parents[2]
_PATIENCE_S = 240.0
_RED = re.compile(r"^(?:FAILED|ERROR) (tests/[^\s\[]+)", re.MULTILINE)
# What a program says that is broken, not wrong: such a fault would never get as far as a test.
_BROKEN = re.compile(
    r"^E .*\b(SyntaxError|ImportError|ModuleNotFoundError|NameError|UnboundLocalError|AttributeError|TypeError"
    r"|ParserException|BinderException|CatalogException)\b.*",
    re.MULTILINE,
)
Verdict = Literal["caught", "survived", "refused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mutant: `red` are the tests that failed, `reason` why it was refused."""

    mutant: Mutant
    verdict: Verdict
    red: tuple[str, ...] = ()
    reason: str = ""


def take_snapshot(folder: Path) -> Path:
    """A copy of every file that git tracks or would track, as it is now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
        # What is deleted and not committed yet is still listed.
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def find_red(snapshot: Path, mutants: Sequence[Mutant]) -> set[str]:
    """The tests that fail without any fault: those of all mutants, run once.

    Raises RuntimeError if they cannot be run.
    """
    node_ids = sorted({node_id for mutant in mutants for node_id in mutant.node_ids})
    code, said = _run_tests(snapshot, node_ids, ("-n", "2"))
    if code not in (0, 1):
        raise RuntimeError(f"pytest ended with {code} before any fault was planted:\n{said}")
    return set(_RED.findall(said))


def try_mutant(mutant: Mutant, snapshot: Path, folder: Path) -> Outcome:
    """Plant the fault into a copy of its own in `folder` and run its tests there."""
    copy = folder / "copy"
    try:
        text = apply(mutant, (snapshot / mutant.file).read_text("utf-8"))
    except ValueError as error:
        return Outcome(mutant, "refused", reason=str(error))
    shutil.copytree(snapshot, copy)
    planted = copy / mutant.file
    planted.write_text(text, "utf-8")
    for compiled in planted.parent.glob(f"__pycache__/{planted.stem}.*"):
        compiled.unlink()
    return judge(mutant, *_run_tests(copy, mutant.node_ids, ("-x",), planted=mutant.file))


def judge(mutant: Mutant, code: int | None, said: str) -> Outcome:
    """What a run of pytest says of a mutant: only a test that ran and failed has caught it."""
    if code == 0:
        return Outcome(mutant, "survived")
    if code is None:
        return Outcome(mutant, "refused", reason=f"its tests did not end within {_PATIENCE_S:g} s")
    red = tuple(dict.fromkeys(_RED.findall(said)))
    if code != 1 or not red:
        return Outcome(mutant, "refused", reason=f"pytest ended with {code}: {_error_line(said)}")
    if broken := _BROKEN.search(said):
        return Outcome(mutant, "refused", red, f"the product is broken: {broken[0]}")
    return Outcome(mutant, "caught", red)


def _run_tests(
    copy: Path, node_ids: Sequence[str], options: Sequence[str], *, planted: str | None = None
) -> tuple[int | None, str]:
    """Exit code (None: it had to be ended) and output of pytest, which can see no other `pipeline` than the copy's."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", f"--basetemp={copy.parent / 'tmp'}"]
    plugins = ("-p", "no:cacheprovider", "-p", "tests.mutants.witness")
    with subprocess.Popen(
        [*command, *plugins, *options, *node_ids],
        cwd=copy,
        # In CI the properties are tried with the same examples each time.
        env={**os.environ, "PYTHONPATH": str(copy), "CI": "true", PLANTED: planted or ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=_PATIENCE_S if planted else None)
        except subprocess.TimeoutExpired:
            # With all that it started.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None, ""
    return process.returncode, said


def _error_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "it said nothing")
