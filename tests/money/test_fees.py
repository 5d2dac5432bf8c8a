"""What tools cost beside tokens: whose fee holds on a day, and what a person's own file may say."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from pipeline.errors import ConfigurationError
from pipeline.sqlfiles.price_book import read_price_book
from pipeline.sqlfiles.schema import open_in_memory, refresh_prices
from tests.warehouse_rows import add_call, add_list_fees, add_run, add_step, add_sync, read_rows, rolled_back

Connection = duckdb.DuckDBPyConnection
BEFORE, SINCE = datetime(2025, 8, 31, 23, tzinfo=UTC), datetime(2025, 9, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def memory() -> Iterator[Connection]:
    with open_in_memory(views=["tool_fees"]) as connection:
        yield connection


@pytest.fixture
def con(memory: Connection) -> Iterator[Connection]:
    with rolled_back(memory) as connection:
        yield connection


def fees(con: Connection) -> list[tuple[object, ...]]:
    columns = "kind, quantity, fee_usd, is_lower_bound, charged_on"
    return [tuple(row.values()) for row in read_rows(con, f"select {columns} from tool_fees order by all")]


@pytest.mark.parametrize(
    ("provider", "sku", "at", "fee"),
    [
        ("openai", None, BEFORE, "0.03"),
        ("azure", None, SINCE, "0.03"),
        ("azure", "global", BEFORE, "0.03"),
        ("azure", "regional", SINCE, "0.033"),
        ("azure", "regional", BEFORE, None),
        ("azure", "datazone", SINCE, None),
        ("azure", "provisioned", SINCE, None),
        ("somebody else", None, SINCE, None),
    ],
)
def test_a_session_costs_what_its_provider_charges_that_kind_of_deployment_on_that_day(
    con: Connection, provider: str, sku: str | None, at: datetime, fee: str | None
) -> None:
    add_list_fees(con)
    add_sync(con, kind="litellm", provider=provider, sku=sku)
    add_run(con)
    add_step(con, created_at=at)
    add_call(con, type="code_interpreter")

    expected = None if fee is None else Decimal(fee)

    assert fees(con) == [("code_interpreter_session", 1, expected, False, at.date())]


@pytest.mark.parametrize("sku", [None, "datazone", "regional", "provisioned"])
@pytest.mark.parametrize("tool", ["bing_grounding", "bing_custom_search"])
def test_each_search_of_bing_is_one_transaction_at_least(con: Connection, tool: str, sku: str | None) -> None:
    add_list_fees(con)
    add_sync(con, kind="foundry", sku=sku)
    add_run(con)
    add_step(con, created_at=SINCE)
    add_call(con, type=tool)
    add_call(con, type=tool, call_index=1)

    assert fees(con) == [("bing_grounding_transaction", 2, Decimal("0.028"), True, SINCE.date())]


def test_a_fee_whose_day_is_not_known_is_named_and_not_free(con: Connection) -> None:
    add_list_fees(con)
    add_sync(con, kind="foundry")
    add_call(con, type="bing_grounding")

    assert fees(con) == [("bing_grounding_transaction", 1, None, True, None)]


def test_a_session_belongs_to_the_run_that_began_it_and_no_run_pays_it_twice(con: Connection) -> None:
    add_list_fees(con)
    for minute, run_id in enumerate(("second", "first", "third")):
        add_run(con, run_id=run_id)
        add_step(con, run_id=run_id, step_id=run_id, created_at=SINCE.replace(minute=(1, 0, 59)[minute]))
        add_call(con, run_id=run_id, step_id=run_id, type="code_interpreter")

    rows = read_rows(con, "select run_id, quantity, fee_usd from tool_fees")

    assert [tuple(row.values()) for row in rows] == [("first", 1, Decimal("0.03"))]


@pytest.mark.parametrize("protocol", ["responses", "agents"])
def test_tools_of_other_protocols_open_no_sessions_of_assistants(con: Connection, protocol: str) -> None:
    add_list_fees(con)
    add_run(con, protocol=protocol)
    add_step(con)
    add_call(con, type="code_interpreter")

    assert fees(con) == []


@pytest.mark.parametrize(
    ("lines", "fee"),
    [
        (["code_interpreter_session,0.02,,,,"], "0.02"),
        (["code_interpreter_session,0.02,,2025-09-02,,"], "0.03"),
        (["code_interpreter_session,0.02,,,2025-09-01,"], "0.03"),
        (["code_interpreter_session,0.02,,,,main", "code_interpreter_session,0.01,,,,"], "0.02"),
        (["code_interpreter_session,0.02,,,,other"], "0.03"),
        (["code_interpreter_session,0.02,regional,,,"], "0.03"),
        (["code_interpreter_session,0,,,,"], "0"),
    ],
)
def test_an_own_fee_wins_where_and_while_it_holds(con: Connection, tmp_path: Path, lines: list[str], fee: str) -> None:
    own = "\n".join(["kind,fee_usd,sku,valid_from,valid_to,only_source", *lines, ""])
    (tmp_path / "own-fees.csv").write_text(own, "utf-8")
    refresh_prices(con, read_price_book(tmp_path / "own-prices.csv"))
    add_run(con)
    add_step(con, created_at=SINCE)
    add_call(con, type="code_interpreter")

    assert fees(con) == [("code_interpreter_session", 1, Decimal(fee), False, date(2025, 9, 1))]


def test_an_own_fee_is_what_nobody_else_knows_of_a_server(con: Connection, tmp_path: Path) -> None:
    (tmp_path / "own-fees.csv").write_text("kind,fee_usd\ncode_interpreter_session,0.5\n", "utf-8")
    refresh_prices(con, read_price_book(tmp_path / "own-prices.csv"))
    add_sync(con, kind="compatible")
    add_run(con)
    add_step(con, created_at=SINCE)
    add_call(con, type="code_interpreter")

    assert [fee for _, _, fee, *_ in fees(con)] == [Decimal("0.5")]


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        ("kind,fee_usd", "sessions,1", "no fee is of the kind 'sessions'; there are: bing_grounding_transaction, "),
        ("kind,fee_usd", "code_interpreter_session,", "fee_usd is missing"),
        ("kind,fee_usd", "code_interpreter_session,cheap", "fee_usd 'cheap' is not a number"),
        ("kind,fee_usd", ",1", "kind is missing"),
        ("kind,fee_usd,sku", "code_interpreter_session,1,east", "sku 'east' is not one of global, datazone"),
        ("kind,fee", "code_interpreter_session,1", "there is no column 'fee'; there are: fee_id, provider, kind"),
    ],
)
def test_a_mistake_in_own_fees_is_named_with_its_place(tmp_path: Path, header: str, line: str, message: str) -> None:
    (tmp_path / "own-fees.csv").write_text(f"{header}\n{line}\n", "utf-8")

    with pytest.raises(ConfigurationError) as caught:
        read_price_book(tmp_path / "own-prices.csv")

    assert "own-fees.csv" in str(caught.value)
    assert message in str(caught.value)
