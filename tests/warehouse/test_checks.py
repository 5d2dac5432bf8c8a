"""`check`: the checks, the grains of every table and view, and the budgets."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipeline.emulator import running_emulator
from pipeline.errors import ConfigurationError
from pipeline.money.budgets import Budget, check_budgets, period_of, read_budgets, read_spend
from pipeline.raw.parts import RawStore
from pipeline.sqlfiles.duck import Connection, read_frame
from pipeline.sqlfiles.schema import open_in_memory
from pipeline.warehouse.checks import check_grains, run_checks
from pipeline.warehouse.load import load_new_parts
from tests.attached import looking_into
from tests.landed import Listing, land, run_of, step_of
from tests.syncs import environ_for, run_cli, sync_here
from tests.warehouse_rows import add_call, add_list_fees, add_price, add_run, add_step, rolled_back

NOON = datetime(2024, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def memory() -> Iterator[Connection]:
    with open_in_memory() as connection:
        yield connection


@pytest.fixture
def con(memory: Connection) -> Iterator[Connection]:
    with rolled_back(memory) as connection:
        yield connection


def add_spend(con: Connection, **columns: Any) -> None:
    """A run with one step that costs 2.50 dollars."""
    number = columns.pop("number", 1)
    created_at = columns.pop("created_at", "2024-11-20T06:00:00Z")
    add_run(con, run_id=f"run_{number}", **columns)
    add_step(
        con,
        step_id=f"step_{number}",
        run_id=f"run_{number}",
        source=columns.get("source", "main"),
        created_at=created_at,
        prompt_tokens=1_000_000,
        completion_tokens=0,
        total_tokens=1_000_000,
    )


# Checks and grains


def test_a_row_that_is_there_twice_breaks_the_grain_of_its_table(con: Connection) -> None:
    add_step(con)
    add_step(con)

    found = {finding.name: finding.message for finding in check_grains(con)}

    assert (
        found["run_steps"]
        == "there more than once: 1 key of (source, thread_id, run_id, step_id), for example main thread_1 run_1 step_1"
    )


def test_nulls_are_equal_in_a_grain(con: Connection) -> None:
    con.execute(
        "create or replace view daily_spend as select 'a' as source, null as day, null as assistant_id, null as model"
        " from range(2)"
    )

    assert "daily_spend" in [finding.name for finding in check_grains(con)]


def test_an_empty_warehouse_passes_everything(con: Connection) -> None:
    assert run_checks(con) + check_grains(con) == []


def test_a_warning_comes_after_what_fails_and_names_what_offends(con: Connection) -> None:
    add_run(con)
    add_step(con, prompt_tokens=-1, completion_tokens=1, total_tokens=0)

    findings = run_checks(con)

    assert [finding.level for finding in findings] == sorted(finding.level for finding in findings)
    assert findings[0].line.startswith("fail  check negative_tokens: 1 row: Usage below zero (thread_1 run_1 step_1")


# Budgets


@pytest.mark.parametrize(
    ("per", "day", "expected"),
    [
        ("day", date(2024, 2, 29), (date(2024, 2, 29), date(2024, 3, 1))),
        ("week", date(2024, 11, 20), (date(2024, 11, 18), date(2024, 11, 25))),
        ("week", date(2024, 12, 31), (date(2024, 12, 30), date(2025, 1, 6))),
        ("month", date(2024, 2, 29), (date(2024, 2, 1), date(2024, 3, 1))),
        ("month", date(2024, 12, 31), (date(2024, 12, 1), date(2025, 1, 1))),
    ],
)
def test_a_period_has_the_day_in_it(per: str, day: date, expected: tuple[date, date]) -> None:
    assert period_of(per, day) == expected


def test_a_budget_counts_the_steps_of_its_period_and_goes_on_at_their_pace(con: Connection) -> None:
    add_price(con)
    add_spend(con)
    add_spend(con, number=2, created_at="2024-11-19T23:59:59Z")

    spend = read_spend(con, Budget(name="day", per="day", warn_usd=Decimal(1)), now=NOON)

    assert (spend.spent_usd, spend.forecast_usd) == (Decimal("2.5"), Decimal("5.00"))


@pytest.mark.parametrize(
    ("budget", "lines"),
    [
        ({"warn_usd": Decimal(5)}, []),
        ({"warn_usd": Decimal("2.5"), "forecast": "off"}, []),
        (
            {"warn_usd": Decimal("2.49")},
            ["warn  budget b: day 2024-11-20: spent 2.50 USD of 2.49, at this pace 5.00 by 2024-11-21"],
        ),
        (
            {"warn_usd": Decimal(1), "fail_usd": Decimal(2)},
            ["fail  budget b: day 2024-11-20: spent 2.50 USD of 2.00, at this pace 5.00 by 2024-11-21"],
        ),
        (
            {"fail_usd": Decimal(4)},
            [
                "warn  budget b: day 2024-11-20: at this pace 5.00 USD by 2024-11-21, the limit is 4.00"
                " (spent so far: 2.50)"
            ],
        ),
        (
            {"fail_usd": Decimal(4), "forecast": "fail"},
            [
                "fail  budget b: day 2024-11-20: at this pace 5.00 USD by 2024-11-21, the limit is 4.00"
                " (spent so far: 2.50)"
            ],
        ),
    ],
)
def test_a_breach_is_one_line_with_the_level_that_it_reaches(
    con: Connection, budget: dict[str, Any], lines: list[str]
) -> None:
    add_price(con)
    add_spend(con)

    findings = check_budgets(con, [Budget(name="b", per="day", **budget)], now=NOON)

    assert [finding.line for finding in findings] == lines


@pytest.mark.parametrize(
    ("scope", "spent"),
    [
        ({}, "5"),
        ({"source": "main"}, "2.5"),
        ({"assistant": "asst_2"}, "2.5"),
        ({"model": "gpt-4o"}, "5"),
        ({"model": "gpt-4"}, "0"),
        ({"metadata": {"customer": "acme"}}, "2.5"),
        ({"metadata": {'a.b"c': "odd"}}, "2.5"),
        ({"metadata": {"customer": "acme", 'a.b"c': "even"}}, "0"),
        ({"tool": "look_up"}, "1.25"),
    ],
)
def test_a_budget_is_for_a_source_assistant_model_tool_or_metadata_value(
    con: Connection, scope: dict[str, Any], spent: str
) -> None:
    add_price(con)
    add_spend(con, metadata='{"customer": "acme", "a.b\\"c": "odd"}')
    add_spend(con, number=2, source="other", assistant_id="asst_2")
    add_call(con, call_index=0)
    add_call(con, call_index=1, name="write_down")

    spend = read_spend(con, Budget(name="b", per="month", warn_usd=Decimal(1), **scope), now=NOON)

    assert spend.spent_usd == Decimal(spent)


def test_tokens_without_a_price_are_named_beside_the_budget(con: Connection) -> None:
    add_price(con)
    add_spend(con)
    add_spend(con, number=2, model="my-deployment")

    [finding] = check_budgets(con, [Budget(name="b", per="day", fail_usd=Decimal(1))], now=NOON)

    assert finding.message.endswith("; not in it: 1 step without a known cost")


@pytest.mark.parametrize("rest", [False, True])
@pytest.mark.parametrize(
    ("budget", "level"),
    [
        ({}, "warn"),
        ({"unknown": "warn"}, "warn"),
        ({"unknown": "fail"}, "fail"),
        ({"unknown": "ignore"}, None),
        ({"unknown": "ignore", "warn_usd": Decimal(1)}, "warn"),
        ({"unknown": "fail", "warn_usd": Decimal(1)}, "fail"),
    ],
)
@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 1_000, "completion_tokens": 0, "model": "my-deployment"},
        {"total_tokens": 1_000},
        {"prompt_tokens": 1_000},
        {"prompt_tokens": 1_000, "completion_tokens": 0, "created_at": None},
    ],
)
def test_a_budget_over_spend_that_nobody_knows_says_so_and_is_judged_by_it(
    con: Connection, usage: dict[str, Any], budget: dict[str, Any], level: str | None, rest: bool
) -> None:
    add_price(con)
    add_spend(con)
    of_run = {name: usage[name] for name in ("model", "created_at") if name in usage}
    tokens = {name: value for name, value in usage.items() if name.endswith("_tokens")}
    add_run(con, run_id="run_9", **of_run, **(tokens if rest else {}))
    if not rest:
        at = {"created_at": None} if "created_at" in usage else {}
        add_step(con, run_id="run_9", step_id="step_9", **tokens, **at)

    limits = {"fail_usd": Decimal(1_000), **budget}
    findings = check_budgets(con, [Budget(name="b", per="day", forecast="off", **limits)], now=NOON)

    assert [finding.level for finding in findings] == ([] if level is None else [level])
    what = "1 run with usage beyond their steps" if rest else "1 step"
    assert all(f"; not in it: {what} without a known cost" in finding.message for finding in findings)


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({}, "spent 2.50 USD of 2.52 that are known; not in it: 0.03 USD of fees (`fees = true` counts them"),
        ({"fees": False}, None),
        ({"fees": True}, "spent 2.53 USD of 2.52, at this pace 5.06 by 2024-11-21, fees included"),
        ({"fees": True, "tool": "code_interpreter", "fail_usd": Decimal("2.52")}, "spent 2.53 USD of 2.52"),
        ({"fees": True, "tool": "look_up"}, None),
        ({"fees": True, "source": "other"}, None),
        ({"fees": True, "assistant": "asst_1"}, "spent 2.53 USD"),
    ],
)
def test_fees_of_tools_are_in_a_budget_on_request_and_else_it_says_that_they_are_not(
    con: Connection, budget: dict[str, Any], said: str | None
) -> None:
    add_list_fees(con)
    add_price(con)
    add_spend(con)
    add_call(con, type="code_interpreter", name="code_interpreter", arguments="1 + 1")

    limits = {"fail_usd": Decimal("2.52"), "forecast": "off", **budget}
    findings = check_budgets(con, [Budget(name="b", per="day", **limits)], now=NOON)

    assert len(findings) == (said is not None)
    assert all(said in finding.message for finding in findings if said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[budget]]\nname = "b"\nper = "month"', "needs warn_usd or fail_usd"),
        ('[[budget]]\nname = "b"\nper = "year"\nwarn_usd = 1', "$.budget[0].per"),
        ('[[budget]]\nname = "b"\nper = "day"\nwarn_usd = -1', "0 or more"),
        ('[[budget]]\nname = "b"\nper = "day"\nwarn = 1', "unknown field `warn`"),
        ('[[budget]]\nname = "b"\nper = "day"\nwarn_usd = 1\n' * 2, "two budgets are named 'b'"),
        ("[[budget", "cannot be read"),
    ],
)
def test_a_mistake_in_the_budgets_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text(text, "utf-8")

    with pytest.raises(ConfigurationError) as caught:
        read_budgets(path)

    assert message in str(caught.value)


def test_a_file_of_budgets_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_budgets(tmp_path / "missing.toml")

    assert str(caught.value) == f"{tmp_path / 'missing.toml'} cannot be read: No such file or directory"


def test_a_limit_in_a_file_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text('[[budget]]\nname = "b"\nper = "day"\nwarn_usd = 0.1\nfail_usd = "0.3"\n', "utf-8")

    [budget] = read_budgets(path)

    assert (budget.warn_usd, budget.fail_usd) == (Decimal("0.1"), Decimal("0.3"))


# The command line


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
    created_at = int(NOON.timestamp())
    store = RawStore(tmp_path / "data" / "raw")
    run = run_of("run_1", model="gpt-4o", created_at=created_at, usage=usage)
    step = step_of("step_1", run_id="run_1", thread_id="thread_1", created_at=created_at, usage=usage)
    land(store, Listing(0, [run]), Listing(0, [step], run_id="run_1"))
    load_new_parts(store, tmp_path / "data" / "warehouse.duckdb", wait_s=5)
    return tmp_path


def test_check_exits_5_with_a_line_for_each_breach(data_dir: Path) -> None:
    (data_dir / "budgets.toml").write_text('[[budget]]\nname = "b"\nper = "day"\nfail_usd = 1\n', "utf-8")

    ended = run_cli(data_dir, "check", "--at", "2024-11-20")

    assert ended.returncode == 5
    assert ended.stdout == "fail  budget b: day 2024-11-20: spent 2.50 USD of 1.00, at this pace 2.50 by 2024-11-21\n"


def test_check_passes_where_nothing_is_wrong_and_says_so_as_json(data_dir: Path) -> None:
    ended = run_cli(data_dir, "check", "--json")

    answer = json.loads(ended.stdout)
    assert ended.returncode == 0
    assert (answer["passed"], answer["findings"], answer["checked"]["budgets"]) == (True, [], 0)


def test_repricing_asks_and_where_nobody_can_answer_it_writes_nothing(data_dir: Path) -> None:
    (data_dir / "data" / "own-prices.csv").write_text("model,discount\ngpt-4o,0.5\n", "utf-8")

    asked = run_cli(data_dir, "prices", "reprice")
    agreed = run_cli(data_dir, "prices", "reprice", "--yes", "--json")
    again = run_cli(data_dir, "prices", "reprice", "--yes")

    assert (asked.returncode, "add --yes" in asked.stderr) == (2, True)
    [change] = json.loads(agreed.stdout)["changes"]
    assert (change["old_cost_usd"], change["new_cost_usd"]) == ("2.500000000000", "1.250000000000")
    assert again.stdout.startswith("nothing to reprice")


# A whole corpus


def test_a_synced_corpus_adds_up_to_the_last_digit_and_every_grain_holds(tmp_path: Path) -> None:
    with running_emulator(threads=30, phase=1) as server:
        sync_here(server, tmp_path)

    with looking_into(tmp_path / "warehouse.duckdb") as connection:
        findings = [*run_checks(connection), *check_grains(connection)]
        [known] = read_frame(connection, "select count(*) as steps, count(cost_usd) as priced from cost_ledger").rows()

    assert [finding.line for finding in findings if finding.level == "fail"] == []
    assert known[0] >= known[1] > 0


def test_the_first_sync_prices_deployments_by_the_names_in_the_profile(tmp_path: Path) -> None:
    with running_emulator(threads=60, phase=1) as server:
        names = 'kind = "compatible"\nmodels = {"contoso-chat-prod" = "gpt-4o"}\n'
        (tmp_path / "pipeline.toml").write_text(f"[profiles.default]\n{names}", "utf-8")
        threads = "\n".join(server.corpus.thread_ids())
        run_cli(tmp_path, "sync", "--threads", "-", environ=environ_for(server), given=threads)

    with looking_into(tmp_path / "data" / "warehouse.duckdb") as connection:
        sql = """
            select distinct step_costs.priced_model, is_posted from step_costs
            where model = 'contoso-chat-prod' and price_id is not null
        """
        rows = read_frame(connection, sql).rows()

    assert rows == [("gpt-4o", True)]
