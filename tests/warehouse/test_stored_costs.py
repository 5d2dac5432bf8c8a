"""Costs that are stored are what would be worked out, to the last digit, whatever happens to a warehouse."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.money.repricing import reprice
from pipeline.raw.places import raw_store
from pipeline.sqlfiles.duck import Connection
from pipeline.upkeep.data_folder import DataFolder
from pipeline.upkeep.removal import forget_threads
from pipeline.upkeep.removal_targets import Wanted, find_targets
from pipeline.warehouse import stored_costs
from pipeline.warehouse.checks import run_check
from pipeline.warehouse.database import open_for_writing, warehouse_path
from pipeline.warehouse.load import load_new_parts, rebuild
from tests.archived import function_step, import_here, run_object, step_object
from tests.attached import looking_into
from tests.landed import Json, Listing, land, run_of, step_of
from tests.stored_costs import count_stored, read_views
from tests.warehouse_rows import rolled_back

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CREATED = 1_732_104_000  # 2024-11-20T12:00:00Z
CHECKS = ("stored_costs", "stored_calls", "sealed_without_ledger")


def usage(tokens: int) -> Json:
    return {
        "prompt_tokens": tokens,
        "completion_tokens": tokens // 7,
        "total_tokens": tokens + tokens // 7,
        "prompt_token_details": {"cached_tokens": tokens // 3},
    }


def calling(step_id: str, run_id: str, *outputs: str | None, at: int = 0, **more: Any) -> Json:
    """A step of a function call for each output."""
    calls: list[Json] = [
        {
            "id": f"call_{place}",
            "type": "function",
            "function": {"name": f"tool_{place % 2}", "arguments": "{}" * place, "output": output},
        }
        for place, output in enumerate(outputs)
    ]
    details = {"type": "tool_calls", "tool_calls": calls}
    times = {"created_at": CREATED + at, "completed_at": CREATED + at + 9}
    fields = {"type": "tool_calls", "step_details": details, "usage": usage(1000 + at), "thread_id": "thread_1"}
    return step_of(step_id, run_id=run_id, **{**fields, **times, **more})


def land_thread(data_dir: Path, *, minute: int = 0, thread_id: str = "thread_1", late: bool = False) -> None:
    """Three runs: one with tools, one whose usage no step tells, one that is open; `late` steps came afterwards."""
    steps = [
        calling("step_1", "run_1", "{}", '{"error": "no"}', thread_id=thread_id),
        calling("step_2", "run_1", None, "long " * 40, '{"error": "again"}', thread_id=thread_id, at=5),
        calling("step_3", "run_1", "fine", thread_id=thread_id, at=20, status="failed"),
    ]
    if late:
        steps.append(calling("step_4", "run_1", "{}", "{}", thread_id=thread_id, at=99))
    runs = [
        run_of("run_1", model="gpt-4o", created_at=CREATED, usage=usage(9000)),
        run_of("run_2", model="gpt-4o-mini", created_at=CREATED + 1, usage=usage(500)),
        run_of("run_3", "in_progress", model="gpt-4o", created_at=CREATED + 2),
    ]
    open_steps = [calling("step_1", "run_3", "{}", thread_id=thread_id, at=2)]
    walks = [
        Listing(minute, runs, thread_id=thread_id),
        Listing(minute, steps, thread_id=thread_id, run_id="run_1"),
        Listing(minute, [], thread_id=thread_id, run_id="run_2"),
        Listing(minute, open_steps, thread_id=thread_id, run_id="run_3", run_status="in_progress"),
    ]
    land(raw_store(data_dir), *walks, sync_id=f"sync_{thread_id}_{minute}")


def load(data_dir: Path) -> None:
    load_new_parts(raw_store(data_dir), warehouse_path(data_dir), wait_s=5)


def make_dearer(data_dir: Path) -> None:
    text = "model,input_usd_per_mtok,output_usd_per_mtok\ngpt-4o,7.000001,11\n"
    (data_dir / "own-prices.csv").write_text(text, "utf-8")


def load_more(data_dir: Path) -> None:
    land_thread(data_dir, thread_id="thread_2", minute=3)
    load(data_dir)


def late_steps(data_dir: Path) -> None:
    land_thread(data_dir, minute=9, late=True)
    load(data_dir)


def edit_prices(data_dir: Path) -> None:
    make_dearer(data_dir)
    load_more(data_dir)


def reprice_one(data_dir: Path) -> None:
    make_dearer(data_dir)
    with open_for_writing(warehouse_path(data_dir), wait_s=5) as connection:
        reprice(connection, repricing_id="one", now=NOW, model="gpt-4o")


def reprice_all(data_dir: Path) -> None:
    make_dearer(data_dir)
    with open_for_writing(warehouse_path(data_dir), wait_s=5) as connection:
        reprice(connection, repricing_id="all", now=NOW)


def late_after_repricing(data_dir: Path) -> None:
    reprice_all(data_dir)
    late_steps(data_dir)


def import_more(data_dir: Path) -> None:
    steps = [function_step("step_1", "{}"), step_object("step_9", at=30)]
    archive = data_dir.parent / "archive.json"
    archive.write_text(json.dumps([run_object("run_9"), *({**step, "run_id": "run_9"} for step in steps)]), "utf-8")
    import_here(data_dir, archive)


def forget_one(data_dir: Path) -> None:
    load_more(data_dir)
    folder = DataFolder(data_dir, raw_store(data_dir), warehouse_path(data_dir), 5.0)
    forget_threads(folder, find_targets(folder, Wanted(["thread_1"]), {}), folder.unreadable(), now=NOW)


def copy_a_part(data_dir: Path) -> None:
    for part in list((data_dir / "raw").rglob("*.parquet")):
        shutil.copy(part, part.with_name(f"{part.stem}-copy.parquet"))
    load(data_dir)


def rebuild_all(data_dir: Path) -> None:
    rebuild(raw_store(data_dir), warehouse_path(data_dir), wait_s=5)


HISTORIES: list[Callable[[Path], None]] = [
    load,
    load_more,
    late_steps,
    edit_prices,
    reprice_one,
    reprice_all,
    late_after_repricing,
    import_more,
    forget_one,
    copy_a_part,
    rebuild_all,
]


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.__name__)
@pytest.mark.parametrize("at_once", [8192, 1], ids=["all at once", "run by run"])
def test_what_is_stored_is_what_would_be_worked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history: Callable[[Path], None], at_once: int
) -> None:
    monkeypatch.setattr(stored_costs, "RUNS_AT_ONCE", at_once)
    data_dir = tmp_path / "data"
    land_thread(data_dir)
    load(data_dir)

    history(data_dir)

    warehouse = warehouse_path(data_dir)
    runs, costs, calls = count_stored(warehouse)
    assert runs >= 2
    assert costs >= 4
    assert calls >= 6
    assert read_views(warehouse, stored=True) == read_views(warehouse, stored=False)
    with looking_into(warehouse) as connection:
        assert [run_check(connection, check) for check in CHECKS] == [None] * len(CHECKS)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    data_dir = tmp_path_factory.mktemp("loaded") / "data"
    land_thread(data_dir)
    load(data_dir)
    with open_for_writing(warehouse_path(data_dir), wait_s=5) as connection:
        yield connection


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("update stored_costs set cost_usd = cost_usd + 0.000000000001 where step_id = 'step_2'", "stored_costs"),
        ("update stored_costs set created_on = null where step_id = 'step_2'", "stored_costs"),
        ("delete from stored_costs where step_id = ''", "stored_costs"),
        ("insert into stored_costs select columns(*) from stored_costs", "stored_costs"),
        ("update stored_calls set retries = 7 where step_id = 'step_2'", "stored_calls"),
        ("update stored_calls set name = 'other' where call_index = 1", "stored_calls"),
        ("delete from stored_calls where step_id = 'step_3'", "stored_calls"),
        ("update runs set model = 'gpt-4o-mini' where run_id = 'run_1'", "stored_costs"),
        ("update run_steps set prompt_tokens = 1 where step_id = 'step_2'", "stored_costs"),
        ("update tool_calls set output = 'other' where step_id = 'step_2'", "stored_calls"),
        ("update cost_ledger set discount = 0.5", "stored_costs"),
    ],
)
def test_a_check_finds_what_is_stored_and_not_so(loaded: Connection, damage: str, check: str) -> None:
    with rolled_back(loaded) as connection:
        connection.execute(damage)

        found = run_check(connection, check)

    assert found is not None
    assert found.level == "fail"
    assert "run_" in found.message
