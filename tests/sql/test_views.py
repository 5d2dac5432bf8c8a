"""What the views say about money, tools and completeness, against rows whose answer is worked out by hand."""

import csv
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.held_views import holding_views
from pipeline.sqlfiles.schema import open_in_memory
from pipeline.warehouse.checks import checking
from tests.warehouse_rows import (
    SQL,
    Row,
    add_call,
    add_list_fees,
    add_list_prices,
    add_price,
    add_run,
    add_step,
    add_thread,
    add_walk,
    post_ledger,
    read_rows,
    read_value,
    rolled_back,
)

Connection = duckdb.DuckDBPyConnection


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Connection]:
    with open_in_memory() as con:
        add_list_fees(con)
        yield con


@pytest.fixture
def con(warehouse: Connection) -> Iterator[Connection]:
    with rolled_back(warehouse) as con:
        yield con


def usage(prompt: int | None, completion: int | None, cached: int | None = None) -> Row:
    total = None if prompt is None or completion is None else prompt + completion
    return {
        "prompt_tokens": prompt,
        "cached_tokens": cached,
        "completion_tokens": completion,
        "total_tokens": total,
    }


def add_costing_step(con: Connection, **columns: Any) -> None:
    """A step of 1,000,000 prompt tokens, which the default price makes 2.50 dollars."""
    add_step(con, **(usage(1_000_000, 0) | columns))


def add_kind(con: Connection, kind: str) -> None:
    """A sync that tells the kind of the source's server."""
    con.execute(
        "insert into syncs by name select 'sync' as sync_id, 'main' as source, now() as started_at, $1 as kind,"
        " '1' as pipeline_version",
        [kind],
    )


def step_cost(con: Connection, step_id: str = "step_1") -> Any:
    return read_value(con, f"select cost_usd from step_costs where step_id = '{step_id}'")


def run_check(con: Connection, name: str) -> list[Row]:
    return read_rows(con, (SQL / "checks" / f"{name}.sql").read_text("utf-8"))


# Costs of steps


@pytest.mark.parametrize(
    ("prompt", "cached", "completion", "expected"),
    [
        (1_000_000, 0, 0, "2.500000000000"),
        (0, 0, 1_000_000, "10.000000000000"),
        (1_000_000, 1_000_000, 0, "1.250000000000"),
        (1_000, 400, 100, "0.003000000000"),
        (1_000, None, 100, "0.003500000000"),
        (1, 0, 0, "0.000002500000"),
        (1, 1, 1, "0.000011250000"),
        (0, 0, 0, "0.000000000000"),
        (0, None, 0, "0.000000000000"),
        (123_456_789, 23_456_789, 987_654_321, "10155.864196250000"),
    ],
)
def test_a_step_costs_its_uncached_cached_and_output_tokens(
    con: Connection, prompt: int, cached: int | None, completion: int, expected: str
) -> None:
    add_price(con)
    add_run(con)
    add_step(con, **usage(prompt, completion, cached))

    assert step_cost(con) == Decimal(expected)


def test_the_three_parts_of_a_cost_are_shown_apart(con: Connection) -> None:
    add_price(con)
    add_run(con)
    add_step(con, **usage(1_000, 100, 400))

    [row] = read_rows(con, "select input_cost_usd, cached_cost_usd, output_cost_usd, price_id from step_costs")

    assert row == {
        "input_cost_usd": Decimal("0.0015"),
        "cached_cost_usd": Decimal("0.0005"),
        "output_cost_usd": Decimal("0.0010"),
        "price_id": "openai:gpt-4o:2024-10-02",
    }


def test_the_smallest_price_of_one_token_is_exact(con: Connection) -> None:
    add_price(con, input_usd_per_mtok="0.000001", cached_input_usd_per_mtok=None, output_usd_per_mtok="0")
    add_run(con)
    add_step(con, **usage(1, 0))

    assert step_cost(con) == Decimal("0.000000000001")


def test_reasoning_tokens_are_part_of_the_completion_and_not_charged_twice(con: Connection) -> None:
    add_price(con)
    add_run(con)
    add_step(con, reasoning_tokens=900_000, **usage(0, 1_000_000))

    assert step_cost(con) == Decimal(10)


def test_cached_tokens_cost_the_input_price_where_there_is_no_cached_price(con: Connection) -> None:
    add_price(con, cached_input_usd_per_mtok=None)
    add_run(con)
    add_step(con, **usage(1_000_000, 0, 600_000))

    [row] = read_rows(con, "select input_cost_usd, cached_cost_usd, cost_usd from step_costs")

    assert row == {
        "input_cost_usd": Decimal("1.0"),
        "cached_cost_usd": Decimal("1.5"),
        "cost_usd": Decimal("2.5"),
    }


@pytest.mark.parametrize(
    "columns",
    [
        usage(None, None),
        usage(1_000, None),
        usage(None, 1_000),
        usage(-1, 1_000),
        usage(1_000, -1),
        usage(1_000, 100, -1),
        usage(1_000, 100, 1_001),
        usage(10**15 + 1, 0),
        usage(0, 10**15 + 1),
    ],
)
def test_usage_that_is_unknown_or_cannot_be_costs_null_and_not_zero(con: Connection, columns: Row) -> None:
    add_price(con)
    add_run(con)
    add_step(con, **columns)

    assert step_cost(con) is None


def test_a_model_without_a_price_costs_null_even_for_zero_tokens(con: Connection) -> None:
    add_price(con)
    add_run(con, model="gpt-4o-finetuned")
    add_step(con, **usage(0, 0))

    assert step_cost(con) is None


def test_a_model_name_must_match_exactly(con: Connection) -> None:
    add_price(con)
    add_run(con, model="GPT-4o")
    add_step(con, **usage(1, 1))

    assert step_cost(con) is None


def test_a_step_whose_run_is_unknown_has_no_cost_but_stays(con: Connection) -> None:
    add_price(con)
    add_costing_step(con)

    [row] = read_rows(con, "select step_id, model, cost_usd from step_costs")

    assert row == {"step_id": "step_1", "model": None, "cost_usd": None}


def test_the_same_step_id_in_two_sources_is_two_steps(con: Connection) -> None:
    add_price(con)
    add_run(con, source="main")
    add_run(con, source="other", model="unknown")
    add_costing_step(con, source="main")
    add_costing_step(con, source="other")

    rows = read_rows(con, "select source, cost_usd from step_costs order by source")

    assert rows == [{"source": "main", "cost_usd": Decimal("2.5")}, {"source": "other", "cost_usd": None}]


def test_absurd_usage_breaks_no_view_check_or_query(con: Connection) -> None:
    add_price(con)
    # The model that what_if asks for if it is not told another.
    add_price(con, model="gpt-4o-mini", price_id="openai:gpt-4o-mini:2024-07-18")
    huge = dict.fromkeys(usage(0, 0, 0), 2**63 - 1) | {"reasoning_tokens": 2**63 - 1}
    add_run(con, **(huge | {"total_tokens": None}))
    add_walk(con)
    add_step(con, step_id="a", **(huge | {"total_tokens": None}))
    add_step(con, step_id="b", step_index=1, **huge)
    add_costing_step(con, step_id="c", step_index=2)
    for step in ("a", "b", "c"):
        add_call(con, step_id=step, arguments="{}")

    with checking(con):
        for path in sql_files("views"):
            read_rows(con, f"from {path.stem}")
        for path in sql_files("checks"):
            run_check(con, path.stem)
        for path in sql_files("queries"):
            run_query(con, path.stem)

    [row] = read_rows(con, "select steps, priced_steps, prompt_tokens, cost_usd from run_costs")
    assert row == {"steps": 3, "priced_steps": 1, "prompt_tokens": None, "cost_usd": Decimal("2.5")}


# Prices by date


def add_two_prices(con: Connection) -> None:
    add_price(
        con,
        valid_from="2024-05-13",
        valid_to="2024-10-02",
        input_usd_per_mtok="5",
        cached_input_usd_per_mtok=None,
        output_usd_per_mtok="15",
    )
    add_price(con)


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        ("2024-05-12T23:59:59Z", None),
        ("2024-05-13T00:00:00Z", "5.0"),
        ("2024-10-01T23:59:59Z", "5.0"),
        ("2024-10-02T00:00:00Z", "2.5"),
        ("2024-10-02T01:30:00+02:00", "5.0"),
        ("2024-10-01T20:00:00-05:00", "2.5"),
        ("2031-01-01T00:00:00Z", "2.5"),
    ],
)
def test_the_price_is_the_one_of_the_step_s_utc_day(con: Connection, created_at: str, expected: str | None) -> None:
    add_two_prices(con)
    add_run(con)
    add_costing_step(con, created_at=created_at)

    assert step_cost(con) == (None if expected is None else Decimal(expected))


