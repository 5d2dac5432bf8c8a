"""`explain-change` over warehouses: its parts are what SQL says, whatever it is told by, and nothing unknown is 0."""

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigurationError
from pipeline.money.cost_cells import parse_grouping, read_costs
from pipeline.money.periods import Period
from pipeline.money.reasons import explain_costs, write_sentence
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection
from pipeline.sqlfiles.held_views import holding_views
from pipeline.sqlfiles.schema import open_in_memory
from pipeline.warehouse.database import open_for_writing, warehouse_path
from tests.syncs import run_cli
from tests.warehouse_rows import Row, add_call, add_price, add_run, add_step, read_value, rolled_back

MAY = Period("2024-11-01..2024-11-10", date(2024, 11, 1), date(2024, 11, 10))
JUNE = Period("2024-11-11..2024-11-20", date(2024, 11, 11), date(2024, 11, 20))
ASKED = [read_sql_files("queries")["cost_cells"], read_sql_files("views")["spending"]]
BY = [None, "model", "assistant", "tool", "metadata.customer", "metadata.a/b~c"]


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Connection]:
    with open_in_memory() as con:
        yield con


@st.composite
def steps(draw: st.DrawFn) -> list[Row]:
    tokens = st.one_of(st.none(), st.integers(0, 10**7))
    step = st.fixed_dictionaries(
        {
            "run": st.integers(0, 4),
            "day": st.integers(1, 20),
            "prompt": tokens,
            "cached": st.one_of(st.none(), st.integers(0, 10**6)),
            "completion": tokens,
            "tools": st.lists(st.sampled_from(["look_up", "send", None]), max_size=3),
        }
    )
    return draw(st.lists(step, max_size=9))


def add_steps(con: Connection, listed: list[Row]) -> None:
    add_price(con, input_usd_per_mtok="2.499999", valid_to="2024-11-07")
    add_price(con, input_usd_per_mtok="1.777777", valid_from="2024-11-07")
    runs = [("gpt-4o", "acme"), ("gpt-4o", "globex"), ("my-deployment", "acme"), (None, None), ("gpt-4o", None)]
    for number, (model, customer) in enumerate(runs):
        metadata = json.dumps({"customer": customer, "a/b~c": customer} if customer else {})
        add_run(con, run_id=f"run_{number}", assistant_id=f"asst_{number % 2}", model=model, metadata=metadata)
    for index, step in enumerate(listed):
        ids: Row = {"run_id": f"run_{step['run']}", "step_id": f"step_{index}"}
        known = step["prompt"] is not None and step["completion"] is not None
        usage = {f"{kind}_tokens": step[kind] for kind in ("prompt", "cached", "completion")}
        total = step["prompt"] + step["completion"] if known else None
        add_step(con, **ids, created_at=f"2024-11-{step['day']:02}T23:59:59Z", total_tokens=total, **usage)
        for place, name in enumerate(step["tools"]):
            add_call(con, **ids, call_index=place, name=name, type="code_interpreter" if name is None else "function")


def cost_between(con: Connection, period: Period) -> Decimal:
    tokens = (
        f"select sum(cost_usd) from usage_costs where created_on between '{period.first_on}' and '{period.last_on}'"
    )
    fees = f"select sum(fee_usd) from tool_fees where charged_on between '{period.first_on}' and '{period.last_on}'"
    return sum((read_value(con, f"{sql}") or Decimal(0) for sql in (tokens, fees)), Decimal(0))


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(listed=steps())
def test_the_parts_are_the_difference_that_sql_says_whatever_it_is_told_by(
    warehouse: Connection, listed: list[Row]
) -> None:
    with rolled_back(warehouse) as con:
        add_steps(con, listed)
        with holding_views(con, ASKED):
            told = {by: [read_costs(con, each, parse_grouping(by), source=None) for each in (MAY, JUNE)] for by in BY}
            expected = cost_between(con, JUNE) - cost_between(con, MAY)
            unpriced = read_value(con, "select count(*) from usage_costs where cost_usd is null")

    for by, (before, after) in told.items():
        found = explain_costs(before, after, parse_grouping(by))
        assert found.change_usd == expected
        assert sum(reason.usd for reason in found.reasons) == expected
        assert sum(each.unpriced_steps + each.unpriced_rests for each in (before, after)) == unpriced


