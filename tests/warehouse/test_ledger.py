"""The ledger: what sealed runs cost stays as it is until somebody reprices, and comes back as it was."""

import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.money.repricing import plan_repricing, reprice
from pipeline.raw.parts import RawStore
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import read_frame
from pipeline.sqlfiles.schema import open_in_memory
from pipeline.warehouse.database import open_for_writing
from pipeline.warehouse.load import load_new_parts, rebuild
from pipeline.warehouse.stored_costs import drop_stored
from tests.attached import looking_into
from tests.landed import Json, Listing, land, run_of, step_of
from tests.warehouse_rows import (
    add_price,
    add_run,
    add_step,
    post_ledger,
    read_rows,
    rolled_back,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CREATED = 1_732_104_000  # 2024-11-20T12:00:00Z
MILLION = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}


@pytest.fixture
def store(tmp_path: Path) -> RawStore:
    return RawStore(tmp_path / "raw")


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


def step(step_id: str, usage: Json | None = None) -> Json:
    return step_of(step_id, run_id="run_1", thread_id="thread_1", created_at=CREATED, usage=usage or MILLION)


def land_run(store: RawStore, *, status: str = "completed", minute: int = 0, usage: Json | None = None) -> None:
    run = run_of("run_1", status, model="gpt-4o", created_at=CREATED)
    runs = Listing(minute, [run])
    steps = Listing(minute, [step("step_1", usage)], run_id="run_1", run_status=status)
    land(store, runs, steps, sync_id=f"sync_{minute}")


def own_price(warehouse: Path, input_usd: str) -> None:
    text = f"model,input_usd_per_mtok,output_usd_per_mtok\ngpt-4o,{input_usd},1\n"
    (warehouse.parent / "own-prices.csv").write_text(text, "utf-8")


def read(warehouse: Path, sql: str) -> list[dict[str, Any]]:
    with looking_into(warehouse) as connection:
        return read_rows(connection, sql)


def cost(warehouse: Path) -> Any:
    [row] = read(warehouse, "select cost_usd from run_costs where run_id = 'run_1'")
    return row["cost_usd"]


def read_ledger(warehouse: Path) -> list[tuple[Any, ...]]:
    with looking_into(warehouse) as connection:
        return connection.execute("from cost_ledger order by all").fetchall()


def load(store: RawStore, warehouse: Path) -> None:
    load_new_parts(store, warehouse, wait_s=5)


def reprice_all(warehouse: Path, repricing_id: str = "repricing_1") -> pl.DataFrame:
    with open_for_writing(warehouse, wait_s=5) as connection:
        return reprice(connection, repricing_id=repricing_id, now=NOW)


def touch(store: RawStore, warehouse: Path) -> None:
    """Load something else, which brings the price book of today into the warehouse."""
    land(store, Listing(50, [run_of("run_2")], thread_id="thread_2"), sync_id="sync_other")
    load(store, warehouse)


def test_a_sealed_run_keeps_its_cost_when_the_price_book_changes(store: RawStore, warehouse: Path) -> None:
    land_run(store)
    load(store, warehouse)
    own_price(warehouse, "7")
    touch(store, warehouse)

    assert cost(warehouse) == Decimal("2.5")
    with open_for_writing(warehouse, wait_s=5) as connection:
        drop_stored(connection, "runs")
    assert cost(warehouse) == Decimal("2.5")


def test_a_run_that_is_listed_is_charged_once_its_steps_come_from_an_archive(store: RawStore, warehouse: Path) -> None:
    land(store, Listing(0, [run_of("run_1", model="gpt-4o", usage=MILLION)]))
    load(store, warehouse)
    assert read_ledger(warehouse) == []

    land(store, Listing(1, [step("step_1")], run_id="run_1", verdict="imported"), sync_id="sync_2")
    load(store, warehouse)
    own_price(warehouse, "7")
    touch(store, warehouse)

    assert cost(warehouse) == Decimal("2.5")


def test_an_open_run_follows_the_price_book(store: RawStore, warehouse: Path) -> None:
    land_run(store, status="in_progress")
    load(store, warehouse)
    own_price(warehouse, "7")
    touch(store, warehouse)

    assert cost(warehouse) == Decimal(7)
    assert read_ledger(warehouse) == []