def test_the_price_does_not_depend_on_the_session_s_time_zone(con: Connection) -> None:
    add_two_prices(con)
    add_run(con)
    add_costing_step(con, created_at="2024-10-02T00:30:00Z")

    con.execute("set TimeZone = 'America/New_York'")

    assert step_cost(con) == Decimal("2.5")
    assert read_value(con, "select cast(day as varchar) from daily_spend") == "2024-10-02"


def test_a_price_that_ended_leaves_the_days_after_it_without_a_price(con: Connection) -> None:
    add_price(con, valid_to="2024-11-20")
    add_run(con)
    add_costing_step(con, created_at="2024-11-20T00:00:00Z")

    assert step_cost(con) is None


def test_a_step_without_an_instant_takes_the_price_of_its_run_s_day(con: Connection) -> None:
    add_two_prices(con)
    add_run(con, created_at="2024-06-01T00:00:00Z")
    add_costing_step(con, created_at=None)

    assert step_cost(con) == Decimal(5)


def test_overlapping_prices_never_double_a_cost_and_the_later_one_wins(con: Connection) -> None:
    add_price(con, price_id="list", valid_from="2024-01-01")
    add_price(con, price_id="offer", valid_from="2024-11-01", valid_to="2024-12-01", input_usd_per_mtok="1")
    add_run(con)
    add_costing_step(con, step_id="before", step_index=0, created_at="2024-10-31T00:00:00Z")
    add_costing_step(con, step_id="during", step_index=1, created_at="2024-11-01T00:00:00Z")
    add_costing_step(con, step_id="after", step_index=2, created_at="2024-12-01T00:00:00Z")

    rows = read_rows(con, "select step_id, price_id, cost_usd from step_costs order by step_index")

    assert rows == [
        {"step_id": "before", "price_id": "list", "cost_usd": Decimal("2.5")},
        {"step_id": "during", "price_id": "offer", "cost_usd": Decimal("1.0")},
        {"step_id": "after", "price_id": "list", "cost_usd": Decimal("2.5")},
    ]


def test_two_prices_of_the_same_day_give_one_cost(con: Connection) -> None:
    add_price(con, price_id="a")
    add_price(con, price_id="b", input_usd_per_mtok="3")
    add_run(con)
    add_costing_step(con)

    assert read_rows(con, "select price_id, cost_usd from step_costs") == [{"price_id": "b", "cost_usd": Decimal(3)}]


# The shipped price list


@pytest.mark.parametrize(
    ("model", "created_at", "columns", "expected"),
    [
        ("gpt-4o", "2024-09-30T12:00:00Z", usage(1_000_000, 1_000_000), "20"),
        ("gpt-4o", "2024-10-02T12:00:00Z", usage(1_000_000, 1_000_000, 1_000_000), "11.25"),
        ("gpt-4o", "2024-10-02T12:00:00Z", usage(1_000_000, 0), "2.5"),
        ("gpt-4o-2024-05-13", "2025-06-01T12:00:00Z", usage(1_000_000, 1_000_000, 1_000_000), "20"),
        ("gpt-4o-2024-08-06", "2024-09-30T12:00:00Z", usage(1_000_000, 0, 1_000_000), "2.5"),
        ("gpt-4o-2024-08-06", "2024-10-01T12:00:00Z", usage(1_000_000, 0, 1_000_000), "1.25"),
        ("gpt-4o-2024-11-20", "2025-01-01T12:00:00Z", usage(1_000_000, 0, 1_000_000), "1.25"),
        ("gpt-4o-mini", "2024-08-01T12:00:00Z", usage(1_000_000, 1_000_000, 1_000_000), "0.75"),
        ("gpt-4o-mini", "2024-12-01T12:00:00Z", usage(1_000_000, 1_000_000, 1_000_000), "0.675"),
        ("gpt-4-turbo", "2024-05-01T12:00:00Z", usage(1_000_000, 1_000_000), "40"),
        ("gpt-4-1106-preview", "2023-11-06T12:00:00Z", usage(1_000_000, 1_000_000), "40"),
        ("gpt-4-0125-preview", "2024-02-01T12:00:00Z", usage(1_000_000, 1_000_000), "40"),
        ("gpt-4-0613", "2024-02-01T12:00:00Z", usage(1_000_000, 1_000_000), "90"),
        ("gpt-4-32k-0613", "2024-02-01T12:00:00Z", usage(1_000_000, 1_000_000), "180"),
        ("gpt-3.5-turbo", "2024-02-15T12:00:00Z", usage(1_000_000, 1_000_000), "3.5"),
        ("gpt-3.5-turbo", "2024-02-16T12:00:00Z", usage(1_000_000, 1_000_000), "2"),
        ("gpt-3.5-turbo-16k", "2024-02-16T12:00:00Z", usage(1_000_000, 1_000_000), "7"),
        ("gpt-35-turbo", "2025-01-12T12:00:00Z", usage(1_000_000, 1_000_000), None),
        ("gpt-35-turbo", "2025-01-13T12:00:00Z", usage(1_000_000, 1_000_000), "2"),
        ("gpt-35-turbo-16k", "2024-06-01T12:00:00Z", usage(1_000_000, 1_000_000), "7"),
        ("gpt-4.1", "2025-05-01T12:00:00Z", usage(1_000_000, 1_000_000, 1_000_000), "8.5"),
        ("gpt-4.5-preview", "2025-03-01T12:00:00Z", usage(1_000_000, 1_000_000), "225"),
        ("o1", "2025-03-01T12:00:00Z", usage(1_000_000, 1_000_000), "75"),
        ("o3", "2025-06-09T12:00:00Z", usage(1_000_000, 1_000_000), "50"),
        ("o3", "2025-06-10T12:00:00Z", usage(1_000_000, 1_000_000, 1_000_000), "8.5"),
        ("o3-mini", "2025-06-10T12:00:00Z", usage(1_000_000, 1_000_000, 1_000_000), "4.95"),
        ("gpt-5-nano", "2025-08-07T12:00:00Z", usage(1_000_000, 1_000_000, 1_000_000), "0.405"),
        ("gpt-4o-mini-2024-07-18", "2024-07-17T12:00:00Z", usage(1, 1), None),
        ("my-deployment", "2025-08-07T12:00:00Z", usage(1, 1), None),
    ],
)
def test_the_shipped_list_prices_a_model_as_it_was_on_that_day(
    con: Connection, model: str, created_at: str, columns: Row, expected: str | None
) -> None:
    add_list_prices(con)
    add_run(con, model=model)
    add_step(con, created_at=created_at, **columns)

    assert step_cost(con) == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("kind", "model", "created_at", "columns", "price_id", "expected"),
    [
        ("azure-openai", "gpt-4o", "2024-12-01", usage(1_000_000, 1_000_000), "azure:gpt-4o:2024-05-13", "20"),
        ("openai", "gpt-4o", "2024-12-01", usage(1_000_000, 1_000_000), "openai:gpt-4o:2024-10-02", "12.5"),
        ("portkey", "gpt-4o", "2024-12-01", usage(1_000_000, 1_000_000), "openai:gpt-4o:2024-10-02", "12.5"),
        ("litellm", "gpt-4o", "2024-12-01", usage(1_000_000, 1_000_000), "openai:gpt-4o:2024-10-02", "12.5"),
        ("compatible", "gpt-4o", "2024-12-01", usage(1_000_000, 1_000_000), "openai:gpt-4o:2024-10-02", "12.5"),
        # 400,000 at 2.50, 600,000 cached at 1.25, 100,000 at 10.
        ("foundry", "gpt-4o", "2025-02-13", usage(1_000_000, 100_000, 600_000), "azure:gpt-4o:2025-02-13", "2.75"),
        # 400,000 at 0.15, 600,000 cached at 0.075, 100,000 at 0.60.
        (
            "foundry",
            "gpt-4o-mini",
            "2025-02-13",
            usage(1_000_000, 100_000, 600_000),
            "azure:gpt-4o-mini:2024-07-18",
            "0.165",
        ),
        ("foundry", "gpt-4.1", "2025-05-01", usage(1_000_000, 1_000_000, 1_000_000), "azure:gpt-4.1:2025-04-14", "8.5"),
        ("foundry", "grok-3", "2025-06-01", usage(1_000_000, 1_000_000), "azure:grok-3:2025-05-19", "18"),
        # Names that openai has no row of: Azure's holds for a gateway, not the other way round.
        ("litellm", "grok-3", "2025-06-01", usage(1_000_000, 1_000_000), "azure:grok-3:2025-05-19", "18"),
        (
            "openai",
            "ft:gpt-3.5-turbo-0125:a::b",
            "2025-06-01",
            usage(1_000_000, 1_000_000),
            "openai:ft:gpt-3.5-turbo-*:2023-08-22",
            "9",
        ),
        ("foundry", "ft:gpt-3.5-turbo-0125:a::b", "2025-06-01", usage(1_000_000, 1_000_000), None, None),
        # Days for which azure's row says nothing stay without a price though openai has one.
        ("azure-openai", "gpt-4", "2025-06-05", usage(1_000_000, 1_000_000), "azure:gpt-4:2023-03-14", "90"),
        ("azure-openai", "gpt-4", "2025-06-06", usage(1_000_000, 1_000_000), None, None),
        ("openai", "gpt-4", "2025-06-06", usage(1_000_000, 1_000_000), "openai:gpt-4:2023-03-14", "90"),
        ("foundry", "o3", "2025-06-09", usage(1_000_000, 1_000_000), None, None),
        ("foundry", "o3", "2025-06-10", usage(1_000_000, 1_000_000), "azure:o3:2025-06-10", "10"),
    ],
)
def test_each_source_is_priced_by_the_rows_of_the_provider_that_charges_it(
    con: Connection,
    kind: str,
    model: str,
    created_at: str,
    columns: Row,
    price_id: str | None,
    expected: str | None,
) -> None:
    add_list_prices(con)
    add_kind(con, kind)
    add_run(con, model=model)
    add_step(con, created_at=f"{created_at}T12:00:00Z", **columns)

    [row] = read_rows(con, "select price_id, cost_usd from step_costs")

    assert (row["price_id"], row["cost_usd"]) == (price_id, None if expected is None else Decimal(expected))