def explain(con: Connection, by: str | None = None) -> str:
    grouping = parse_grouping(by)
    before, after = (read_costs(con, each, grouping, source=None) for each in (MAY, JUNE))
    return write_sentence(explain_costs(before, after, grouping))


def add_used(con: Connection, day: int, number: int, *, tokens: int = 1_000_000, **run: Any) -> None:
    """A run of one step at 2.50 dollars a million tokens."""
    add_run(con, run_id=f"run_{number}", **run)
    ids = {"run_id": f"run_{number}", "step_id": f"step_{number}"}
    add_step(con, **ids, created_at=f"2024-11-{day:02}T12:00:00Z", prompt_tokens=tokens, completion_tokens=0)


@pytest.mark.parametrize(
    ("runs", "by", "sentence"),
    [
        ([(1, {}), (12, {}), (12, {})], None, "+2.50 USD (+100 %), of it +2.50 because there were 100 % more runs"),
        (
            [(1, {}), (12, {"tokens": 2_000_000})],
            None,
            "+2.50 USD (+100 %), of it +2.50 because steps had more prompt tokens that were not cached",
        ),
        ([(1, {"tokens": 2_000_000}), (1, {}), (12, {}), (12, {"tokens": 2_000_000})], None, "no change"),
        ([(12, {})], None, "+2.50 USD, of it +2.50 because there was nothing before"),
        ([(1, {})], None, "-2.50 USD (-100 %), of it -2.50 because there was nothing any more"),
        (
            [(1, {}), (12, {}), (12, {"assistant_id": "b"})],
            "assistant",
            "+2.50 USD (+100 %), of it +2.50 because 1 assistant is new",
        ),
        (
            [(1, {"tokens": 100}), (12, {"tokens": 300})],
            None,
            "+0.000500 USD (+200 %), of it +0.000500 because steps had more prompt tokens that were not cached",
        ),
    ],
    ids=["runs", "tokens", "nothing", "begun", "ended", "new", "small"],
)
def test_a_sentence_says_the_change_and_why(
    warehouse: Connection, runs: list[tuple[int, Row]], by: str | None, sentence: str
) -> None:
    with rolled_back(warehouse) as con:
        add_price(con)
        for number, (day, how) in enumerate(runs):
            add_used(con, day, number, **how)

        assert explain(con, by) == sentence


@pytest.mark.parametrize("by", BY)
def test_what_a_run_used_beyond_its_steps_is_in_it(warehouse: Connection, by: str | None) -> None:
    with rolled_back(warehouse) as con:
        add_price(con)
        usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
        add_run(con, created_at="2024-11-12T12:00:00Z", **usage)
        [before, after] = [read_costs(con, each, parse_grouping(by), source=None) for each in (MAY, JUNE)]

    assert explain_costs(before, after, parse_grouping(by)).change_usd == Decimal("2.5")


@pytest.mark.parametrize("has_steps", [False, True])
def test_a_rest_of_a_run_is_told_apart_from_its_steps(warehouse: Connection, has_steps: bool) -> None:
    with rolled_back(warehouse) as con:
        add_price(con)
        for number, (day, tokens) in enumerate([(1, 1_000_000), (12, 3_000_000)]):
            ids = {"run_id": f"run_{number}", "created_at": f"2024-11-{day:02}T12:00:00Z"}
            add_run(con, **ids, prompt_tokens=tokens, completion_tokens=0)
            if has_steps:
                add_step(con, **ids, step_id=f"step_{number}", prompt_tokens=600_000, completion_tokens=0)
        [before, after] = [read_costs(con, each, parse_grouping(None), source=None) for each in (MAY, JUNE)]
        sentence = explain(con)

    assert [cell.steps for cell in (*before.cells, *after.cells)] == [int(has_steps)] * 2
    assert sentence == "+5.00 USD (+200 %), of it +5.00 because runs used more beyond their steps"


