"""A value that could not be read is said by whoever dropped it, and where a total depends on it the exit code is 4."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.verbs.archive_import import ImportRequest, import_archives
from tests.archived import function_step, run_object, write_json
from tests.syncs import run_cli

USAGE = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
# What a step or a run has in place of a value: the place that is named for it, and whether a total depends on it.
COUNTED: dict[str, dict[str, Any]] = {
    "usage.prompt_tokens": {"usage": {**USAGE, "prompt_tokens": "unknown"}},
    "usage": {"usage": "lots"},
    "created_at": {"created_at": "yesterday"},
    "completed_at": {"completed_at": [1]},
    "status": {"status": {"is": "completed"}},
    "assistant_id": {"assistant_id": [7]},
    "step_details": {"step_details": [1]},
    "step_details.tool_calls[*].type": {"step_details": {"type": "tool_calls", "tool_calls": [{"type": 3}]}},
}
UNCOUNTED: dict[str, dict[str, Any]] = {
    "last_error.message": {"last_error": {"code": "server_error", "message": 3}},
    "step_details.tool_calls[*].code_interpreter.input": {
        "step_details": {
            "type": "tool_calls",
            "tool_calls": [{"type": "code_interpreter", "code_interpreter": {"input": 3}}],
        }
    },
}


def import_step(folder: Path, fields: dict[str, Any], *options: str, odd_fields: list[str] | None = None) -> Any:
    """What `import` of a run with one such step comes to."""
    if odd_fields is not None:
        (folder / "pipeline.toml").write_text(f"[profiles.default]\nodd_fields = {json.dumps(odd_fields)}\n")
    step = function_step("step_1", "ok") | {"usage": USAGE} | fields
    write_json(folder / "steps.json", [run_object(total=10), step])
    return run_cli(folder, "import", "steps.json", *options)


@pytest.mark.parametrize(("fields", "code"), [(COUNTED, 4), (UNCOUNTED, 0)])
@pytest.mark.parametrize("as_json", [False, True], ids=["quiet", "json"])
def test_an_import_says_what_it_could_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: dict[str, Any], code: int, as_json: bool
) -> None:
    for number, place in enumerate(fields):
        step = function_step("step_1", "ok") | {"usage": USAGE} | fields[place]
        archive = write_json(tmp_path / f"{number}.json", [run_object(total=10), step])
        request = ImportRequest([str(archive)], "archive", tmp_path / str(number))

        ended = import_archives(request, quiet=not as_json, as_json=as_json, log_format="text")

        said = capsys.readouterr()
        assert (place, ended) == (place, code)
        assert f"could not be read: {place}, first in thread_1 run_1 step_1" in said.err
        if as_json:
            [lost] = json.loads(said.out)["lost_values"]
            assert (lost["place"], lost["rejects"], lost["is_counted"]) == (place, 1, code == 4)


@pytest.mark.parametrize("odd", ["step_details.tool_calls[*].type", "step_details.tool_calls[*]", "step_details"])
def test_what_the_profile_calls_odd_is_said_and_fails_nothing(tmp_path: Path, odd: str) -> None:
    ended = import_step(tmp_path, COUNTED["step_details.tool_calls[*].type"], "--quiet", odd_fields=[odd])
    check = run_cli(tmp_path, "check")

    assert ended.returncode == 0
    assert "could not be read: step_details.tool_calls[*].type" in ended.stderr
    assert "check odd_values" in check.stdout + check.stderr
    assert "check lost_values" not in check.stdout + check.stderr


def test_afterwards_check_status_doctor_and_a_rebuild_say_it(tmp_path: Path) -> None:
    import_step(tmp_path, COUNTED["usage.prompt_tokens"], "--quiet", odd_fields=["created_at"])
    check = run_cli(tmp_path, "check")
    status = run_cli(tmp_path, "status", "--json")
    doctor = run_cli(tmp_path, "doctor", "--offline")
    rebuilt = run_cli(tmp_path, "load", "--rebuild", "--json")

    assert check.returncode == 5
    assert "fail  check lost_values" in check.stdout + check.stderr
    assert [source["lost_values"] for source in json.loads(status.stdout)["sources"]] == [1]
    assert "could not be read: usage.prompt_tokens" in doctor.stdout
    assert (rebuilt.returncode, json.loads(rebuilt.stdout)["values_lost"]) == (4, 1)


def test_what_can_be_read_is_no_matter(tmp_path: Path) -> None:
    ended = import_step(tmp_path, {}, "--json")
    summary = json.loads(ended.stdout)

    assert (ended.returncode, summary["values_lost"], summary["lost_values"]) == (0, 0, [])
