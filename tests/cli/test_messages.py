"""What a person is told when there is nothing to show, something is mistyped, or a question has an odd form."""

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus
from pipeline.http.retrying import Fault, RetryPolicy, gives_up
from tests.landed import run_of
from tests.syncs import environ_for, read_all, run_cli
from tests.warehouses import make_one_run

RUN_ID = "run_abcdefghijklmnop"


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_corpus(threads=3)


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_where_nothing_answers_a_sync_gives_up_after_a_few_tries_and_names_the_address(
    closed_port: int, tmp_path: Path
) -> None:
    environ = environ_for(OPENAI_BASE_URL=f"http://127.0.0.1:{closed_port}/v1", OPENAI_API_KEY="marker-key")

    ended = run_cli(tmp_path, "sync", *(f"thread_{n}" for n in range(40)), "--json", environ=environ)

    summary = json.loads(ended.stdout)
    assert (ended.returncode, summary["verdict"]) == (4, "incomplete")
    assert f"nothing answers at http://127.0.0.1:{closed_port}/v1: no answer" in summary["error"]
    # Of 40 threads, of which 32 were asked for at once.
    assert summary["requests"] <= 32 * 4


@pytest.mark.parametrize(("is_known", "tries"), [(False, 4), (True, 6)])
def test_a_server_that_answered_before_is_tried_as_often_as_ever(is_known: bool, tries: int) -> None:
    fault = Fault("no answer", retry=True, unreached=True)

    assert [gives_up(fault, RetryPolicy(), tries=n, is_known=is_known) for n in (tries - 1, tries)] == [False, True]


@pytest.mark.parametrize("asked", ["nowhere", "refused"])
def test_a_sync_that_got_nothing_ends_with_the_reason_and_the_doctor(
    server: RunningEmulator, tmp_path: Path, asked: str
) -> None:
    if asked == "refused":
        server.set_faults([{"fault": "status", "status": 400, "message": "no such version"}])

    ended = run_cli(tmp_path, "sync", "thread_nowhere", environ=environ_for(server))

    *_, last = ended.stderr.splitlines()
    assert ("nothing was fetched" in last, last.count("doctor")) == (True, 1), ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("thread_id", "what"),
    [(RUN_ID, "a run"), ("step_abcdefghijklmnop", "a run step"), ("asst_abcdefghijklmnop", "an assistant")],
)
@pytest.mark.parametrize("place", ["argument", "file", "sql"])
def test_the_id_of_something_else_is_told_from_a_threads(tmp_path: Path, thread_id: str, what: str, place: str) -> None:
    (tmp_path / "ids.txt").write_text(f"{thread_id}\n")
    named = {
        "argument": [thread_id],
        "file": ["--threads", "ids.txt"],
        "sql": ["--threads-sql", f"select '{thread_id}' as thread_id"],
    }
    environ = environ_for(OPENAI_BASE_URL="https://example.com/v1", OPENAI_API_KEY="marker-key")

    ended = run_cli(tmp_path, "sync", *named[place], environ=environ)

    assert ended.returncode == 2
    assert f"{thread_id} is the id of {what}, and a sync takes ids of threads" in ended.stderr


@pytest.mark.parametrize("text", ['["{0}", "{1}"]', '[{{"thread_id": "{0}"}},\n {{"thread_id": "{1}", "n": 1}}]\n'])
def test_threads_may_come_as_an_array_of_json(server: RunningEmulator, tmp_path: Path, text: str) -> None:
    (tmp_path / "ids.json").write_text(text.format(*server.corpus.thread_ids()))

    ended = run_cli(tmp_path, "sync", "--threads", "ids.json", "--quiet", environ=environ_for(server))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert read_all(tmp_path / "data", "select count(*) from threads") == [(2,)]


@pytest.mark.parametrize(("text", "says"), [("[1]", "not a JSON array"), ('[{"id": "x"}]', "item 1: no text in")])
def test_an_array_without_ids_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "ids.json").write_text(text)

    environ = environ_for(OPENAI_BASE_URL="https://h.example/v1", OPENAI_API_KEY="marker-key")

    ended = run_cli(tmp_path, "sync", "--threads", "ids.json", environ=environ)

    assert (ended.returncode, says in ended.stderr) == (2, True), ended.stderr


ARCHIVE = json.dumps({"object": "list", "data": [run_of(RUN_ID, status="in_progress")]})


def test_an_archive_may_come_on_standard_input(tmp_path: Path) -> None:
    first = run_cli(tmp_path, "import", "-", "--quiet", given=ARCHIVE)
    again = run_cli(tmp_path, "import", "-", "--json", given=ARCHIVE)

    assert (first.returncode, first.stderr) == (0, "")
    assert read_all(tmp_path / "data", "select run_id from runs") == [(RUN_ID,)]
    assert json.loads(again.stdout)["files_known"] == 1


@pytest.mark.parametrize("path, name", [("-", "standard input"), ("/dev/stdin", "/dev/stdin")])
def test_what_is_piped_into_an_import_is_called_what_a_person_calls_it(tmp_path: Path, path: str, name: str) -> None:
    ended = run_cli(tmp_path, "import", path, "--json", given="no JSON")

    [archive], said = json.loads(ended.stdout)["archives"], f"{name}: line 1"
    [(unread,)] = read_all(tmp_path / "data", "select unread->>'$[0].file' from syncs")
    assert (archive["file"], unread, ended.stderr.startswith(f"warning: {said}")) == (name, name, True), ended.stderr


def test_an_archive_may_come_out_of_a_pipe_that_can_be_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(ARCHIVE,), daemon=True)
    writer.start()

    ended = run_cli(tmp_path, "import", "pipe", "--quiet")

    assert ended.returncode == 0, ended.stderr
    assert read_all(tmp_path / "data", "select run_id from runs") == [(RUN_ID,)]


