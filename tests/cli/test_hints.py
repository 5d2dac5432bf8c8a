"""The commands that are printed are executed as they are printed, whatever the program was started as."""

import re
import shlex
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeline.cli.main import app
from pipeline.emulator import Corpus, RunningEmulator, generate_corpus
from pipeline.program import REPEATED, command, install_command, missing_package
from tests.syncs import ROOT, environ_for, run_cli

Ended = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_corpus(threads=3)


def pasted(line: str, folder: Path) -> Ended:
    """A line as a shell in that folder runs it, without the environment of whoever printed it."""
    return subprocess.run(line, shell=True, cwd=folder, env=environ_for(), capture_output=True, text=True)


@pytest.mark.parametrize("data_dir", ["data", "other data", "it's"])
def test_every_line_that_a_sync_tells_to_type_next_works_as_it_is_printed(
    server: RunningEmulator, tmp_path: Path, data_dir: str
) -> None:
    arguments = ["sync", *server.corpus.thread_ids(), "--data-dir", data_dir]
    ended = run_cli(tmp_path, *arguments, environ=environ_for(server))

    lines = ended.stdout.partition("\nNext\n")[2].splitlines()

    assert len(lines) > 3, ended.stderr
    assert [(done.args, done.stderr) for line in lines if (done := pasted(line, tmp_path)).returncode] == []


@pytest.mark.parametrize("threads", [[], ["thread"]])
def test_the_commands_in_a_report_work_as_they_are_printed(
    server: RunningEmulator, tmp_path: Path, threads: list[str]
) -> None:
    asked = server.corpus.thread_ids() if threads else ["thread_of_nobody"]
    run_cli(tmp_path, "sync", *asked, "--data-dir", "other data", environ=environ_for(server))
    run_cli(tmp_path, "report", "--out", "report.html", "--data-dir", "other data")

    page = (tmp_path / "report.html").read_text("utf-8")
    [line] = [unescape(line) for line in re.findall(r"<code>([^<]*-m pipeline [^<]*)</code>", page)]

    assert line.endswith("--data-dir 'other data'")
    if threads:
        assert pasted(line, tmp_path).returncode == 0


@pytest.mark.parametrize("asked", [["query", "top_tools"], ["check"], ["explain-cost", "--on", "2026-01-01"]])
def test_the_line_that_makes_what_is_missing_works_as_it_is_printed(tmp_path: Path, asked: list[str]) -> None:
    refused = run_cli(tmp_path, *asked, "--data-dir", "x y")

    [line] = re.findall(r"`([^`]*sync --sample[^`]*)`", refused.stderr)
    assert (refused.returncode, shlex.split(line)[-2:]) == (2, ["--data-dir", "x y"])
    assert shlex.split(line)[:3] == [sys.executable, "-m", "pipeline"]


def started_as(monkeypatch: pytest.MonkeyPatch, started: str, typed: str, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [started, *arguments])
    monkeypatch.setattr(sys, "orig_argv", [typed, *arguments])


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("python", "python"),
        ("python3.12", "python3.12"),
        (".venv/bin/python", ".venv/bin/python"),
        ("{here}/.venv/bin/python", ".venv/bin/python"),
        ("/opt/a b/python", "'/opt/a b/python'"),
    ],
)
def test_the_python_is_the_one_that_was_typed(
    typed: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    started_as(monkeypatch, str(ROOT / "pipeline" / "__main__.py"), typed.format(here=tmp_path), "sync")

    assert command("status") == f"{printed} -m pipeline status"


@pytest.mark.parametrize("is_on_path", [True, False])
def test_an_installed_program_is_called_by_its_name_or_by_its_path(
    is_on_path: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "bin" / "run-steps"
    script.parent.mkdir()
    script.touch(0o700)
    monkeypatch.setenv("PATH", str(script.parent) if is_on_path else "/nowhere")
    started_as(monkeypatch, str(script), "python", "sync")

    assert command("status") == f"{'run-steps' if is_on_path else script} status"


@pytest.mark.parametrize(
    ("given", "verb", "repeated"),
    [
        (["sync", "--data-dir", "x", "--profile=prod"], "status", "--data-dir x --profile prod"),
        (["sync", "--profile", "prod"], "query overview", ""),
        (["sync", "--base-url", "http://h/v1", "--allow-http", "h"], "doctor", "--base-url http://h/v1 --allow-http h"),
        (["doctor", "--data-dir"], "status", ""),
        (["status", "--data-dir=--x"], "status", "--data-dir=--x"),
        (["status", "--data-dir=-x y"], "status", "--data-dir='-x y'"),
        (["query", "--", "--data-dir", "x"], "status", ""),
    ],
)
def test_what_a_command_is_about_is_repeated_where_the_verb_has_such_an_option(
    given: list[str], verb: str, repeated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_as(monkeypatch, str(ROOT / "pipeline" / "__main__.py"), "python", *given)

    assert command(verb) == f"python -m pipeline {verb} {repeated}".rstrip()


def options_of(verb: Any) -> set[str]:
    """The options of a verb, of a group those that all of its verbs have."""
    if hasattr(verb, "commands"):
        return set.intersection(*map(options_of, verb.commands.values()))
    return {name for parameter in verb.params for name in parameter.opts}


def test_the_options_that_are_repeated_are_those_that_each_verb_has() -> None:
    root: Any = typer.main.get_command(app)
    having = {name: {verb for verb, one in root.commands.items() if name in options_of(one)} for name in REPEATED}

    # Where a bill comes from is nobody else's server, and a lake has a place of its own.
    having["--base-url"] -= {"import-usage", "status"}
    assert {name: set(verbs) for name, verbs in REPEATED.items()} == having


def test_no_text_names_a_way_to_start_that_may_not_be_the_readers() -> None:
    texts = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "sql").rglob("*.sql")]
    naming = {path.name for path in texts if re.search(r"python -m pipeline \w", path.read_text("utf-8"))}

    assert naming == set()


def test_a_missing_library_is_one_sentence(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "typer.py").write_text("raise ModuleNotFoundError('No module named typer', name='typer')")
    environ = environ_for() | {"PYTHONPATH": f"{hidden}:{ROOT}"}

    ended = run_cli(tmp_path, "status", environ=environ)

    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith("error: the library typer is not installed for ")


def test_a_missing_module_of_our_own_is_a_bug() -> None:
    assert missing_package(ModuleNotFoundError("No module named 'pipeline.x'", name="pipeline.x")) is None


@pytest.mark.parametrize(
    ("environ", "prefix", "says"),
    [
        ({}, "/usr", "python -m pip install '.[lake]'"),
        ({"UV_RUN_RECURSION_DEPTH": "1"}, "/usr", "uv sync --inexact --extra lake"),
        ({"UV": "uv"}, "/cache/uv/archive-v0/x", "uvx --from '.[lake]' run-steps"),
        ({}, "/share/uv/tools/run-steps-pipeline", "uv tool install --force '.[lake]'"),
        ({}, "/share/pipx/venvs/run-steps-pipeline", "pipx install --force '.[lake]'"),
    ],
)
def test_an_extra_is_named_by_a_command_that_installs_it_where_this_runs(
    environ: dict[str, str], prefix: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "prefix", prefix)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert install_command("lake") == says