@pytest.mark.parametrize("by", ["", "day", "metadata", "metadata.", "Model"])
def test_what_it_cannot_be_told_by_is_refused(by: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--by '.*' is not model, assistant, tool or metadata.KEY"):
        parse_grouping(by)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    with open_for_writing(warehouse_path(tmp_path / "data"), wait_s=1) as con:
        add_used(con, 1, 0)
        add_used(con, 12, 1, tokens=3_000_000, metadata='{"customer": "acme"}')
        add_used(con, 12, 2, model="a-name-without-price", tokens=77)
        add_step(con, run_id="run_9", step_id="step_9", created_at=None, prompt_tokens=5)
    return tmp_path


RANGES = ("--from", MAY.name, "--to", JUNE.name)


def test_a_person_reads_the_parts_their_sum_and_what_is_not_in_it(data_dir: Path) -> None:
    ended = run_cli(data_dir, "explain-change", *RANGES, "--by", "metadata.customer")

    assert ended.returncode == 0, ended.stderr
    lines = [" ".join(line.split()) for line in ended.stdout.splitlines()]
    assert lines[0].startswith("2024-11-11..2024-11-20 beside 2024-11-01..2024-11-10: +5.00 USD (+200 %)")
    assert "new customers 7.50 1.50 1.00" in lines
    assert "together 5.00 1.00" in lines
    assert "acme 0.00 7.50 7.50 +7.50 new customers" in lines
    assert "not in it: 1 step (77 tokens) of 2024-11-11..2024-11-20 without a known cost" in lines
    assert "not in it: 1 of steps, rests and fees that nobody knows the day of" in lines


def test_a_machine_reads_exact_parts_that_add_up(data_dir: Path) -> None:
    ended = run_cli(data_dir, "explain-change", *RANGES, "--by", "model", "--json")

    told = json.loads(ended.stdout)
    assert (told["from"]["cost_usd"], told["to"]["cost_usd"]) == ("2.500000000000", "7.500000000000")
    assert sum(Decimal(part["change_usd"]) for part in told["parts"]) == Decimal(told["change_usd"]) == 5
    assert (told["to"]["unpriced_steps"], told["to"]["unpriced_tokens"], told["undated"]) == (1, 77, 1)
    assert [group["group"] for group in told["groups"]] == ["gpt-4o"]


def test_periods_without_a_known_cost_say_what_days_there_are(data_dir: Path) -> None:
    ended = run_cli(data_dir, "explain-change", "--from", "2020", "--to", "2021")

    assert ended.returncode == 0
    assert (
        "nothing in 2020 or 2021 has a known cost; the warehouse has usage from 2024-11-01 to 2024-11-12"
        in ended.stdout
    )


def test_another_source_is_not_in_it(warehouse: Connection) -> None:
    with rolled_back(warehouse) as con:
        add_used(con, 12, 1, source="other")
        costs = [read_costs(con, JUNE, parse_grouping("tool"), source=source) for source in (None, "other", "main")]

    assert [each.unpriced_steps + len(each.cells) for each in costs] == [1, 0, 1]


@pytest.mark.parametrize(
    "arguments",
    [("--from", "2024"), ("--to", "may"), ("--by", "day"), ("--to", "2024-11..2024-10"), ("--source", "x")],
    ids="_".join,
)
def test_a_mistake_is_a_matter_of_usage(data_dir: Path, arguments: tuple[str, ...]) -> None:
    ended = run_cli(data_dir, "explain-change", *arguments)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: --")
