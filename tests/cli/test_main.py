"""What a person meets on the command line: results on stdout, messages on stderr, and an exit code for each case."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import __version__
from pipeline.emulator import Corpus, RunningEmulator, generate_corpus
from tests.syncs import environ_for, hold_back, raw_files, read_all, run_cli, started_cli, wait_until

Ended = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_corpus(threads=12)


def sync(server: RunningEmulator, folder: Path, *arguments: str, given: str = "", **variables: str) -> Ended:
    return run_cli(folder, "sync", *arguments, environ=environ_for(server, **variables), given=given)


def assert_clear(ended: Ended, code: int, *says: str) -> None:
    """The exit code, what stderr says, and no traceback."""
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
    for text in says:
        assert text in " ".join(ended.stderr.split())


def statuses(folder: Path) -> dict[str, int]:
    return dict(read_all(folder / "data", "select status, count(*) from threads group by all"))


def test_a_sync_of_named_threads_ends_with_what_came_out_and_what_to_type_next(
    server: RunningEmulator, tmp_path: Path
) -> None:
    ended = sync(server, tmp_path, *server.corpus.thread_ids())

    assert_clear(ended, 0, "sync complete: 12 threads")
    truth = server.truth()
    assert f"{truth.steps:,}" in ended.stdout
    for text in ("Tables", "Tools called most", "warehouse.duckdb", "python -m pipeline query"):
        assert text in ended.stdout


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.txt", "{0}\n\n{1}\r\n{2}\n{0}\n"),
        ("ids.csv", 'note,thread_id\n"a, b",{0}\n,{1}\nx,{2}\n'),
        ("ids.jsonl", '{{"thread_id": "{0}"}}\n{{"thread_id": "{1}", "n": 1}}\n{{"thread_id": "{2}"}}\n'),
    ],
)
def test_threads_may_come_from_a_file_of_any_form(
    server: RunningEmulator, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content.format(*server.corpus.thread_ids()))

    assert_clear(sync(server, tmp_path, "--threads", name, "--quiet"), 0)

    assert statuses(tmp_path) == {"synced": 3}


def test_threads_may_come_from_standard_input(server: RunningEmulator, tmp_path: Path) -> None:
    given = "\n".join(server.corpus.thread_ids()[:4])

    assert_clear(sync(server, tmp_path, "--threads", "-", given=given), 0)

    assert statuses(tmp_path) == {"synced": 4}


def test_quiet_says_nothing_when_all_is_well(server: RunningEmulator, tmp_path: Path) -> None:
    ended = sync(server, tmp_path, server.corpus.thread_ids()[0], "--quiet")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_quiet_still_says_what_is_missing(server: RunningEmulator, tmp_path: Path) -> None:
    ended = sync(server, tmp_path, server.corpus.thread_ids()[0], "thread_gone", "--quiet")

    assert_clear(ended, 0, "1 of 2 threads do not exist on the server (404)")


def test_json_is_one_object_on_stdout_and_nothing_else(server: RunningEmulator, tmp_path: Path) -> None:
    ended = sync(server, tmp_path, *server.corpus.thread_ids(), "--json")

    assert ended.returncode == 0
    [line] = ended.stdout.splitlines()
    summary = json.loads(line)
    truth = server.truth()
    expected = {
        "verdict": "complete",
        "exit_code": 0,
        "threads": 12,
        "threads_missing": 0,
        "threads_failed": 0,
        "runs_listed": truth.runs,
        "steps": truth.steps,
        "requests": len(server.requests()),
        "retries": 0,
    }
    assert {name: summary[name] for name in expected} == expected


def test_log_lines_can_be_json(server: RunningEmulator, tmp_path: Path) -> None:
    ended = sync(server, tmp_path, server.corpus.thread_ids()[0], "thread_gone", "--log-format", "json")

    records = [json.loads(line) for line in ended.stderr.splitlines()]
    assert {"warning", "info"} <= {record["level"] for record in records}
    assert all(set(record) >= {"at", "level", "message"} for record in records)


def test_an_error_that_ends_a_sync_is_a_json_log_line_too(server: RunningEmulator, tmp_path: Path) -> None:
    ended = sync(server, tmp_path, "--all-threads", "--log-format", "json", OPENAI_API_KEY="wrong")

    records = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (ended.returncode, ended.stdout) == (3, "")
    assert [record["level"] for record in records] == ["error"]
    assert "the server refuses us at /threads" in records[0]["message"]


def test_a_full_disk_behind_stdout_is_named_and_no_bug(tmp_path: Path) -> None:
    device = Path("/dev/full")
    found = stat.filemode(device.stat().st_mode) if device.exists() else "nothing"
    assert found.startswith("c"), (
        f"{device} is {found}, not the character device that is always full: something has replaced it, make it anew"
        f" (as root on Linux: rm -f {device}; mknod -m 666 {device} c 1 7)"
    )
    with device.open("w") as full:
        command = [sys.executable, "-m", "pipeline", "status", "--config", "--json"]
        ended = subprocess.run(command, cwd=tmp_path, env=environ_for(), stdout=full, stderr=subprocess.PIPE, text=True)

    assert (ended.returncode, ended.stderr) == (2, "error: cannot write: No space left on device\n")


def test_a_sync_with_nothing_configured_tells_the_next_command(tmp_path: Path) -> None:
    assert_clear(run_cli(tmp_path, "sync"), 2, "python -m pipeline sync --sample")
    assert list(tmp_path.iterdir()) == []


def test_without_a_key_the_variable_to_set_is_named(tmp_path: Path) -> None:
    environ = environ_for(OPENAI_BASE_URL="https://example.com/v1")

    assert_clear(run_cli(tmp_path, "sync", "thread_1", environ=environ), 2, "OPENAI_API_KEY")


def test_without_threads_a_sync_says_how_to_name_them(server: RunningEmulator, tmp_path: Path) -> None:
    assert_clear(sync(server, tmp_path), 2, "name the threads", "--threads FILE")
    assert server.requests() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--threads", "missing.csv"], "missing.csv cannot be read"),
        (["--threads", "empty.txt"], "no thread ids in empty.txt"),
        (["--threads", "other.csv"], "other.csv has no column 'thread_id'"),
        (["thread_1", "--base-url", "ftp://example.com"], "is not an http(s) URL"),
        (["thread_1", "--base-url", "http://example.com/v1"], "is plain http"),
        (["thread_1", "--concurrency", "0"], "concurrency"),
        (["thread_1", "--profile", "nobody"], "no profile 'nobody'"),
        (["../etc", ".."], "'..' cannot be a thread id"),
        (["thread_1", "--no-such-option"], "No such option"),
    ],
)
def test_what_cannot_be_used_is_named_with_exit_code_2(
    server: RunningEmulator, tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "empty.txt").write_text("\n\n")
    (tmp_path / "other.csv").write_text("id,name\n1,2\n")

    assert_clear(sync(server, tmp_path, *arguments), 2, says)

    assert server.requests() == []


def test_a_file_that_is_not_toml_is_named_with_exit_code_2(server: RunningEmulator, tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text("[profiles.default\n")

    assert_clear(sync(server, tmp_path, "thread_1"), 2, "pipeline.toml cannot be read")


def test_a_wrong_key_is_refused_with_exit_code_3_after_few_requests(server: RunningEmulator, tmp_path: Path) -> None:
    ended = sync(server, tmp_path, *server.corpus.thread_ids(), "--concurrency", "2", OPENAI_API_KEY="wrong")

    assert_clear(ended, 3, "the server refuses us at /threads/", "check the key")
    assert len(server.requests()) <= 2


def test_a_quota_that_is_used_up_stops_the_sync_and_what_landed_is_kept(
    server: RunningEmulator, tmp_path: Path
) -> None:
    quota = {"fault": "status", "status": 429, "error_type": "insufficient_quota", "after_requests": 30}
    server.set_faults([quota])

    ended = sync(server, tmp_path, *server.corpus.thread_ids(), "--concurrency", "2")

    assert_clear(ended, 3, "insufficient_quota", "What had landed is kept")
    server.clear_faults()
    assert_clear(sync(server, tmp_path, *server.corpus.thread_ids()), 0)
    assert read_all(tmp_path / "data", "select count(*) from run_steps") == [(server.truth().steps,)]


def test_threads_that_are_gone_are_reported_and_skipped(server: RunningEmulator, tmp_path: Path) -> None:
    ended = sync(server, tmp_path, "thread_gone", *server.corpus.thread_ids(), "thread_lost")

    assert_clear(ended, 0, "2 of 14 threads do not exist on the server (404)", "thread_gone", "thread_lost")
    assert statuses(tmp_path) == {"missing": 2, "synced": 12}


def test_when_no_thread_exists_the_sync_is_incomplete(server: RunningEmulator, tmp_path: Path) -> None:
    assert_clear(sync(server, tmp_path, "thread_gone"), 4, "1 of 1 threads do not exist", "base URL")


def test_a_walk_that_breaks_makes_the_sync_incomplete_and_names_the_thread(
    server: RunningEmulator, tmp_path: Path
) -> None:
    [broken, *_] = [t.item.object_id for t in server.corpus.threads if any(len(r.steps) > 100 for r in t.runs)]
    server.set_faults([{"fault": "cursor_ignored", "route": "list_steps", "match": {"thread_id": broken}}])

    ended = sync(server, tmp_path, *server.corpus.thread_ids())

    assert_clear(ended, 4, f"{broken}: ", "incomplete: 1 thread;", "run the same command again")
    assert statuses(tmp_path) == {"failed": 1, "synced": 11}


def test_a_server_that_is_not_there_makes_the_sync_incomplete(tmp_path: Path) -> None:
    environ = environ_for(OPENAI_BASE_URL="http://127.0.0.1:9/v1", OPENAI_API_KEY="marker-key")

    ended = run_cli(tmp_path, "sync", "thread_1", "--attempts", "1", environ=environ)

    assert_clear(ended, 4, "nothing answers at http://127.0.0.1:9/v1: no answer", "doctor looks for the reason")


def test_an_interrupted_sync_ends_with_exit_code_130(server: RunningEmulator, tmp_path: Path) -> None:
    hold_back(server, after_requests=10)
    arguments = ["sync", *server.corpus.thread_ids(), "--attempts", "1000", "--json"]

    with started_cli(tmp_path, *arguments, environ=environ_for(server)) as process:
        wait_until(lambda: len(server.requests()) >= 30, what="request 30", of=process)
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate()

    assert process.returncode == 130
    summary = json.loads(stdout)
    assert (summary["verdict"], summary["exit_code"]) == ("interrupted", 130)
    assert summary["requests"] >= 30


def test_what_is_written_can_be_read_by_its_owner_only(server: RunningEmulator, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert_clear(sync(server, tmp_path, *server.corpus.thread_ids(), "--data-dir", "deep/er"), 0)
    finally:
        os.umask(before)

    modes = {path: oct(stat.S_IMODE(path.stat().st_mode)) for path in (tmp_path / "deep").rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_file()} == {"0o600"}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {"0o700"}
    assert len(raw_files(tmp_path / "deep/er")) > 0


def test_load_says_what_it_did_and_does_nothing_twice(server: RunningEmulator, tmp_path: Path) -> None:
    assert_clear(sync(server, tmp_path, *server.corpus.thread_ids()), 0)
    (tmp_path / "data" / "warehouse.duckdb").unlink()
    parts = len(raw_files(tmp_path / "data"))

    first, second = run_cli(tmp_path, "load", "--json"), run_cli(tmp_path, "load", "--json")
    rebuilt = run_cli(tmp_path, "load", "--rebuild", "--json")

    assert [json.loads(ended.stdout)["parts"] for ended in (first, second, rebuilt)] == [parts, 0, parts]
    assert read_all(tmp_path / "data", "select count(*) from run_steps") == [(server.truth().steps,)]


def test_a_rebuild_from_nothing_is_refused(tmp_path: Path) -> None:
    assert_clear(run_cli(tmp_path, "load", "--rebuild"), 2, "no raw parts")


def test_status_of_an_empty_folder_says_how_to_begin(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "status")

    assert ended.returncode == 0
    assert "python -m pipeline sync --sample" in " ".join(ended.stdout.split())


def test_status_says_what_is_covered(server: RunningEmulator, tmp_path: Path) -> None:
    assert_clear(sync(server, tmp_path, *server.corpus.thread_ids(), "thread_gone"), 0)

    status = json.loads(run_cli(tmp_path, "status", "--json").stdout)

    [source] = status["sources"]
    truth = server.truth()
    assert {name: source[name] for name in ("source", "threads", "synced", "missing", "failed", "runs", "steps")} == {
        "source": "default",
        "threads": 13,
        "synced": 12,
        "missing": 1,
        "failed": 0,
        "runs": truth.runs,
        "steps": truth.steps,
    }
    assert (status["raw_parts"], status["waiting_parts"]) == (len(raw_files(tmp_path / "data")), 0)


def test_status_shows_each_setting_with_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text('[profiles.default]\nbase_url = "https://a.example/v1"\nconcurrency = 7\n')
    environ = environ_for(OPENAI_BASE_URL="https://b.example/v1")

    shown = json.loads(run_cli(tmp_path, "status", "--config", "--json", environ=environ).stdout)

    assert shown["base_url"] == {"value": "https://b.example/v1", "origin": "OPENAI_BASE_URL in the environment"}
    assert shown["concurrency"] == {"value": "7", "origin": "pipeline.toml [profiles.default]"}
    assert shown["timeout_s"]["origin"] == "default"


def test_version_and_help_need_nothing(tmp_path: Path) -> None:
    version, help_text = run_cli(tmp_path, "--version"), run_cli(tmp_path, "--help")

    assert (version.returncode, version.stdout.strip()) == (0, __version__)
    assert help_text.returncode == 0
    assert "Exit codes" in help_text.stdout


def test_the_sample_needs_no_key_no_server_and_leaves_none_running(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "sync", "--sample", "--json", environ=environ_for())

    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout)
    assert (summary["threads"], [other["threads"] for other in summary["others"]]) == (400, [90])


def test_a_reader_that_goes_away_is_no_error(server: RunningEmulator, tmp_path: Path) -> None:
    assert_clear(sync(server, tmp_path, server.corpus.thread_ids()[0]), 0)
    command = f"{sys.executable} -m pipeline query 'select range from range(200000)' --format csv | head -n 2"

    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=tmp_path,
        env=environ_for(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.stdout, ended.stderr) == ('"range"\n0\n', "")