def test_within_a_rank_the_own_provider_wins_over_a_longer_pattern_and_a_later_row(con: Connection) -> None:
    add_price(con, model="house-*", match="pattern", input_usd_per_mtok="1")
    add_price(con, model="house-l*", match="pattern", provider="azure", input_usd_per_mtok="2", valid_from="2024-11-01")
    add_price(con, model="house-large", provider="azure", input_usd_per_mtok="4", valid_from="2024-11-19")
    add_run(con, model="house-large")
    add_step(con, step_id="early", created_at="2024-11-18T12:00:00Z", **usage(1_000_000, 0))
    add_step(con, step_id="late", **usage(1_000_000, 0))

    rows = read_rows(con, "select step_id, cost_usd from step_costs order by step_id")

    assert [(row["step_id"], row["cost_usd"]) for row in rows] == [("early", Decimal(1)), ("late", Decimal(4))]


def test_the_shipped_list_passes_its_checks_and_every_row_says_where_it_is_from(con: Connection) -> None:
    add_list_prices(con)

    assert run_check(con, "price_overlaps") == []
    assert run_check(con, "price_values") == []
    assert read_value(con, "select count(*) - count(distinct price_id) from prices") == 0
    assert read_value(con, "select count(*) from prices where source = ''") == 0


def test_the_shipped_list_has_the_documented_header() -> None:
    with (SQL.parent / "data" / "prices.csv").open(encoding="utf-8", newline="") as lines:
        header = next(csv.reader(lines))

    assert header == [
        "price_id",
        "provider",
        "model",
        "match",
        "stands_for",
        "tier",
        "sku",
        "min_input_tokens",
        "max_input_tokens",
        "valid_from",
        "valid_to",
        "input_usd_per_mtok",
        "cached_input_usd_per_mtok",
        "cache_write_usd_per_mtok",
        "output_usd_per_mtok",
        "source",
        "read_on",
    ]


def test_every_dated_snapshot_costs_what_its_alias_costs_at_the_end_of_the_list(con: Connection) -> None:
    add_list_prices(con)
    add_run(con)

    rows = read_rows(
        con,
        """
        select alias.model
        from price_periods as alias
        inner join price_periods as snapshot
            on regexp_matches(snapshot.model, '^' || alias.model || '-20[0-9-]+$')
            and snapshot.valid_to is null
            and snapshot.tier = alias.tier
            and snapshot.min_input_tokens = alias.min_input_tokens
        where
            alias.valid_to is null
            and snapshot.model <> 'gpt-4o-2024-05-13'
            and (alias.input_usd_per_mtok, alias.cached_input_usd_per_mtok, alias.output_usd_per_mtok)
            is distinct from (
                snapshot.input_usd_per_mtok, snapshot.cached_input_usd_per_mtok, snapshot.output_usd_per_mtok
            )
        """,
    )

    assert rows == []


# Costs of runs and threads


def test_a_run_costs_the_sum_of_its_steps_and_says_how_many_are_unpriced(con: Connection) -> None:
    add_price(con)
    add_run(con)
    add_costing_step(con, step_id="a", step_index=0)
    add_step(con, step_id="b", step_index=1, **usage(0, 100))
    add_step(con, step_id="c", step_index=2)

    [row] = read_rows(
        con, "select steps, priced_steps, unpriced_steps, prompt_tokens, completion_tokens, cost_usd from run_costs"
    )

    assert row == {
        "steps": 3,
        "priced_steps": 2,
        "unpriced_steps": 1,
        "prompt_tokens": 1_000_000,
        "completion_tokens": 100,
        "cost_usd": Decimal("2.501"),
    }


def test_a_run_whose_steps_all_lack_usage_costs_null(con: Connection) -> None:
    add_price(con)
    add_run(con)
    add_step(con)

    [row] = read_rows(con, "select steps, unpriced_steps, total_tokens, cost_usd from run_costs")

    assert row == {"steps": 1, "unpriced_steps": 1, "total_tokens": None, "cost_usd": None}


def test_a_run_without_steps_is_there_with_no_cost(con: Connection) -> None:
    add_run(con)

    assert read_rows(con, "select run_id, steps, unpriced_steps, cost_usd from run_costs") == [
        {"run_id": "run_1", "steps": 0, "unpriced_steps": 0, "cost_usd": None}
    ]


def test_steps_without_a_run_still_make_a_run(con: Connection) -> None:
    add_costing_step(con)

    assert read_rows(con, "select run_id, thread_id, status, steps, total_tokens from run_costs") == [
        {"run_id": "run_1", "thread_id": "thread_1", "status": None, "steps": 1, "total_tokens": 1_000_000}
    ]


def test_a_thread_costs_the_sum_of_its_runs(con: Connection) -> None:
    add_price(con)
    for run in ("run_1", "run_2"):
        add_run(con, run_id=run)
        add_costing_step(con, step_id=f"step_of_{run}", run_id=run)

    [row] = read_rows(con, "select thread_id, thread_status, runs, steps, cost_usd from thread_costs")

    assert row == {
        "thread_id": "thread_1",
        "thread_status": None,
        "runs": 2,
        "steps": 2,
        "cost_usd": Decimal(5),
    }


def test_a_missing_thread_is_listed_with_no_cost(con: Connection) -> None:
    add_thread(con, thread_id="thread_gone", status="missing", run_count=0)

    assert read_rows(con, "select thread_id, thread_status, runs, cost_usd from thread_costs") == [
        {"thread_id": "thread_gone", "thread_status": "missing", "runs": 0, "cost_usd": None}
    ]


def test_code_interpreter_fees_stand_beside_a_thread_s_cost_and_not_in_it(con: Connection) -> None:
    add_price(con)
    add_thread(con)
    add_run(con)
    add_costing_step(con)
    add_call(con, type="code_interpreter", name="code_interpreter")

    [row] = read_rows(con, "select cost_usd, code_interpreter_sessions, code_interpreter_fee_usd from thread_costs")

    assert row == {
        "cost_usd": Decimal("2.5"),
        "code_interpreter_sessions": 1,
        "code_interpreter_fee_usd": Decimal("0.03"),
    }


# Costs of tool calls


def call_shares(con: Connection) -> list[tuple[str, Any]]:
    rows = read_rows(con, "select method, cost_usd from tool_call_costs order by step_id, call_index")
    return [(row["method"], row["cost_usd"]) for row in rows]


def add_calling_step(con: Connection, arguments: list[str | None], **columns: Any) -> None:
    add_price(con, input_usd_per_mtok="1", cached_input_usd_per_mtok=None, output_usd_per_mtok="1")
    add_run(con)
    add_step(con, **(usage(0, 1_000_000) | columns))
    for index, text in enumerate(arguments):
        add_call(con, call_index=index, arguments=text)


def test_a_single_call_has_the_whole_cost_of_its_step(con: Connection) -> None:
    add_calling_step(con, [None])

    assert call_shares(con) == [("exact", Decimal(1))]