def test_a_dry_run_of_an_import_says_what_would_come_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(ARCHIVE)

    dry = run_cli(tmp_path, "import", "run.json", "--dry-run")
    as_json = json.loads(run_cli(tmp_path, "import", "run.json", "--dry-run", "--json").stdout)

    assert (dry.returncode, dry.stdout) == (0, "")
    assert "dry run, nothing was written: would be imported into 'archive': 1 file, 1 run, 0 steps" in dry.stderr
    assert (as_json["dry_run"], as_json["runs"], as_json["warehouse"]) == (True, 1, None)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_dry_run_knows_what_was_imported_before(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(ARCHIVE)
    run_cli(tmp_path, "import", "run.json", "--quiet")

    assert json.loads(run_cli(tmp_path, "import", "run.json", "--dry-run", "--json").stdout)["files_known"] == 1


def test_of_many_files_that_hold_nothing_one_line_tells(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.json").write_text(f'{{"object": "list", "data": [{" " * number}]}}')

    ended = run_cli(tmp_path, "import", ".", "--quiet")

    assert ended.stderr == "warning: 5 files hold nothing: 0.json, 1.json, 2.json, ...\n"


@pytest.mark.parametrize("name", ["a\nb.json", "a\r\nb.json", "a\u2028b.json"])
@pytest.mark.parametrize(
    "text", ['{"object": "list", "data": []}', "{}", "not json", f'{ARCHIVE[:-1]}, "has_more": true}}']
)
def test_what_an_import_tells_of_a_file_is_one_line_whatever_its_name(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    said = run_cli(tmp_path, "import", ".", "--quiet").stderr

    assert said.splitlines()
    assert [line for line in said.split("\n")[:-1] if not line.startswith("warning: ")] == []


def test_each_of_several_files_with_the_same_fault_is_named(tmp_path: Path) -> None:
    for name in ("a.json", "b.har"):
        (tmp_path / name).write_text("{}")

    said = run_cli(tmp_path, "import", ".", "--quiet").stderr

    assert [line.split(": ")[1] for line in said.splitlines()[:2]] == ["a.json", "b.har"]


@pytest.mark.parametrize("text", ["", "{}", "not json"])
def test_an_import_of_nothing_ends_with_the_reason_and_no_tables(tmp_path: Path, text: str) -> None:
    ended = run_cli(tmp_path, "import", "-", given=text)

    assert ended.stdout == ""
    assert ended.stderr.startswith("warning: ")


def test_what_came_out_of_an_import_has_no_empty_table(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "import", "-", given=ARCHIVE)

    assert ("Spent" in ended.stdout, "(0 rows)" in ended.stdout) == (True, False)


def test_status_counts_a_run_as_open_by_its_status_after_an_import_too(tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_text(
        "\n".join(json.dumps(run_of(f"run_{n}", status=status)) for n, status in enumerate(("completed", "queued")))
    )
    run_cli(tmp_path, "import", "runs.jsonl", "--quiet")

    [source] = json.loads(run_cli(tmp_path, "status", "--json").stdout)["sources"]

    assert (source["runs"], source["open_runs"]) == (2, 1)


def test_the_doctor_and_its_query_agree_on_open_runs(tmp_path: Path) -> None:
    runs = [run_of(f"run_{n}", status="queued", created_at=1731000000) for n in range(3)]
    (tmp_path / "runs.jsonl").write_text("\n".join(map(json.dumps, runs)))
    run_cli(tmp_path, "import", "runs.jsonl", "--quiet")

    said = run_cli(tmp_path, "doctor", "--offline").stdout
    [line] = [line for line in said.splitlines() if "open runs" in line]
    asked = line.partition(" query ")[2].split()

    assert "3 runs open for more than 7 days" in line
    assert len(json.loads(run_cli(tmp_path, "query", *asked, "--json").stdout)) == 3


def test_check_says_by_name_what_failed(tmp_path: Path) -> None:
    make_one_run(tmp_path / "data" / "warehouse.duckdb")
    (tmp_path / "budgets.toml").write_text('[[budget]]\nname = "all"\nper = "month"\nfail_usd = 0.000001\n')

    ended = run_cli(tmp_path, "check", "--at", "2024-11-30")

    assert (ended.returncode, ended.stderr.splitlines()[-1].partition(" (of ")[0]) == (5, "failed: budget all")


def test_a_day_on_which_nothing_happened_is_said(tmp_path: Path) -> None:
    make_one_run(tmp_path / "data" / "warehouse.duckdb")

    ended = run_cli(tmp_path, "explain-cost", "--on", "2020-01-01")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("2020-01-01: no usage, no fee and no bill")


def test_a_period_of_the_report_takes_no_word_of_the_sync(tmp_path: Path) -> None:
    make_one_run(tmp_path / "data" / "warehouse.duckdb")

    ended = run_cli(tmp_path, "report", "--since", "decay")

    assert ended.returncode == 2
    assert "--since 'decay' is no period" in ended.stderr


def test_before_pages_backwards(server: RunningEmulator, tmp_path: Path) -> None:
    def list_runs(*arguments: str) -> tuple[list[str], str]:
        ended = run_cli(tmp_path, "runs", "list", thread, *arguments, environ=environ_for(server))
        return [json.loads(line)["id"] for line in ended.stdout.splitlines()], ended.stderr

    thread = max(server.corpus.threads_at(0), key=lambda one: len(one.runs)).item.object_id
    ids, _ = list_runs("--all")

    shown, said = list_runs("--limit", "1", "--before", ids[-1])

    assert said == f"there are more before these: --before {shown[0]}\n"