def test_a_ledger_row_says_by_which_price_it_was_made(store: RawStore, warehouse: Path) -> None:
    land_run(store)
    load(store, warehouse)

    [row] = read(
        warehouse,
        "select price_id, match, input_usd_per_mtok, cached_input_usd_per_mtok, output_usd_per_mtok, discount,"
        " cost_usd from cost_ledger",
    )

    assert row == {
        "price_id": "openai:gpt-4o:2024-10-02",
        "match": "alias",
        "input_usd_per_mtok": Decimal("2.5"),
        "cached_input_usd_per_mtok": Decimal("1.25"),
        "output_usd_per_mtok": Decimal(10),
        "discount": Decimal(1),
        "cost_usd": Decimal("2.5"),
    }


def test_a_run_walked_again_is_charged_its_new_tokens_at_the_price_that_it_had(
    store: RawStore, warehouse: Path
) -> None:
    land_run(store)
    load(store, warehouse)
    own_price(warehouse, "7")
    land_run(store, minute=5, usage={"prompt_tokens": 2_000_000, "completion_tokens": 0, "total_tokens": 2_000_000})
    load(store, warehouse)

    assert cost(warehouse) == Decimal(5)


def test_a_run_sealed_without_a_price_stays_unpriced_until_it_is_repriced(store: RawStore, warehouse: Path) -> None:
    run = run_of("run_1", model="prod", created_at=CREATED)
    land(store, Listing(0, [run]), Listing(0, [step("step_1")], run_id="run_1"))
    load(store, warehouse)
    (warehouse.parent / "own-prices.csv").write_text(
        "model,input_usd_per_mtok,output_usd_per_mtok\nprod,3,4\n", "utf-8"
    )
    touch(store, warehouse)
    before = cost(warehouse)

    changes = reprice_all(warehouse)

    assert before is None
    assert cost(warehouse) == Decimal(3)
    assert changes.to_dicts() == [
        {
            "source": "main",
            "model": "prod",
            "old_price_id": None,
            "new_price_id": "own:prod:always",
            "steps": 1,
            "old_cost_usd": None,
            "new_cost_usd": Decimal(3),
        }
    ]


def test_a_plan_to_reprice_shows_the_difference_and_writes_nothing(store: RawStore, warehouse: Path) -> None:
    land_run(store)
    load(store, warehouse)
    before = read_ledger(warehouse)
    own_price(warehouse, "7")

    with open_for_writing(warehouse, wait_s=5) as connection:
        [change] = plan_repricing(connection).to_dicts()

    assert (change["steps"], change["old_cost_usd"], change["new_cost_usd"]) == (1, Decimal("2.5"), Decimal(7))
    assert cost(warehouse) == Decimal("2.5")
    assert (read_ledger(warehouse), read(warehouse, "from repricings")) == (before, [])


def test_repricing_there_and_back_gives_the_same_ledger_and_logs_both(store: RawStore, warehouse: Path) -> None:
    land_run(store)
    load(store, warehouse)
    before = read_ledger(warehouse)
    own_price(warehouse, "7")
    reprice_all(warehouse, "there")
    between = cost(warehouse)
    (warehouse.parent / "own-prices.csv").unlink()

    reprice_all(warehouse, "back")

    assert between == Decimal(7)
    assert read_ledger(warehouse) == before
    log = read(warehouse, "select repricing_id, old_cost_usd, new_cost_usd from repricings order by repricing_id desc")
    assert log == [
        {"repricing_id": "there", "old_cost_usd": Decimal("2.5"), "new_cost_usd": Decimal(7)},
        {"repricing_id": "back", "old_cost_usd": Decimal(7), "new_cost_usd": Decimal("2.5")},
    ]