def test_calls_share_their_step_s_cost_by_the_bytes_of_their_arguments(con: Connection) -> None:
    add_calling_step(con, ["x", "xxx"])

    assert call_shares(con) == [("by_bytes", Decimal("0.25")), ("by_bytes", Decimal("0.75"))]


@pytest.mark.parametrize(
    "neighbours",
    [["x" * 999], [None], [""], ["x" * 999, None], ["x", "xx"]],
    ids=["long", "unknown", "empty", "both", "short"],
)
def test_calls_share_the_prompt_of_their_step_evenly_whatever_their_neighbours(
    con: Connection, neighbours: list[str | None]
) -> None:
    add_calling_step(con, ["x", *neighbours], prompt_tokens=1_000_000, cached_tokens=250_000, completion_tokens=0)

    shares = [cost for _, cost in call_shares(con)]

    assert max(shares) - min(shares) <= Decimal("0.000000000001")
    assert sum(shares) == Decimal(1)


def test_a_prompt_is_shared_evenly_and_a_completion_by_bytes(con: Connection) -> None:
    add_calling_step(con, ["x", "xxx"], prompt_tokens=1_000_000)

    assert call_shares(con) == [("by_bytes", Decimal("0.75")), ("by_bytes", Decimal("1.25"))]


def test_what_was_written_to_the_cache_is_a_part_of_the_prompt(con: Connection) -> None:
    add_calling_step(con, ["x", "xxx"], prompt_tokens=1_000_000, cache_write_tokens=1_000_000, completion_tokens=0)

    assert call_shares(con) == [("by_bytes", Decimal("0.5")), ("by_bytes", Decimal("0.5"))]


def test_what_two_roundings_leave_goes_to_the_last_call(con: Connection) -> None:
    add_calling_step(con, ["x", "x", "x"], prompt_tokens=1, completion_tokens=2)

    assert [cost for _, cost in call_shares(con)] == [
        Decimal("0.000000999999"),
        Decimal("0.000000999999"),
        Decimal("0.000001000002"),
    ]


def test_a_letter_of_two_bytes_weighs_two(con: Connection) -> None:
    add_calling_step(con, ["é", "xx"])

    assert call_shares(con) == [("by_bytes", Decimal("0.5")), ("by_bytes", Decimal("0.5"))]


@pytest.mark.parametrize("missing", [None, ""])
def test_calls_share_evenly_when_one_has_no_arguments(con: Connection, missing: str | None) -> None:
    add_calling_step(con, ["xxxxxxx", missing])

    assert call_shares(con) == [("even", Decimal("0.5")), ("even", Decimal("0.5"))]


def test_a_third_is_cut_and_the_last_call_takes_the_rest(con: Connection) -> None:
    add_calling_step(con, [None, None, None])

    assert call_shares(con) == [
        ("even", Decimal("0.333333333333")),
        ("even", Decimal("0.333333333333")),
        ("even", Decimal("0.333333333334")),
    ]


def test_a_cost_too_small_to_divide_goes_to_the_last_call(con: Connection) -> None:
    add_price(con, input_usd_per_mtok="0.000001", cached_input_usd_per_mtok=None)
    add_run(con)
    add_step(con, **usage(2, 0))
    for index in range(3):
        add_call(con, call_index=index)

    assert call_shares(con) == [("even", Decimal(0)), ("even", Decimal(0)), ("even", Decimal("0.000000000002"))]


def test_the_calls_of_a_step_that_cost_nothing_cost_nothing(con: Connection) -> None:
    add_calling_step(con, ["x", "y"], completion_tokens=0)

    assert call_shares(con) == [("by_bytes", Decimal(0)), ("by_bytes", Decimal(0))]


def test_the_calls_of_an_unpriced_step_have_no_cost(con: Connection) -> None:
    add_calling_step(con, ["x", "y"], prompt_tokens=None)

    assert call_shares(con) == [("by_bytes", None), ("by_bytes", None)]


def test_a_call_without_its_step_stays_with_no_cost(con: Connection) -> None:
    add_call(con)

    assert call_shares(con) == [("exact", None)]
    assert [row["step_id"] for row in run_check(con, "orphan_tool_calls")] == ["step_1"]


# Use of tools


def test_a_tool_s_use_is_counted_by_call_step_run_and_thread(con: Connection) -> None:
    add_price(con)
    add_run(con, run_id="run_1")
    add_run(con, run_id="run_2", thread_id="thread_2")
    add_costing_step(con, completed_at="2024-11-20T12:00:04Z")
    add_call(con, call_index=0, arguments="{}", output="four")
    add_call(con, call_index=1, arguments="{}", output='{"error": "no such city"}')

    [row] = read_rows(con, "select * exclude (source, type) from tool_usage")

    assert row == {
        "name": "look_up",
        "calls": 2,
        "steps": 1,
        "runs": 1,
        "threads": 1,
        "run_share": 0.5,
        "failures": 1,
        "retries": 0,
        "p50_duration_s": 4.0,
        "p95_duration_s": 4.0,
        "arguments_bytes": 4,
        "output_bytes": 29,
        "unpriced_calls": 0,
        "cost_usd": Decimal("2.5"),
        "carried_cost_usd": Decimal(0),
        "child_cost_usd": None,
    }


def test_durations_count_a_step_once_and_leave_out_steps_that_never_ended(con: Connection) -> None:
    add_run(con)
    add_step(con, step_id="a", completed_at="2024-11-20T12:00:02Z")
    add_step(con, step_id="b", step_index=1, failed_at="2024-11-20T12:00:10Z")
    add_step(con, step_id="c", step_index=2)
    for step in ("a", "b", "c"):
        add_call(con, step_id=step, call_index=0)
        add_call(con, step_id=step, call_index=1)

    [row] = read_rows(con, "select steps, p50_duration_s, p95_duration_s from tool_usage")

    assert row == {"steps": 3, "p50_duration_s": 6.0, "p95_duration_s": pytest.approx(9.6)}


@pytest.mark.parametrize(
    ("step", "call", "run", "reason"),
    [
        ({"status": "failed"}, {}, {}, "step_failed"),
        ({"last_error_code": "server_error"}, {}, {}, "step_failed"),
        ({"status": "expired"}, {}, {}, "step_expired"),
        ({}, {"type": "code_interpreter", "output": "x\nTraceback (most recent call last):\n"}, {}, "traceback"),
        ({}, {"output": '{"error": "no such city"}'}, {}, "error_output"),
        ({}, {"output": ' {"error": {"code": 7}}'}, {}, "error_output"),
        ({"status": "in_progress"}, {"output": None}, {"status": "expired"}, "unanswered"),
        ({"status": "in_progress"}, {"type": "mcp", "output": None}, {"status": "expired"}, "unanswered"),
        ({"status": "in_progress"}, {"type": "file_search", "output": None}, {"status": "expired"}, None),
        ({"status": "cancelled"}, {"output": None}, {"status": "cancelled"}, None),
        ({}, {"output": None}, {}, None),
        ({}, {"output": '{"error": null}'}, {}, None),
        ({}, {"output": '{"error": false, "ok": true}'}, {}, None),
        ({}, {"output": '{"data": {"error": "deep"}}'}, {}, None),
        ({}, {"output": '{"error": not json'}, {}, None),
        ({}, {"output": "Traceback (most recent call last)"}, {}, None),
    ],
)
def test_a_tool_call_fails_for_one_reason_or_not_at_all(
    con: Connection, step: Row, call: Row, run: Row, reason: str | None
) -> None:
    add_run(con, **run)
    add_step(con, **step)
    add_call(con, **({"output": "fine"} | call))

    reasons = [row["reason"] for row in read_rows(con, "select reason from tool_failures")]

    assert reasons == ([] if reason is None else [reason])


def test_a_repeated_call_is_one_with_the_same_name_and_arguments_in_the_same_run(con: Connection) -> None:
    add_price(con)
    for run in ("run_1", "run_2"):
        add_run(con, run_id=run)
    add_costing_step(con, step_id="z_first", step_index=0)
    add_costing_step(con, step_id="a_second", step_index=1)
    add_costing_step(con, step_id="elsewhere", run_id="run_2")
    add_call(con, step_id="z_first", arguments='{"city":"Rome"}')
    add_call(con, step_id="a_second", call_index=0, arguments='{"city":"Rome"}')
    add_call(con, step_id="a_second", call_index=1, arguments='{"city":"Oslo"}')
    add_call(con, step_id="elsewhere", run_id="run_2", arguments='{"city":"Rome"}')

    rows = read_rows(con, "select step_id, call_index, repetition, first_step_id, cost_usd from repeated_tool_calls")

    assert rows == [
        {
            "step_id": "a_second",
            "call_index": 0,
            "repetition": 1,
            "first_step_id": "z_first",
            "cost_usd": Decimal("1.25"),
        }
    ]


