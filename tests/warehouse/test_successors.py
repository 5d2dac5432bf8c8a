"""Responses and turns in the warehouse: sealed, loaded in any order, rebuilt and forgotten as runs are."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from pipeline.protocol.pages import LandedWalk, Walk
from pipeline.raw.parts import RawStore
from pipeline.raw.places import raw_store
from pipeline.raw.writer import PartWriter
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import read_frame
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts, rebuild
from tests.answered import answered, called, landed_answers, landed_turns, listed, response, session, turn
from tests.archived import import_here, write_json
from tests.attached import looking_into
from tests.syncs import run_cli

KEPT = ("runs", "run_steps", "tool_calls", "threads", "cost_ledger")


def land_walk(store: RawStore, walk: LandedWalk, *, minute: int, sync_id: str | None = None) -> None:
    """A part of one walk that was made at that minute."""
    at = walk.certificate.started_at + timedelta(minutes=minute)
    pages = [replace(page, fetched_at=at) for page in walk.pages]
    writer = PartWriter(store, source="main", sync_id=sync_id or f"sync_{minute:03}")
    writer.add_walk(Walk(replace(walk.certificate, started_at=at, ended_at=at), pages))
    writer.land(writer.take_rows())


def load(data_dir: Path) -> Path:
    path = warehouse_path(data_dir)
    load_new_parts(raw_store(data_dir), path, wait_s=5)
    return path


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with looking_into(path) as connection:
        return connection.execute(query).fetchall()


def tables(path: Path, *, without: Sequence[str] = ("walk_id", "page_index", "observed_at")) -> dict[str, pl.DataFrame]:
    """Each table that follows from what landed, sorted."""
    found = {}
    for name in KEPT:
        columns = [column for column in read_sql_files("tables")[name].columns if column not in without]
        with looking_into(path) as connection:
            found[name] = read_frame(connection, f"select {', '.join(columns)} from {name} order by all")
    return found


def sealed(path: Path) -> list[tuple[str, bool]]:
    return rows(path, "select run_id, sealed from runs order by run_id")


@pytest.mark.parametrize(
    ("fields", "is_sealed"),
    [
        ({}, True),
        ({"status": "in_progress", "usage": None, "completed_at": None}, False),
        ({"status": "queued", "usage": None, "output": [], "completed_at": None}, False),
        ({"status": "failed", "usage": None, "completed_at": None}, True),
        ({"status": "incomplete", "completed_at": None}, True),
        # The usage of a response that has completed may come yet.
        ({"usage": None}, False),
    ],
)
def test_a_response_is_sealed_once_it_has_ended_with_its_usage(
    tmp_path: Path, fields: dict[str, Any], is_sealed: bool
) -> None:
    land_walk(raw_store(tmp_path), landed_answers(response(**fields), ended_by="whole_answer"), minute=0)
    path = load(tmp_path)
    assert sealed(path) == [("resp_a", is_sealed)]
    assert rows(path, "select thread_id, status, run_count from threads") == [("conv_a", "synced", 1)]


@pytest.mark.parametrize(("minute", "is_sealed"), [(59, False), (60, True)])
def test_a_turn_is_read_again_as_long_as_its_usage_may_change(tmp_path: Path, minute: int, is_sealed: bool) -> None:
    for each in (0, minute):
        land_walk(raw_store(tmp_path), landed_turns(turn(), is_settled=False, settle_s=3600.0), minute=each)
    assert sealed(load(tmp_path)) == [("turn_a", is_sealed)]


def test_a_later_walk_replaces_what_an_earlier_one_saw_of_a_response(tmp_path: Path) -> None:
    early = response(called("call_1"), status="in_progress", usage=None, completed_at=None)
    late = response(called("call_1"), called("call_2"))
    for minute, body in enumerate((early, late)):
        land_walk(raw_store(tmp_path), landed_answers(listed(body), listed(answered("call_1"))), minute=minute)
        path = load(tmp_path)
    assert rows(path, "select tool_call_id, output from tool_calls order by 1") == [
        ("call_1", "high at noon"), ("call_2", None),
    ]  # fmt: skip
    assert rows(path, "select status, total_tokens from run_steps") == [("completed", 1200)]


ARCHIVES = [
    [response(called(), status="in_progress", usage=None, completed_at=None)],
    [response(called())],
    [answered(), response(called()), session(), turn(), {**called("c9"), "turn_id": "turn_a"}],
    [{"id": "b", "custom_id": "r", "response": {"body": response(called())}}],
    [turn(status="in_progress", usage=None, completed_at=None)],
]


def test_imports_in_any_order_and_a_rebuild_give_the_same_rows(tmp_path: Path) -> None:
    files = [write_json(tmp_path / f"{number}.json", objects) for number, objects in enumerate(ARCHIVES)]
    found = []
    for order in itertools.permutations(range(len(files))):
        if order[0] in (0, 3) or order == tuple(range(len(files))):
            continue
        data_dir = tmp_path / "-".join(map(str, order))
        for index in order:
            import_here(data_dir, files[index])
        found.append(tables(warehouse_path(data_dir)))
        if len(found) == 6:
            break
    for each in found[1:]:
        for name in KEPT:
            assert each[name].equals(found[0][name]), name
    assert found[0]["tool_calls"]["output"].to_list() == ["high at noon", None]
    before = tables(warehouse_path(data_dir), without=())
    rebuild(raw_store(data_dir), warehouse_path(data_dir), wait_s=5)
    after = tables(warehouse_path(data_dir), without=())
    assert all(after[name].equals(before[name]) for name in KEPT)


def test_a_forgotten_conversation_is_nowhere_any_more_and_comes_in_no_more(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", [response(called()), answered(output="s3cret"), turn()])
    import_here(tmp_path / "data", path)
    done = run_cli(tmp_path, "forget", "--thread", "conv_a", "--yes", "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    assert rows(warehouse_path(tmp_path / "data"), "select run_id from runs") == [("turn_a",)]
    files = [file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file()]
    assert not any(b"s3cret" in file for file in files)
    again = write_json(tmp_path / "b.json", [response(called()), answered(output="s3cret")])
    assert import_here(tmp_path / "data", again).left_out == 1
    assert rows(warehouse_path(tmp_path / "data"), "select run_id from runs") == [("turn_a",)]
