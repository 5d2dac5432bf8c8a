"""Help at 80 columns: option names whole, options by purpose, examples that are commands; pages of documentation."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeline.cli.help import EXAMPLES, VERBS
from pipeline.cli.main import app
from pipeline.errors import ConfigurationError
from tests.syncs import ROOT, environ_for, run_cli

_WIDTH = 80


def verbs_of(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb with the words that name it."""
    if hasattr(command, "commands"):
        for name, one in command.commands.items():
            yield from verbs_of(one, (*path, name))
    else:
        yield path, command


ROOT_COMMAND: Any = typer.main.get_command(app)
ALL = dict(verbs_of(ROOT_COMMAND))


def help_of(*words: str) -> str:
    ended = run_cli(ROOT, *words, "-h", environ={**environ_for(), "COLUMNS": str(_WIDTH)})
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_verb_has_its_place_and_its_examples() -> None:
    assert {name for verbs in VERBS.values() for name in verbs} == set(ROOT_COMMAND.commands)
    assert {" ".join(path) for path in ALL} == set(EXAMPLES)
    assert [verb for verb, examples in EXAMPLES.items() if len(examples) != 3] == []


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_the_help_of_a_verb_has_every_option_whole_and_no_line_is_wider_than_the_terminal(
    path: tuple[str, ...],
) -> None:
    said = help_of(*path)
    told, _, examples = said.partition("\nExamples:\n")

    options = {name for parameter in ALL[path].params for name in (*parameter.opts, *parameter.secondary_opts)}
    long = {name for name in options if name.startswith("--")}
    assert long - set(re.findall(r"--[a-z-]+", told)) == set()
    assert [line for line in told.splitlines() if len(line) > _WIDTH] == []
    assert len(examples.splitlines()) == 3


def test_the_first_help_names_every_verb_and_every_exit_code() -> None:
    said = help_of()

    assert [name for name in ROOT_COMMAND.commands if f"\n  {name} " not in said] == []
    assert re.findall(r"^ +(\d+)  ", said, re.MULTILINE) == ["0", "1", "2", "3", "4", "5", "6", "130"]
    assert [line for line in said.splitlines() if len(line) > _WIDTH] == []


@pytest.mark.parametrize("example", [example for examples in EXAMPLES.values() for example in examples])
def test_an_example_is_a_command_that_is_understood(example: str) -> None:
    context = None
    command, arguments = ROOT_COMMAND, shlex.split(example.partition(" < ")[0])
    while hasattr(command, "commands"):
        context = command.make_context(command.name, arguments[:1], parent=context)
        command, arguments = command.commands[arguments[0]], arguments[1:]

    # Raises for an option that there is not, or a value that is none.
    command.make_context(command.name, arguments, parent=context)


@pytest.mark.parametrize("follower", ["--data-dir", "--no-such-option=1", "-h", "--"])
@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_what_looks_like_an_option_is_no_value_of_the_option_before_it(path: tuple[str, ...], follower: str) -> None:
    verb = ALL[path]
    taking = [one for one in verb.params if one.param_type_name == "option" and not one.is_flag]

    for name in (name for one in taking for name in one.opts):
        with pytest.raises(ConfigurationError, match=f"^{name} is given without its value: {follower} follows it"):
            verb.parse_args(typer.Context(verb), [name, follower])


def test_a_value_that_looks_like_an_option_stands_behind_an_equals_sign(tmp_path: Path) -> None:
    refused = run_cli(tmp_path, "status", "--data-dir", "--config", "--json")
    meant = run_cli(tmp_path, "status", "--data-dir=--config", "--json")

    assert (refused.returncode, "--data-dir=--config" in refused.stderr) == (2, True)
    assert json.loads(meant.stdout)["warehouse"] == "--config/warehouse.duckdb"


def test_a_mistyped_option_is_one_message_with_the_way_to_the_help(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "sync", "--al-threads")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "No such option: --al-threads" in ended.stderr
    assert "--all-threads" in ended.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_the_installed_program(shell: str, tmp_path: Path) -> None:
    script = tmp_path / "run-steps"
    script.write_text("from pipeline.cli.main import main\nmain()\n")
    environ = {
        **environ_for(),
        "HOME": str(tmp_path),
        "SHELL": f"/bin/{shell}",
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }

    ended = subprocess.run(
        [sys.executable, str(script), "--show-completion", shell], env=environ, capture_output=True, text=True
    )

    assert (ended.returncode, "_RUN_STEPS_COMPLETE" in ended.stdout) == (0, True), ended.stderr


def test_pages_of_the_documentation_are_printed_by_name(tmp_path: Path) -> None:
    listed = run_cli(tmp_path, "docs")
    page = run_cli(tmp_path, "docs", "Scale")
    unknown = run_cli(tmp_path, "docs", "scael")

    pages = {path.stem.lower() for path in (ROOT / "docs").glob("*.md")} | {"changelog"}
    assert {line.split()[0] for line in listed.stdout.splitlines()} == pages
    assert page.stdout == (ROOT / "docs" / "scale.md").read_text("utf-8")
    assert (unknown.returncode, unknown.stderr) == (2, "error: there is no page 'scael': did you mean scale?\n")