def test_calls_without_arguments_are_never_repetitions(con: Connection) -> None:
    add_run(con)
    add_step(con)
    add_call(con, call_index=0, type="file_search")
    add_call(con, call_index=1, type="file_search")

    assert read_rows(con, "select step_id from repeated_tool_calls") == []


# Code interpreter sessions


def add_uses(con: Connection, instants: list[str], thread_id: str = "thread_1") -> None:
    for instant in instants:
        step_id = f"{thread_id}_{instant}"
        add_step(con, step_id=step_id, thread_id=thread_id, run_id=f"run_of_{thread_id}", created_at=instant)
        add_call(con, step_id=step_id, thread_id=thread_id, run_id=f"run_of_{thread_id}", type="code_interpreter")


def session_starts(con: Connection) -> list[tuple[str, int]]:
    rows = read_rows(
        con,
        "select strftime(started_at, '%H:%M:%S') as start, steps from code_interpreter_sessions order by all",
    )
    return [(row["start"], row["steps"]) for row in rows]


@pytest.mark.parametrize(
    ("instants", "expected"),
    [
        (["2024-11-20T12:00:00Z"], [("12:00:00", 1)]),
        (["2024-11-20T12:00:00Z", "2024-11-20T12:59:59Z"], [("12:00:00", 2)]),
        (["2024-11-20T12:00:00Z", "2024-11-20T13:00:00Z"], [("12:00:00", 1), ("13:00:00", 1)]),
        (
            # The third use is within an hour of the second, but the session it belongs to began at 12:00.
            ["2024-11-20T12:00:00Z", "2024-11-20T12:40:00Z", "2024-11-20T13:20:00Z", "2024-11-20T14:00:00Z"],
            [("12:00:00", 2), ("13:20:00", 2)],
        ),
        (
            ["2024-11-20T23:30:00Z", "2024-11-21T00:29:59Z", "2024-11-21T00:30:00Z"],
            [("00:30:00", 1), ("23:30:00", 2)],
        ),
    ],
)
def test_a_session_lasts_one_hour_from_its_first_use(
    con: Connection, instants: list[str], expected: list[tuple[str, int]]
) -> None:
    add_uses(con, instants)

    assert session_starts(con) == expected


def test_each_thread_has_sessions_of_its_own(con: Connection) -> None:
    add_uses(con, ["2024-11-20T12:00:00Z"], "thread_1")
    add_uses(con, ["2024-11-20T12:30:00Z"], "thread_2")

    assert session_starts(con) == [("12:00:00", 1), ("12:30:00", 1)]


def test_two_uses_in_one_second_are_one_session(con: Connection) -> None:
    add_run(con)
    add_step(con, step_id="a")
    add_step(con, step_id="b", step_index=1)
    add_call(con, step_id="a", type="code_interpreter", call_index=0)
    add_call(con, step_id="a", type="code_interpreter", call_index=1)
    add_call(con, step_id="b", type="code_interpreter")

    [row] = read_rows(con, "select steps, calls, provider, fee_usd from code_interpreter_sessions")

    assert row == {"steps": 2, "calls": 3, "provider": "openai", "fee_usd": Decimal("0.03")}


def test_other_tools_open_no_session(con: Connection) -> None:
    add_step(con)
    add_call(con, type="function")

    assert session_starts(con) == []


@settings(max_examples=40, deadline=None)
@given(seconds=st.lists(st.integers(min_value=0, max_value=6 * 3600), min_size=1, max_size=40))
def test_sessions_are_those_of_a_plain_walk_over_the_uses(warehouse: Connection, seconds: list[int]) -> None:
    expected: list[int] = []
    for second in sorted(seconds):
        if not expected or second - expected[-1] >= 3600:
            expected.append(second)

    with rolled_back(warehouse) as con:
        for index, second in enumerate(seconds):
            instant = f"2024-11-20T{second // 3600:02}:{second % 3600 // 60:02}:{second % 60:02}Z"
            add_step(con, step_id=f"step_{index}", step_index=index, created_at=instant)
            add_call(con, step_id=f"step_{index}", type="code_interpreter")
        rows = read_rows(
            con,
            "select epoch(started_at)::bigint % 86400 as second, steps from code_interpreter_sessions order by 1",
        )

    assert [row["second"] for row in rows] == expected
    assert sum(row["steps"] for row in rows) == len(seconds)


# Spend

VIEWS_WITH = "select view_name from duckdb_views() join duckdb_columns() on view_name = table_name where column_name ="


def test_views_with_an_instant_have_its_day_too(con: Connection) -> None:
    """But for those that are there for other views only."""
    having = {
        column: {view for (view,) in con.execute(f"{VIEWS_WITH} '{column}'").fetchall()}
        for column in ("created_at", "created_on")
    }
    told = having["created_on"]

    assert {name for name in having["created_at"] - told if not name.startswith("unstored_")} == set()
    assert len(told) > 8


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_the_day_of_a_run_is_the_utc_day_wherever_the_reader_is(con: Connection, zone: str) -> None:
    add_run(con, created_at="2024-11-20T23:59:59Z", status="requires_action")
    con.execute(f"set timezone = '{zone}'")

    for view in ("run_costs", "waiting_runs"):
        assert read_rows(con, f"select cast(created_on as varchar) as day from {view}") == [{"day": "2024-11-20"}]


def test_spend_is_by_utc_day_and_a_run_over_midnight_counts_on_both(con: Connection) -> None:
    add_price(con)
    add_run(con)
    add_costing_step(con, step_id="a", step_index=0, created_at="2024-11-20T23:59:59Z", cached_tokens=250_000)
    add_costing_step(con, step_id="b", step_index=1, created_at="2024-11-21T00:00:00Z")

    rows = read_rows(
        con,
        "select cast(day as varchar) as day, runs, prompt_tokens, cached_share, cost_usd from daily_spend order by day",
    )

    assert rows == [
        {
            "day": "2024-11-20",
            "runs": 1,
            "prompt_tokens": 1_000_000,
            "cached_share": 0.25,
            "cost_usd": Decimal("2.1875"),
        },
        {
            "day": "2024-11-21",
            "runs": 1,
            "prompt_tokens": 1_000_000,
            "cached_share": None,
            "cost_usd": Decimal("2.5"),
        },
    ]


def test_an_assistant_s_median_run_is_a_run_and_exact(con: Connection) -> None:
    add_price(con)
    for index, prompt in enumerate([1_000_000, 2_000_000, 4_000_000]):
        add_run(con, run_id=f"run_{index}")
        add_step(con, step_id=f"step_{index}", run_id=f"run_{index}", **usage(prompt, 0))

    [row] = read_rows(con, "select runs, threads, cost_usd, median_run_cost_usd, max_run_cost_usd from assistant_spend")

    assert row == {
        "runs": 3,
        "threads": 1,
        "cost_usd": Decimal("17.5"),
        "median_run_cost_usd": Decimal(5),
        "max_run_cost_usd": Decimal(10),
    }


def test_unpriced_tokens_are_listed_by_model_and_an_unknown_model_is_null(con: Connection) -> None:
    add_price(con)
    add_run(con, run_id="run_1", model="my-deployment")
    add_run(con, run_id="run_2", model=None)
    add_run(con, run_id="run_3", model="gpt-4o")
    add_run(con, run_id="run_4", model="my-deployment")
    add_costing_step(con, step_id="a", run_id="run_1")
    add_costing_step(con, step_id="b", run_id="run_2")
    add_costing_step(con, step_id="c", run_id="run_3")
    add_step(con, step_id="d", run_id="run_4")

    rows = read_rows(con, "select model, runs, steps, total_tokens from unpriced_usage order by model nulls last")

    assert rows == [
        {"model": "my-deployment", "runs": 1, "steps": 1, "total_tokens": 1_000_000},
        {"model": None, "runs": 1, "steps": 1, "total_tokens": 1_000_000},
    ]


def test_a_known_model_is_unpriced_only_on_the_days_without_a_price(con: Connection) -> None:
    add_price(con)
    add_run(con)
    add_costing_step(con, step_id="a", created_at="2024-10-01T12:00:00Z")
    add_costing_step(con, step_id="b", step_index=1, created_at="2024-10-02T12:00:00Z")

    assert read_rows(con, "select model, steps from unpriced_usage") == [{"model": "gpt-4o", "steps": 1}]


