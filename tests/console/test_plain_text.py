"""What servers and databases say reaches a terminal as text that it shows and does not obey."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from pipeline.console.plain_text import plain_line, plain_text
from pipeline.console.tables import frame_table
from pipeline.emulator import generate_corpus, running_emulator
from pipeline.http.retrying import judge_status
from pipeline.verbs.doctor.diagnosis import Diagnosis
from pipeline.verbs.progress import Reporter
from tests.syncs import environ_for, run_cli
from tests.warehouses import make_one_run

TITLE = "\x1b]0;owned\x07"


@pytest.mark.parametrize("sign", ["\x1b", "\x00", "\b", "\r", "\x7f", "\x9b", "\u061c", "\u202e", "\u2066", "\ud800"])
def test_a_character_that_a_terminal_obeys_is_a_mark(sign: str) -> None:
    assert plain_text(f"a{sign}b") == "a\ufffdb"


def test_all_other_text_stays() -> None:
    text = "line\n\ttab, Grüße, 日本語, 👩‍👩‍👧"

    assert plain_text(text) == text
    assert plain_line(f" {text} ") == "line tab, Grüße, 日本語, 👩‍👩‍👧"


def test_what_a_server_says_of_an_error_is_told_without_its_escapes() -> None:
    body = json.dumps({"error": {"message": f"no{TITLE}\n\x9b31mway", "code": f"c{TITLE}"}}).encode()

    fault = judge_status(400, {}, body, now=datetime.now(UTC))

    assert fault.reason == "HTTP 400 (c\ufffd]0;owned\ufffd, no\ufffd]0;owned\ufffd \ufffd31mway)"


def test_tables_show_values_and_names_as_they_are_and_obey_none() -> None:
    stream = io.StringIO()
    frame = pl.DataFrame({f"[b]{TITLE}": [f"x{TITLE}y", "[/b]", "[red]z"]})

    Console(file=stream, width=60).print(frame_table(frame))

    shown = "\ufffd]0;owned\ufffd"
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == [
        f"[b]{shown}", f"x{shown}y", "[/b]", "[red]z"
    ]  # fmt: skip


def test_messages_and_diagnoses_obey_none() -> None:
    stream = io.StringIO()
    Reporter(stream, quiet=False, log_format="text").say(f"thread{TITLE}")

    assert stream.getvalue() == "thread\ufffd]0;owned\ufffd\n"
    assert "\x1b" not in Diagnosis("server", "fail", TITLE, TITLE).line


def test_neither_a_sync_nor_a_query_passes_an_escape_on(tmp_path: Path) -> None:
    make_one_run(tmp_path / "data" / "warehouse.duckdb")
    queried = run_cli(tmp_path, "query", "select '[/x]' || chr(27) || ']0;owned' as a")
    as_csv = run_cli(tmp_path, "query", "select chr(27) as a", "--format", "csv")
    with running_emulator(generate_corpus(threads=1), api_key="marker-key") as server:
        server.set_faults([{"fault": "status", "status": 400, "message": TITLE}])
        synced = run_cli(tmp_path, "sync", "thread_1", "--attempts", "1", environ=environ_for(server))

    assert (queried.returncode, "\x1b" in queried.stdout, "[/x]" in queried.stdout) == (0, False, True)
    assert as_csv.stdout == '"a"\n"\x1b"\n'
    assert (synced.returncode, "owned" in synced.stderr, "\x1b" in synced.stderr) == (4, True, False)