def test_repricing_one_model_leaves_the_ledger_of_the_others(store: RawStore, warehouse: Path) -> None:
    land_run(store)
    fields: Json = {"thread_id": "thread_2", "created_at": CREATED}
    runs = Listing(1, [run_of("run_2", model="gpt-4o-mini", **fields)], thread_id="thread_2")
    steps = [step_of("step_2", run_id="run_2", usage=MILLION, **fields)]
    land(store, runs, Listing(1, steps, thread_id="thread_2", run_id="run_2"), sync_id="sync_mini")
    load(store, warehouse)
    own_price(warehouse, "7")

    with open_for_writing(warehouse, wait_s=5) as connection:
        reprice(connection, repricing_id="one", now=NOW, model="gpt-4o")

    costs = read(warehouse, "select step_id, cost_usd from cost_ledger order by step_id")
    assert [tuple(row.values()) for row in costs] == [("step_1", Decimal(7)), ("step_2", Decimal("0.15"))]


def test_a_rebuild_keeps_what_sealed_runs_cost_and_what_was_repriced(store: RawStore, warehouse: Path) -> None:
    land_run(store)
    load(store, warehouse)
    own_price(warehouse, "7")
    reprice_all(warehouse)
    own_price(warehouse, "9")
    before = {
        table: read(warehouse, f"from {table} order by all") for table in read_sql_files("tables") if table != "prices"
    }

    rebuild(store, warehouse, wait_s=5)

    after = {table: read(warehouse, f"from {table} order by all") for table in before}
    assert after == before
    assert cost(warehouse) == Decimal(7)


def test_a_rebuild_without_a_warehouse_says_that_there_was_no_ledger_to_keep(store: RawStore, warehouse: Path) -> None:
    land_run(store)
    said: list[str] = []

    rebuild(store, warehouse, wait_s=5, no_ledger=lambda: said.append("priced anew"))

    assert said == ["priced anew"]
    assert cost(warehouse) == Decimal("2.5")


def test_a_rebuild_forgets_the_ledger_of_runs_that_are_in_no_part_any_more(store: RawStore, warehouse: Path) -> None:
    land_run(store)
    load(store, warehouse)
    shutil.rmtree(store.folder)
    land(store, Listing(0, [run_of("run_2")]))

    rebuild(store, warehouse, wait_s=5, without_pruned=True)

    assert read_ledger(warehouse) == []


def test_loading_in_another_order_gives_the_same_ledger(tmp_path: Path) -> None:
    ledgers = []
    for name, minutes in (("a", (0, 5)), ("b", (5, 0))):
        store, warehouse = RawStore(tmp_path / name / "raw"), tmp_path / name / "warehouse.duckdb"
        for minute in minutes:
            land_run(store, minute=minute)
            load(store, warehouse)
        ledgers.append(read_ledger(warehouse))

    assert ledgers[0] == ledgers[1]
    assert len(ledgers[0]) == 1


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tokens=st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=8
    ),
    other=st.decimals(0, 1000, places=6),
)
def test_repricing_random_usage_there_and_back_gives_the_same_ledger(
    memory: Any, tokens: list[tuple[int, int, int]], other: Decimal
) -> None:
    with rolled_back(memory) as connection:
        add_price(connection)
        add_run(connection)
        for index, (prompt, cached, completion) in enumerate(tokens):
            columns = {"prompt_tokens": prompt, "cached_tokens": cached, "completion_tokens": completion}
            add_step(connection, step_id=f"step_{index}", step_index=index, **columns)
        post_ledger(connection)
        before = read_rows(connection, "from cost_ledger order by all")
        connection.execute("update prices set input_usd_per_mtok = ?, price_id = 'other'", [str(other)])
        kept = read_rows(connection, "from cost_ledger order by all")
        post_ledger(connection)

        assert kept == before
        assert read_rows(connection, "from cost_ledger order by all") == before


@pytest.fixture(scope="module")
def memory() -> Any:
    with open_in_memory() as connection:
        yield connection


@pytest.mark.parametrize("has_steps", [True, False])
def test_a_finished_run_of_an_archive_keeps_its_cost_whether_its_steps_are_in_it_or_not(
    store: RawStore, warehouse: Path, has_steps: bool
) -> None:
    run = run_of("run_1", model="gpt-4o", created_at=CREATED, usage=MILLION)
    steps = [Listing(0, [step("step_1")], run_id="run_1", run_status=None, verdict="imported")] if has_steps else []
    own_price(warehouse, "1")
    land(store, Listing(0, [run], verdict="imported"), *steps)
    load_new_parts(store, warehouse, wait_s=5)

    own_price(warehouse, "7")
    rebuild(store, warehouse, wait_s=5)

    with looking_into(warehouse) as connection:
        assert read_frame(connection, "select cost_usd from run_costs")["cost_usd"].to_list() == [Decimal(1)]