def test_a_connected_agent_s_run_stands_beside_its_call_and_not_in_it(con: Connection) -> None:
    add_price(con)
    add_run(con, run_id="parent")
    add_run(con, run_id="child", thread_id="thread_child")
    add_costing_step(con, step_id="calling", run_id="parent")
    add_costing_step(con, step_id="called", run_id="child", thread_id="thread_child", prompt_tokens=4_000_000)
    agent: Row = {"type": "connected_agent", "step_id": "calling", "run_id": "parent"}
    add_call(con, **agent, call_index=0, child_thread_id="thread_child", child_run_id="child")
    add_call(con, **agent, call_index=1, child_thread_id="thread_lost", child_run_id="lost")

    rows = read_rows(
        con,
        "select child_run_id, is_child_known, call_cost_usd, child_cost_usd from connected_agent_costs "
        "order by call_index",
    )

    assert rows == [
        {
            "child_run_id": "child",
            "is_child_known": True,
            "call_cost_usd": Decimal("1.25"),
            "child_cost_usd": Decimal(10),
        },
        {
            "child_run_id": "lost",
            "is_child_known": False,
            "call_cost_usd": Decimal("1.25"),
            "child_cost_usd": None,
        },
    ]
    assert read_value(con, "select cost_usd from run_costs where run_id = 'parent'") == Decimal("2.5")


# Waste


def test_unfinished_runs_are_those_that_were_paid_and_came_to_nothing(con: Connection) -> None:
    add_price(con)
    for index, status in enumerate(["completed", "expired", "failed", "cancelled", "incomplete", "failed"]):
        add_run(con, run_id=f"run_{index}", status=status, model="gpt-4o" if index < 5 else "my-deployment")
        add_costing_step(con, step_id=f"step_{index}", run_id=f"run_{index}")
    add_run(con, run_id="no_quota", status="failed")
    add_step(con, step_id="step_no_quota", run_id="no_quota", **usage(0, 0))

    rows = read_rows(con, "select run_id, status, cost_usd from unfinished_run_costs order by run_id")

    assert rows == [
        {"run_id": "run_1", "status": "expired", "cost_usd": Decimal("2.5")},
        {"run_id": "run_2", "status": "failed", "cost_usd": Decimal("2.5")},
        {"run_id": "run_3", "status": "cancelled", "cost_usd": Decimal("2.5")},
        {"run_id": "run_4", "status": "incomplete", "cost_usd": Decimal("2.5")},
        {"run_id": "run_5", "status": "failed", "cost_usd": None},
    ]


def test_a_waiting_run_names_the_functions_that_it_waits_for(con: Connection) -> None:
    add_run(con, status="requires_action", sealed=False)
    add_step(con, status="in_progress")
    for index, (name, output) in enumerate([("beta", None), ("alpha", None), ("gamma", "done"), ("beta", None)]):
        add_call(con, call_index=index, name=name, output=output)

    assert read_rows(con, "select run_id, waiting_calls, waiting_names from waiting_runs") == [
        {"run_id": "run_1", "waiting_calls": 3, "waiting_names": ["alpha", "beta"]}
    ]


@pytest.mark.parametrize(("runs", "heaviest"), [(1, 1), (100, 1), (101, 2)])
def test_the_heaviest_runs_are_one_per_cent_rounded_up(con: Connection, runs: int, heaviest: int) -> None:
    add_price(con)
    con.execute(
        "insert into runs by name select 'main' as source, 'thread' as thread_id, 'run_' || i as run_id, "
        "'gpt-4o' as model, "
        "true as sealed, now() as observed_at, 'w' as walk_id, 0 as page_index from range($1) as t (i)",
        [runs],
    )
    con.execute(
        "insert into run_steps by name select 'main' as source, 'thread' as thread_id, 'run_' || i as run_id, "
        "'step_' || i as step_id, "
        "0 as step_index, timestamptz '2024-11-20 12:00:00+00' as created_at, 1000 + i as prompt_tokens, "
        "0 as completion_tokens, 'w' as walk_id, 0 as page_index from range($1) as t (i)",
        [runs],
    )

    rows = read_rows(con, "select run_id, cost_rank from heaviest_runs order by cost_rank")

    assert rows == [{"run_id": f"run_{runs - rank}", "cost_rank": rank} for rank in range(1, heaviest + 1)]


# Completeness


@pytest.mark.parametrize(
    ("run", "steps", "walks", "state"),
    [
        (usage(300, 30), [usage(100, 10), usage(200, 20)], [{}], "complete"),
        (usage(300, 30), [usage(100, 10)], [{}], "usage_differs"),
        (usage(300, 30), [usage(300, 31)], [{}], "usage_differs"),
        (usage(0, 0), [], [{}], "complete"),
        (usage(0, 0), [usage(None, None)], [{}], "complete"),
        (usage(None, None), [usage(100, 10)], [{}], "no_usage"),
        (usage(300, 30), [usage(300, 30)], [], "steps_missing"),
        (usage(300, 30), [usage(300, 30)], [{"verdict": "broken"}], "steps_missing"),
        (usage(300, 30), [usage(300, 30)], [{"run_status": "in_progress"}], "steps_missing"),
        (
            usage(300, 30),
            [usage(300, 30)],
            [{}, {"walk_id": "later", "ended_at": "2024-11-21T12:00:00Z", "verdict": "failed"}],
            "complete",
        ),
        ({"status": "in_progress"}, [usage(300, 30)], [{"run_status": "in_progress"}], "open"),
        ({"status": "requires_action"}, [], [], "open"),
        ({"status": None}, [], [], "open"),
        (None, [usage(300, 30)], [{}], "run_missing"),
    ],
)
def test_the_state_of_a_run_says_what_is_known_of_its_steps(
    con: Connection, run: Row | None, steps: list[Row], walks: list[Row], state: str
) -> None:
    if run is not None:
        add_run(con, **run)
    for index, columns in enumerate(steps):
        add_step(con, step_id=f"step_{index}", step_index=index, **columns)
    for columns in walks:
        add_walk(con, **columns)

    assert read_rows(con, "select run_id, steps, state from completeness") == [
        {"run_id": "run_1", "steps": len(steps), "state": state}
    ]


def test_the_verdict_shown_is_that_of_the_newest_walk_over_the_steps(con: Connection) -> None:
    add_run(con)
    add_walk(con, walk_id="z", ended_at="2024-11-20T12:00:00Z", verdict="complete")
    add_walk(con, walk_id="a", ended_at="2024-11-20T13:00:00Z", verdict="failed")
    add_walk(con, walk_id="m", ended_at="2024-11-20T14:00:00Z", resource="runs", verdict="broken")

    assert read_rows(con, "select walk_verdict, step_walks from completeness") == [
        {"walk_verdict": "failed", "step_walks": 2}
    ]


def test_a_difference_is_the_run_s_tokens_minus_its_steps(con: Connection) -> None:
    add_run(con, **usage(300, 30))
    add_step(con, **usage(100, 40))
    add_walk(con)

    [row] = read_rows(
        con,
        "select prompt_tokens_difference, completion_tokens_difference, total_tokens_difference from completeness",
    )

    assert row == {
        "prompt_tokens_difference": 200,
        "completion_tokens_difference": -10,
        "total_tokens_difference": 190,
    }


# Checks


def test_overlapping_prices_are_found_and_touching_ones_are_not(con: Connection) -> None:
    add_price(con, price_id="a", valid_from="2024-01-01", valid_to="2024-02-01")
    add_price(con, price_id="b", valid_from="2024-02-01")
    add_price(con, price_id="c", valid_from="2024-03-01")
    add_price(con, price_id="d", valid_from="2024-04-01", provider="azure")

    rows = run_check(con, "price_overlaps")

    assert [(row["price_id"], row["overlapping_price_id"]) for row in rows] == [("b", "c")]


@pytest.mark.parametrize(
    ("check", "columns"),
    [
        ("tokens_add_up", {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 3}),
        ("tokens_add_up", {"prompt_tokens": 1, "cached_tokens": 2}),
        ("tokens_add_up", {"completion_tokens": 1, "reasoning_tokens": 2}),
        ("negative_tokens", {"prompt_tokens": -1}),
        ("huge_tokens", {"prompt_tokens": 10**15 + 1}),
        ("tool_call_counts", {"tool_call_count": 1}),
        ("step_order", {"step_index": 1}),
        ("orphan_steps", {"run_id": "run_lost"}),
        ("unpriced_models", usage(1, 1)),
    ],
)
def test_a_check_returns_the_step_that_offends(con: Connection, check: str, columns: Row) -> None:
    add_run(con)
    add_step(con, **columns)

    assert len(run_check(con, check)) == 1


