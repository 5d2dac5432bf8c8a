"""The age rule: threads without changes are asked for less and less often, and never forgotten."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.emulator import running_emulator
from pipeline.errors import ConfigurationError
from pipeline.threads.decay import Decay, make_decay
from pipeline.threads.naming import Naming
from pipeline.threads.sql import due_thread_ids
from pipeline.warehouse.database import open_for_writing
from tests.syncs import environ_for, run_cli, sync_here
from tests.warehouse_rows import add_run, add_thread

SYNCED = datetime(2026, 11, 1, tzinfo=UTC)
DECAY = Decay(cold_after=timedelta(days=7), share=0.1, longest=timedelta(days=30))


def write_threads(path: Path) -> Path:
    """Threads last synced at one moment: their last change then was 2 hours, 20, 100 and 1,000 days ago, or is open."""
    with open_for_writing(path, wait_s=1) as con:
        for name, age in (
            ("warm", timedelta(hours=2)),
            ("cool", timedelta(days=20)),
            ("cold", timedelta(days=100)),
            ("icy", timedelta(days=1000)),
            ("open", timedelta(days=1000)),
        ):
            times = {"created_at": SYNCED - age - timedelta(minutes=1), "completed_at": SYNCED - age}
            add_thread(con, thread_id=name, last_synced_at=SYNCED)
            add_run(con, run_id=f"run_{name}", thread_id=name, sealed=name != "open", **times)
        add_thread(con, thread_id="empty", last_synced_at=SYNCED, first_seen_at=SYNCED - timedelta(days=40))
        add_thread(con, thread_id="gone", status="missing", last_synced_at=SYNCED, first_seen_at=SYNCED)
        add_thread(con, thread_id="broken", status="failed", last_synced_at=SYNCED)
    return path


ALL = ["new", "warm", "cool", "cold", "icy", "open", "empty", "gone", "broken"]


def test_a_cold_thread_is_due_when_its_age_has_grown_by_a_tenth(tmp_path: Path) -> None:
    warehouse = write_threads(tmp_path / "warehouse.duckdb")

    left_out = {}
    for days in (1.9, 2.1, 4.1, 10.1, 29.9, 30.1):
        now = SYNCED + timedelta(days=days)
        due = due_thread_ids(ALL, warehouse, source="main", decay=DECAY, now=now)
        left_out[days] = [thread for thread in ALL if thread not in due]

    assert left_out == {
        1.9: ["cool", "cold", "icy", "empty"],
        2.1: ["cold", "icy", "empty"],
        4.1: ["cold", "icy"],
        10.1: ["icy"],
        # Never later than after 30 days.
        29.9: ["icy"],
        30.1: [],
    }


def test_threads_on_the_command_line_are_always_due(tmp_path: Path) -> None:
    warehouse = write_threads(tmp_path / "warehouse.duckdb")
    naming = Naming(["cold"], decay=DECAY)

    selection = naming.select(["cold", "icy", "warm"], warehouse, source="main", now=SYNCED)

    assert (selection.thread_ids, selection.not_due) == (["cold", "warm"], 1)


def test_the_rule_is_off_unless_the_settings_or_the_command_line_ask_for_it() -> None:
    assert make_decay(None, 0.1, "30d", asked=False) is None
    assert make_decay(None, 0.1, "30d", asked=True) == DECAY
    assert make_decay("1d", 0.5, "4w", asked=False) == Decay(timedelta(days=1), 0.5, timedelta(days=28))


@pytest.mark.parametrize(
    ("cold_after", "share", "longest", "message"),
    [
        ("soon", 0.1, "30d", "cold_after 'soon'"),
        ("7d", 0.1, "forever", "cold_longest 'forever'"),
        ("7d", 0.0, "30d", "cold_share 0.0"),
        ("7d", float("nan"), "30d", "cold_share nan"),
    ],
)
def test_a_rule_that_is_none_names_its_setting(cold_after: str, share: float, longest: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_decay(cold_after, share, longest, asked=False)


def test_a_sync_says_how_many_threads_were_not_due_and_full_asks_for_them(tmp_path: Path) -> None:
    with running_emulator(threads=6, phase=1) as server:
        sync_here(server, tmp_path / "data")
        (tmp_path / "pipeline.toml").write_text('[profiles.default]\ncold_after = "1d"\n')
        command = ["sync", "--known", "--json", "--data-dir", "data"]
        ruled = run_cli(tmp_path, *command, environ=environ_for(server))
        full = run_cli(tmp_path, *command, "--full", environ=environ_for(server))

    counts = json.loads(ruled.stdout)
    assert (ruled.returncode, full.returncode) == (0, 0)
    assert counts["threads_not_due"] >= 4
    assert counts["threads"] + counts["threads_not_due"] == 6
    assert json.loads(full.stdout)["threads"] == 6