def told(**tokens: int) -> list[Json]:
    """A step for each of these tokens of prompts; none, and it tells no usage."""
    return [
        {**step(name), "usage": {"prompt_tokens": n, "completion_tokens": 0, "total_tokens": n} if n else None}
        for name, n in tokens.items()
    ]


# What is there of a run of 1,000,000 tokens, and what then comes of it, time after time; None: no step at all.
ARRIVALS: dict[str, list[list[Json] | None]] = {
    "steps that tell all": [None, told(step_1=1_000_000)],
    "a step that tells a part": [None, told(step_1=400_000)],
    "steps one after the other": [None, told(step_1=400_000), told(step_1=400_000, step_2=600_000)],
    "more steps than before": [told(step_1=400_000), told(step_1=400_000, step_2=500_000)],
    "a step that tells nothing any more": [told(step_1=1_000_000), told(step_1=0)],
    "a step that tells less than before": [told(step_1=1_000_000), told(step_1=400_000)],
    "another step in its place": [told(step_1=1_000_000), told(step_2=1_000_000)],
}


def land_tokens(store: RawStore, minute: int) -> None:
    """What comes at that minute, each arrival in a thread of its name: the run and its steps, or the run alone."""
    run = run_of("run_1", model="prod", created_at=CREATED, usage=MILLION)
    listings: list[Listing] = []
    for thread_id, arrivals in ARRIVALS.items():
        for steps in arrivals[minute : minute + 1]:
            if steps is None:
                listings.append(Listing(minute, [run], thread_id=thread_id, verdict="imported"))
            else:
                listings.append(Listing(minute, [run], thread_id=thread_id))
                listings.append(Listing(minute, steps, thread_id=thread_id, run_id="run_1"))
    land(store, *listings, sync_id=f"sync_{minute}")


def costs(warehouse: Path) -> dict[str, Any]:
    """What the run costs, by arrival."""
    return {row["thread_id"]: row["cost_usd"] for row in read(warehouse, "select thread_id, cost_usd from run_costs")}


def price_prod(warehouse: Path, *rows: str) -> None:
    text = "\n".join(["model,min_input_tokens,max_input_tokens,input_usd_per_mtok,output_usd_per_mtok", *rows, ""])
    (warehouse.parent / "own-prices.csv").write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("rows", "kept"), [(["prod,,,3,4"], Decimal(3)), ([], None), (["prod,,200000,1,4", "prod,200001,,3,4"], None)]
)
def test_what_is_told_of_a_run_later_costs_what_the_run_did_until_it_is_repriced(
    store: RawStore, warehouse: Path, rows: list[str], kept: Decimal | None
) -> None:
    price_prod(warehouse, *rows)
    land_tokens(store, 0)
    load(store, warehouse)
    before = costs(warehouse)

    price_prod(warehouse, "prod,,,7,8")
    for minute in (1, 2):
        land_tokens(store, minute)
        load(store, warehouse)
    after = costs(warehouse)
    reprice_all(warehouse)

    assert after == before
    assert rows[1:] or before == dict.fromkeys(ARRIVALS, kept)
    assert costs(warehouse) == dict.fromkeys(ARRIVALS, Decimal(7))


@pytest.mark.parametrize("rows", [["prod,,200000,1,4", "prod,200001,,3,4"], ["prod,,500000,1,4"]])
def test_with_the_same_price_book_it_makes_no_difference_when_steps_are_told(tmp_path: Path, rows: list[str]) -> None:
    ledgers = []
    for name in ("one after the other", "at once"):
        store, warehouse = RawStore(tmp_path / name / "raw"), tmp_path / name / "warehouse.duckdb"
        warehouse.parent.mkdir()
        price_prod(warehouse, *rows)
        for minute in range(3):
            land_tokens(store, minute)
            if name == "one after the other":
                load(store, warehouse)
        load(store, warehouse)
        ledgers.append(read_ledger(warehouse))

    assert set(ARRIVALS) <= {value for row in ledgers[0] for value in row}
    assert ledgers[0] == ledgers[1]