@pytest.mark.parametrize(
    ("check", "run", "walks"),
    [
        ("completeness_broken", usage(300, 30), [{}]),
        ("sealed_without_walk", usage(100, 10), []),
        ("sealed_without_walk", usage(100, 10) | {"status": "in_progress"}, [{}]),
    ],
)
def test_a_check_returns_the_sealed_run_that_offends(con: Connection, check: str, run: Row, walks: list[Row]) -> None:
    add_run(con, **run)
    add_step(con, **usage(100, 10))
    for columns in walks:
        add_walk(con, **columns)

    assert [row["run_id"] for row in run_check(con, check)] == ["run_1"]


@pytest.mark.parametrize(
    ("money", "levels"),
    [("cost_usd", ["runs of thread", "thread_costs"]), ("fee_usd", ["fees of thread_costs"])],
)
def test_the_conservation_check_sees_money_that_vanishes(con: Connection, money: str, levels: list[str]) -> None:
    add_price(con)
    add_run(con)
    add_costing_step(con)
    add_call(con, type="code_interpreter", name="code_interpreter")
    con.execute(
        "create or replace view thread_costs as"
        f" select * replace ({money} - 0.000000000001 as {money})"
        " from (select source, thread_id, cost_usd, fee_usd from run_costs)"
    )

    assert [row["level"] for row in run_check(con, "cost_conservation")] == levels


def test_the_conservation_check_sees_calls_that_lose_money(con: Connection) -> None:
    add_price(con)
    add_run(con)
    add_costing_step(con)
    con.execute(
        "create or replace view tool_call_costs as "
        "select source, thread_id, run_id, step_id, cost_usd - 0.000000000001 as cost_usd from step_costs"
    )

    levels = [row["level"] for row in run_check(con, "cost_conservation")]

    assert levels == ["calls of run"]


def test_every_check_passes_on_a_healthy_warehouse(healthy: Connection) -> None:
    offending = [path.stem for path in sql_files("checks") if run_check(healthy, path.stem)]

    assert offending == []


@pytest.fixture(scope="module")
def healthy() -> Iterator[Connection]:
    """A warehouse of one run that nothing is wrong with, for many who ask, none of whom changes it."""
    with open_in_memory() as con:
        add_list_fees(con)
        add_healthy_run(con)
        with checking(con):
            yield con


def add_healthy_run(con: Connection) -> None:
    add_list_prices(con)
    add_thread(con)
    add_run(con, metadata='{"customer": "acme", "a.b\\"c": "odd"}', **usage(1_000, 100, 400))
    add_step(con, type="tool_calls", tool_call_count=1, **usage(400, 60, 0))
    add_call(con, arguments="{}", output="{}")
    add_step(con, step_id="step_2", step_index=1, type="message_creation", **usage(600, 40, 400))
    add_walk(con)
    post_ledger(con)


# Conservation


@st.composite
def calling_steps(draw: st.DrawFn) -> list[Row]:
    """Steps with their model, usage and the sizes of their calls' arguments."""
    tokens = st.one_of(st.none(), st.integers(min_value=0, max_value=10**9))
    steps = st.fixed_dictionaries(
        {
            "run": st.integers(min_value=0, max_value=3),
            "prompt": tokens,
            "cached": tokens,
            "completion": tokens,
            "day": st.integers(min_value=1, max_value=28),
            "arguments": st.lists(st.one_of(st.none(), st.text("aé{", max_size=9)), max_size=5),
        }
    )
    return draw(st.lists(steps, min_size=1, max_size=12))


MONEY = [read_sql_files("checks")["cost_conservation"], read_sql_files("views")["step_costs"]]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=calling_steps())
def test_no_money_appears_or_vanishes_between_calls_steps_runs_and_threads(
    warehouse: Connection, steps: list[Row]
) -> None:
    with rolled_back(warehouse) as con:
        add_price(con, valid_from="2024-10-15", input_usd_per_mtok="2.499999", output_usd_per_mtok="9.777777")
        for run, model in enumerate(["gpt-4o", "gpt-4o", "my-deployment", None]):
            add_run(con, **ids_of(run), model=model)
        for index, step in enumerate(steps):
            numbered = sum(earlier["run"] == step["run"] for earlier in steps[:index])
            ids: Row = {**ids_of(step["run"]), "step_id": f"step_{numbered}"}
            counted = usage(step["prompt"], step["completion"], step["cached"])
            add_step(con, **ids, step_index=index, created_at=f"2024-10-{step['day']:02}T12:00:00Z", **counted)
            for call, text in enumerate(step["arguments"]):
                add_call(con, **ids, call_index=call, arguments=text)
        with holding_views(con, MONEY):
            costs = {row["step_index"]: row["cost_usd"] for row in read_rows(con, "from step_costs")}
            shares = read_rows(
                con,
                "select step_index, call_index, tool_call_costs.cost_usd from tool_call_costs"
                " join run_steps using (source, thread_id, run_id, step_id)",
            )
            offending = run_check(con, "cost_conservation")

    assert offending == []
    assert costs == {index: expected_cost(step) for index, step in enumerate(steps)}
    for share in shares:
        expected = expected_share(steps[share["step_index"]], share["call_index"])
        assert (share["cost_usd"] is None) == (expected is None)
        assert expected is None or abs(share["cost_usd"] - expected) < Decimal("0.0000000001")


def ids_of(run: int) -> Row:
    """Of a server that numbers runs within their thread, and steps within their run."""
    return {"thread_id": f"thread_{run % 2}", "run_id": f"run_{run // 2}"}


def expected_cost(step: Row) -> Decimal | None:
    prompt, cached, completion = step["prompt"], step["cached"] or 0, step["completion"]
    if step["run"] > 1 or step["day"] < 15 or prompt is None or completion is None or cached > prompt:
        return None
    micro_usd = (prompt - cached) * Decimal("2.499999") + cached * Decimal("1.25") + completion * Decimal("9.777777")
    return Decimal(micro_usd / 1_000_000)


def expected_share(step: Row, call: int) -> Decimal | None:
    """Of the prompt an equal part, of the completion one by bytes if all calls have some."""
    cost = expected_cost(step)
    if cost is None:
        return None
    completion: Decimal = step["completion"] * Decimal("9.777777") / 1_000_000
    sizes = [len((text or "").encode()) for text in step["arguments"]]
    weight = Decimal(sizes[call]) / sum(sizes) if all(sizes) else Decimal(1) / len(sizes)
    return (cost - completion) / len(sizes) + completion * weight


# Files


def sql_files(*kinds: str) -> list[Path]:
    return [path for kind in kinds for path in sorted((SQL / kind).glob("*.sql"))]


def named(paths: list[Path]) -> list[Any]:
    return [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in paths]


def relations_of(body: str) -> set[str]:
    """What a statement names after from and join; of a macro what it is told to read, and what it names itself."""
    found = set(re.findall(r"\b(?:from|join) (\w+)", body))
    macros = {path.stem: path for path in sql_files("macros")}
    for macro, arguments in re.findall(r"\b(?:from|join) (\w+)\(([^)]*)\)", body):
        if macro in macros:
            found |= set(re.findall(r"'(\w+)'", arguments)) | relations_of(macros[macro].read_text("utf-8"))
    return found


@pytest.mark.parametrize("path", named(sql_files("views", "checks", "queries")))
def test_the_header_names_exactly_what_the_statement_reads(path: Path) -> None:
    text = path.read_text("utf-8")
    known = {path.stem for path in sql_files("tables", "stored", "views")}
    ctes = set(re.findall(r"^(?:with )?(\w+) as \($", text, re.MULTILINE))
    body = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))

    declared = re.findall(r"^-- reads: (.+)$", text, re.MULTILINE)

    used = relations_of(body) & known
    assert len(declared) == 1
    assert set(declared[0].split(", ")) == used
    assert not ctes & known
    assert "select *" not in body


@pytest.mark.parametrize("path", named(sql_files("views")))
def test_a_view_is_unique_at_its_grain_and_never_shows_money_as_a_double(healthy: Connection, path: Path) -> None:
    text = path.read_text("utf-8")
    [grain] = re.findall(r"^-- grain: (.+)$", text, re.MULTILINE)

    types = {row["column_name"]: row["column_type"] for row in read_rows(healthy, f"describe {path.stem}")}
    twice = read_rows(healthy, f"select {grain}, count(*) from {path.stem} group by all having count(*) > 1")

    assert {name for name in types if name.endswith("_usd") and not types[name].startswith("DECIMAL")} == set()
    assert twice == []
    assert f"create or replace view {path.stem} as" in text


@pytest.mark.parametrize("path", named(sql_files("checks")))
def test_a_check_declares_how_severe_it_is(path: Path) -> None:
    assert re.search(r"^-- severity: (fail|warn)$", path.read_text("utf-8"), re.MULTILINE)


def query_defaults(path: Path) -> Row:
    [params] = re.findall(r"^-- params: (.+)$", path.read_text("utf-8"), re.MULTILINE) or [""]
    return dict(pair.split("=") for pair in params.split(", ") if pair)


@pytest.mark.parametrize("path", named(sql_files("queries")))
def test_a_named_query_runs_with_its_defaults_as_text(healthy: Connection, path: Path) -> None:
    defaults = query_defaults(path)

    rows = read_rows(healthy, path.read_text("utf-8"), defaults or None)

    assert isinstance(rows, list)


def run_query(con: Connection, name: str, **params: str) -> list[Row]:
    path = SQL / "queries" / f"{name}.sql"
    return read_rows(con, path.read_text("utf-8"), (query_defaults(path) | params) or None)


@pytest.mark.parametrize(
    ("key", "value"), [("customer", "acme"), ('a.b"c', "odd"), ("nobody", None)], ids=["plain", "odd", "absent"]
)
def test_cost_by_metadata_groups_by_the_value_of_any_key(con: Connection, key: str, value: str | None) -> None:
    add_healthy_run(con)

    [row] = run_query(con, "cost_by_metadata", key=key)

    assert (row["value"], row["runs"], row["cost_usd"]) == (value, 1, Decimal("0.003000"))


def test_prompt_growth_shows_each_step_against_the_one_before(con: Connection) -> None:
    add_healthy_run(con)

    rows = run_query(con, "prompt_growth")

    assert [(row["step_id"], row["prompt_tokens"], row["growth_tokens"]) for row in rows] == [
        ("step_1", 400, None),
        ("step_2", 600, 200),
    ]


def test_overview_counts_the_rows_of_every_table(con: Connection) -> None:
    add_healthy_run(con)

    counts = {row["table_name"]: row["row_count"] for row in run_query(con, "overview")}

    assert counts.keys() == {path.stem for path in sql_files("tables")}
    assert (counts["runs"], counts["run_steps"], counts["tool_calls"]) == (1, 2, 1)


def test_code_interpreter_failures_show_the_last_line_of_the_logs(con: Connection) -> None:
    add_run(con)
    add_step(con)
    logs = "Traceback (most recent call last):\n  File x\nNameError: name 'y' is not defined\n\n"
    add_call(con, type="code_interpreter", output=logs)

    [row] = run_query(con, "code_interpreter_failures")

    assert (row["reason"], row["last_line"]) == ("traceback", "NameError: name 'y' is not defined")


# Beside the cost of a tool call


def test_an_output_is_carried_into_the_later_steps_of_its_run(con: Connection) -> None:
    add_price(con)
    add_run(con)
    add_costing_step(con)
    add_call(con, output="x" * 4_003)
    add_step(con, step_id="step_2", step_index=1, **usage(2_000, 0))
    add_step(con, step_id="step_3", step_index=2, **usage(2_000, 0, 2_000))

    # 1,000 tokens, at 2.50 dollars a million in the second step and 1.25 in the third.
    assert read_value(con, "select carried_cost_usd from tool_call_costs") == Decimal("0.00375")
    assert read_value(con, "select cost_usd from tool_call_costs") == Decimal("2.5")


@pytest.mark.parametrize(
    ("output", "last_step", "expected"),
    [("x" * 4_000, True, Decimal(0)), (None, True, None), (None, False, None), ("xxx", False, Decimal(0))],
)
def test_what_cannot_be_carried_is_zero_and_what_is_unknown_is_null(
    con: Connection, output: str | None, last_step: bool, expected: Decimal | None
) -> None:
    add_price(con)
    add_run(con)
    add_costing_step(con)
    add_call(con, output=output)
    if not last_step:
        add_step(con, step_id="step_2", step_index=1, **usage(2_000, 0))

    assert read_value(con, "select carried_cost_usd from tool_call_costs") == expected


def test_a_child_run_s_cost_stands_beside_the_first_call_that_names_it(con: Connection) -> None:
    add_price(con)
    add_run(con)
    add_run(con, run_id="child", thread_id="thread_child")
    add_costing_step(con)
    add_costing_step(con, step_id="child_step", run_id="child", thread_id="thread_child", prompt_tokens=2_000_000)
    for index in range(2):
        add_call(con, call_index=index, type="connected_agent", child_run_id="child")

    rows = read_rows(con, "select cost_usd, child_cost_usd from tool_call_costs order by call_index")

    assert [tuple(row.values()) for row in rows] == [(Decimal("1.25"), Decimal(5)), (Decimal("1.25"), None)]


@pytest.mark.parametrize("told", ["steps", "run", "both"])
def test_a_child_run_s_cost_is_all_that_the_run_cost_whoever_tells_of_it(con: Connection, told: str) -> None:
    add_price(con)
    add_run(con)
    child = {"run_id": "child", "thread_id": "thread_child"}
    add_run(con, **child, **(usage(2_000_000, 0) if told != "steps" else {}))
    if told != "run":
        add_step(con, **child, step_id="child_step", **usage(2_000_000 if told == "steps" else 400_000, 0))
    add_costing_step(con)
    add_call(con, type="connected_agent", child_run_id="child")

    for view in ("tool_call_costs", "connected_agent_costs", "tool_usage"):
        assert read_value(con, f"select child_cost_usd from {view}") == Decimal(5)


def test_a_call_after_a_failed_one_of_the_same_tool_is_a_retry(con: Connection) -> None:
    add_run(con)
    outputs = ['{"error": "busy"}', '{"error": "busy"}', "fine", "fine"]
    for index, output in enumerate(outputs):
        add_step(con, step_id=f"step_{index}", step_index=index)
        add_call(con, step_id=f"step_{index}", output=output)
    add_call(con, step_id="step_3", call_index=1, name="other", output="fine")

    rows = read_rows(con, "select name, calls, failures, retries from tool_usage order by name")

    assert [tuple(row.values()) for row in rows] == [("look_up", 4, 2, 2), ("other", 1, 0, 0)]


@pytest.mark.parametrize(
    ("kind", "provider", "fee"),
    [
        ("openai", "openai", Decimal("0.03")),
        ("portkey", "openai", Decimal("0.03")),
        ("azure-openai", "azure", Decimal("0.03")),
        ("foundry", "azure", Decimal("0.03")),
        ("compatible", None, None),
    ],
)
def test_a_session_has_the_fee_of_its_source_s_provider(
    con: Connection, kind: str, provider: str | None, fee: Decimal | None
) -> None:
    add_kind(con, kind)
    add_run(con)
    add_step(con)
    add_call(con, type="code_interpreter")

    assert read_rows(con, "select provider, fee_usd from code_interpreter_sessions") == [
        {"provider": provider, "fee_usd": fee}
    ]


def test_what_if_prices_the_same_tokens_as_another_model(con: Connection) -> None:
    add_list_prices(con)
    add_run(con)
    add_step(con, **usage(1_000_000, 1_000_000, 400_000))

    [row] = run_query(con, "what_if", model="gpt-4o-mini")

    assert (row["cost_usd"], row["other_cost_usd"], row["difference_usd"]) == (
        Decimal("12.000000"),
        Decimal("0.720000"),
        Decimal("-11.280000"),
    )


def test_what_if_prices_the_tokens_of_a_model_that_has_no_price(con: Connection) -> None:
    add_list_prices(con)
    add_run(con, model="nobody's")
    add_step(con, **usage(1_000_000, 1_000_000, 400_000))

    [row] = run_query(con, "what_if", model="gpt-4o-mini")

    assert (row["cost_usd"], row["other_cost_usd"], row["difference_usd"]) == (None, Decimal("0.720000"), None)


def test_what_if_leaves_out_usage_that_cannot_be(con: Connection) -> None:
    add_list_prices(con)
    add_run(con)
    add_step(con, **usage(100, 10, 500))

    assert run_query(con, "what_if", model="gpt-4o-mini") == []


def test_what_if_of_an_unknown_model_says_so(con: Connection) -> None:
    add_healthy_run(con)

    with pytest.raises(duckdb.Error, match="nobody's has no price"):
        run_query(con, "what_if", model="nobody's")


@pytest.mark.parametrize(("by", "what"), [("model", "gpt-4o"), ("assistant", "asst_1"), ("tool", "look_up")])
def test_spend_by_period_is_by_model_assistant_or_tool(con: Connection, by: str, what: str) -> None:
    add_healthy_run(con)

    [row] = run_query(con, "spend_by_period", by=by)

    assert (str(row["period"]), row["what"]) == ("2024-11-18", what)
