"""Money is conserved: whatever a server tells of runs and steps, every level is what plain arithmetic makes of it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection
from pipeline.sqlfiles.held_views import holding_views
from pipeline.sqlfiles.schema import open_in_memory
from tests.archived import run_object, write_json
from tests.syncs import environ_for, read_all, run_cli
from tests.warehouse_rows import (
    Row,
    add_call,
    add_list_fees,
    add_price,
    add_run,
    add_step,
    post_ledger,
    read_rows,
    rolled_back,
)

_KINDS = ("prompt", "cached", "completion", "total")
# Dollars for a million tokens; the days of the price are the second half of November.
_RATES = {"input": Decimal("2.499999"), "cached": Decimal("1.25"), "output": Decimal("9.777777")}
_FIRST_DAY = 15
_SESSION_USD = Decimal("0.03")
_CELLS = read_sql_files("queries")["cost_cells"].text.rstrip().removesuffix(";")
MONEY = [read_sql_files("checks")["cost_conservation"], read_sql_files("views")["unpriced_usage"]]
_ALL_CELLS = {"since": "1970-01-01", "until": "9999-12-31", "by": "all", "key": "", "source": ""}


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Connection]:
    with open_in_memory() as con:
        add_list_fees(con)
        add_price(
            con,
            valid_from=f"2024-11-{_FIRST_DAY}",
            input_usd_per_mtok=_RATES["input"],
            cached_input_usd_per_mtok=_RATES["cached"],
            output_usd_per_mtok=_RATES["output"],
        )
        yield con


_COUNTS = st.one_of(st.none(), st.integers(0, 5_000), st.sampled_from([0, 10**12]))
_USAGES = st.one_of(
    st.none(),
    st.fixed_dictionaries({"prompt": _COUNTS, "cached": _COUNTS, "completion": _COUNTS, "total": _COUNTS}),
)
_HOURS = st.integers(0, 60)
_STEPS = st.fixed_dictionaries({"usage": _USAGES, "hour": _HOURS, "sessions": st.integers(0, 2)})
_RUNS = st.fixed_dictionaries(
    {
        "thread": st.integers(0, 1),
        "assistant": st.sampled_from(["asst_1", "asst_2"]),
        "model": st.sampled_from(["gpt-4o", "gpt-4o", "a-deployment", None]),
        "hour": _HOURS,
        "usage": _USAGES,
        "steps": st.lists(_STEPS, max_size=3),
    }
)


# What it must come to, without a line of SQL


def day_of(hour: int) -> int:
    """The day of November of an hour, counted from the last one without a price."""
    return _FIRST_DAY - 1 + hour // 24


def cost_of(run: Row, used: Row, day: int) -> Decimal | None:
    prompt, cached, completion = used["prompt"], used["cached"] or 0, used["completion"]
    if run["model"] != "gpt-4o" or day < _FIRST_DAY or prompt is None or completion is None or cached > prompt:
        return None
    micro: Decimal = (prompt - cached) * _RATES["input"] + cached * _RATES["cached"] + completion * _RATES["output"]
    return micro / 1_000_000


def rest_of(run: Row) -> Row | None:
    """What the run says beyond its steps, kind by kind."""
    whole = run["usage"]
    if whole is None or not any(whole[kind] for kind in ("prompt", "completion", "total")):
        return None
    told = [step["usage"] for step in run["steps"] if step["usage"] and any_told(step["usage"])]
    if not told:
        return dict(whole)
    left = {
        kind: None if whole[kind] is None else max(whole[kind] - sum(known(used, kind) for used in told), 0)
        for kind in _KINDS
    }
    # A part that the run itself makes more than its whole stays impossible.
    if whole["cached"] is not None and whole["prompt"] is not None and whole["cached"] > whole["prompt"]:
        left["cached"] = whole["cached"]
    elif left["cached"] is not None and left["prompt"] is not None:
        left["cached"] = min(left["cached"], left["prompt"])
    return left if any(left[kind] for kind in ("prompt", "completion", "total")) else None


def is_only_total(used: Row) -> bool:
    return used["prompt"] is None and used["completion"] is None and bool(used["total"])


def has_only_totals(run: Row) -> bool:
    """Whether the run tells by kind, beyond its steps, what these tell as a total only."""
    rest = rest_of(run)
    if rest is None or rest["prompt"] is None or rest["completion"] is None:
        return False
    totals = sum(step["usage"]["total"] for step in run["steps"] if step["usage"] and is_only_total(step["usage"]))
    return bool(rest["prompt"] + rest["completion"] >= totals)


def any_told(used: Row) -> bool:
    return any(used[kind] is not None for kind in ("prompt", "completion", "total"))


def known(used: Row, kind: str) -> int:
    if kind == "total" and used["total"] is None:
        has_parts = used["prompt"] is not None and used["completion"] is not None
        return used["prompt"] + used["completion"] if has_parts else 0
    return used[kind] or 0


def entries_of(runs: list[Row]) -> list[Row]:
    """Everything that was used, each with its cost (None: unknown)."""
    entries = []
    for number, run in enumerate(runs):
        keys = {"thread": f"thread_{run['thread']}", "run": f"run_{number}", "assistant": run["assistant"]}
        for step in run["steps"]:
            used = step["usage"] or dict.fromkeys(_KINDS)
            day = day_of(step["hour"])
            entries.append({**keys, "day": day, "is_rest": False, "usage": used, "cost": cost_of(run, used, day)})
        if (rest := rest_of(run)) is not None:
            day = day_of(run["hour"])
            entries.append({**keys, "day": day, "is_rest": True, "usage": rest, "cost": cost_of(run, rest, day)})
    return entries


def fees_of(runs: list[Row]) -> dict[str, Decimal]:
    """Sessions of an hour in each thread, whoever uses them; a use is at a full hour."""
    hours: dict[str, set[int]] = defaultdict(set)
    for run in runs:
        hours[f"thread_{run['thread']}"].update(step["hour"] for step in run["steps"] if step["sessions"])
    return {thread: len(used) * _SESSION_USD for thread, used in hours.items() if used}


def sums(entries: Iterable[Row], key: str) -> dict[Any, Decimal]:
    """Known costs by a key; a key without any is not there."""
    found: dict[Any, Decimal] = defaultdict(Decimal)
    for entry in entries:
        if entry["cost"] is not None:
            found[entry[key]] += entry["cost"]
    return dict(found)


# What the warehouse says


def instant(hour: int) -> str:
    return f"2024-11-{day_of(hour):02}T{hour % 24:02}:00:00Z"


def columns_of(used: Row | None) -> Row:
    return {f"{kind}_tokens": (used or {}).get(kind) for kind in _KINDS}


def add_all(con: Connection, runs: list[Row], *, with_steps: bool = True) -> None:
    for number, run in enumerate(runs):
        ids: Row = {"thread_id": f"thread_{run['thread']}", "run_id": f"run_{number}"}
        told = {"assistant_id": run["assistant"], "model": run["model"], **columns_of(run["usage"])}
        add_run(con, **ids, **told, created_at=instant(run["hour"]))
        if with_steps:
            add_steps(con, run, ids)


def add_steps(con: Connection, run: Row, ids: Row) -> None:
    for index, step in enumerate(run["steps"]):
        place = {**ids, "step_id": f"step_{index}"}
        add_step(con, **place, step_index=index, created_at=instant(step["hour"]), **columns_of(step["usage"]))
        for call in range(step["sessions"]):
            kind = "code_interpreter"
            add_call(con, **place, call_index=call, type=kind, name=kind, arguments="x" * (call + 1))


def told_by(con: Connection, view: str, key: str, money: str = "cost_usd") -> dict[Any, Decimal]:
    sql = f"select {key} as key, sum({money}) as usd from {view} group by all having usd is not null"
    return {row["key"]: row["usd"] for row in read_rows(con, sql)}


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs=st.lists(_RUNS, min_size=1, max_size=12))
def test_every_level_is_what_plain_arithmetic_makes_of_it(warehouse: Connection, runs: list[Row]) -> None:
    entries, fees = entries_of(runs), fees_of(runs)
    with rolled_back(warehouse) as con:
        add_all(con, runs)
        post_ledger(con)
        with holding_views(con, MONEY):
            found = {
                "run": told_by(con, "run_costs", "run_id"),
                "thread": told_by(con, "thread_costs", "thread_id"),
                "day": told_by(con, "daily_spend", "day(day)"),
                "assistant": told_by(con, "assistant_spend", "assistant_id"),
            }
            rests = told_by(con, "run_costs", "run_id", "unattributed_cost_usd")
            unpriced = read_rows(con, "select sum(steps) as steps, sum(rests) as rests from unpriced_usage")
            fee_sums = [
                told_by(con, view, key, "fee_usd")
                for view, key in (("thread_costs", "thread_id"), ("run_costs", "thread_id"), ("tool_fees", "thread_id"))
            ]
            posted = told_by(con, "cost_ledger", "run_id")
            calls = read_rows(
                con,
                "select source, thread_id, run_id, step_id, sum(tool_call_costs.cost_usd) as calls_usd,"
                " any_value(step_costs.cost_usd) as step_usd from tool_call_costs"
                " inner join step_costs using (source, thread_id, run_id, step_id) group by all",
            )

    assert found == {key: sums(entries, key) for key in found}
    assert rests == sums((entry for entry in entries if entry["is_rest"]), "run")
    assert posted == found["run"]
    assert fee_sums == [fees, fees, fees]
    assert [row for row in calls if row["calls_usd"] != row["step_usd"]] == []
    without = [entry for entry in entries if entry["cost"] is None and any(entry["usage"].values())]
    # More cached than no tokens at all is nothing to pay.
    without = [entry for entry in without if any(entry["usage"][kind] for kind in ("prompt", "completion", "total"))]
    in_rests = {f"run_{number}" for number, run in enumerate(runs) if has_only_totals(run)}
    without = [entry for entry in without if not (entry["run"] in in_rests and is_only_total(entry["usage"]))]
    rest_count = sum(entry["is_rest"] for entry in without)
    assert [(row["steps"] or 0, row["rests"] or 0) for row in unpriced] == [(len(without) - rest_count, rest_count)]


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs=st.lists(_RUNS, min_size=1, max_size=8))
def test_steps_that_come_later_take_over_from_the_rest_and_count_once(warehouse: Connection, runs: list[Row]) -> None:
    with rolled_back(warehouse) as con:
        add_all(con, runs, with_steps=False)
        post_ledger(con)
        for number, run in enumerate(runs):
            add_steps(con, run, {"thread_id": f"thread_{run['thread']}", "run_id": f"run_{number}"})
        post_ledger(con)
        later = told_by(con, "run_costs", "run_id")
        posted = told_by(con, "cost_ledger", "run_id")

    assert later == posted == sums(entries_of(runs), "run")


def used(prompt: int | None, completion: int | None, total: int | None = None, cached: int | None = None) -> Row:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, "cached_tokens": cached}


@pytest.mark.parametrize(
    ("run", "steps", "rest"),
    [
        (used(1_000, 100, 1_100), [], (1_000, 100, 1_100, None)),
        (used(1_000, 100, 1_100), [used(None, None)], (1_000, 100, 1_100, None)),
        (used(1_000, 100, 1_100), [used(600, 40, 640)], (400, 60, 460, None)),
        (used(1_000, 100, 1_100), [used(1_000, 100, 1_100)], None),
        (used(1_000, 100, 1_100), [used(1_000, 100)], None),
        (used(1_000, 100, 1_100), [used(1_200, 40, 1_240)], (0, 60, 0, None)),
        (used(1_000, 100, 1_100), [used(2_000, 200, 2_200)], None),
        (used(None, None, 1_100), [used(None, None, 300)], (None, None, 800, None)),
        (used(1_000, 100, 1_100, 500), [used(600, 40, 640, 400)], (400, 60, 460, 100)),
        (used(1_000, 100, 1_100, 900), [used(600, 40, 640)], (400, 60, 460, 400)),
        (used(1_000, 100, 1_100, 0), [used(600, 40, 640)], (400, 60, 460, 0)),
        (used(0, 0, 0), [], None),
        (used(None, None), [used(600, 40, 640)], None),
        (used(2**62, 2**62), [used(2**62, 0)], (0, 2**62, None, None)),
    ],
)
def test_a_rest_is_what_the_run_says_beyond_its_steps(
    warehouse: Connection, run: Row, steps: list[Row], rest: tuple[int | None, ...] | None
) -> None:
    with rolled_back(warehouse) as con:
        add_run(con, **run)
        for index, step in enumerate(steps):
            add_step(con, step_id=f"step_{index}", step_index=index, **step)
        rows = read_rows(
            con,
            "select prompt_tokens, completion_tokens, total_tokens, cached_tokens from usage_costs"
            " where kind = 'run_rest'",
        )

    assert [tuple(row.values()) for row in rows] == ([] if rest is None else [rest])


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ({**used(None, None, 1_000)}, "only a total"),
        ({**used(1_000, None)}, "only a part"),
        ({**used(None, 1_000)}, "only a part"),
        ({**used(1_000, 10, 1_010, 2_000)}, "impossible usage"),
        ({**used(-5, 10)}, "impossible usage"),
        ({**used(10**16, 10)}, "impossible usage"),
        ({**used(1_000, 10), "model": None}, "no model"),
        ({**used(1_000, 10), "created_at": None}, "no day"),
        ({**used(1_000, 10), "model": "a-deployment"}, "no price"),
        ({**used(1_000, 10), "created_at": "2024-11-01T00:00:00Z"}, "no price"),
        ({**used(1_000, 10), "service_tier": "flex"}, "no price of its tier"),
        ({**used(1_000, 10)}, None),
        ({**used(0, 0, 0), "model": None}, None),
    ],
)
@pytest.mark.parametrize("on_the_step", [False, True])
def test_tokens_without_a_cost_are_named_whatever_the_reason(
    warehouse: Connection, run: Row, reason: str | None, on_the_step: bool
) -> None:
    tokens = {name: value for name, value in run.items() if name.endswith("_tokens")}
    others = {name: value for name, value in run.items() if name not in tokens}
    with rolled_back(warehouse) as con:
        add_run(con, **others, **({} if on_the_step else tokens))
        if on_the_step:
            add_step(con, created_at=run.get("created_at", "2024-11-20T12:00:00Z"), **tokens)
        rows = read_rows(con, "select reason from unpriced_usage")

    assert [row["reason"] for row in rows] == ([] if reason is None else [reason])


@pytest.mark.parametrize(
    ("run", "steps", "reasons", "cost_usd"),
    [
        # All that the step tells is in the rest, by kind.
        (used(800, 200, 1_000), [used(None, None, 1_000)], [], "0.003955554600"),
        (used(800, 200, 1_000), [used(None, None, 400)], [], "0.003955554600"),
        (used(800, 200, 1_000), [used(None, None, 400), used(None, None, 600)], [], "0.003955554600"),
        (used(800, 200), [used(None, None, 1_000)], [], "0.003955554600"),
        (used(800, 200, 1_000), [used(400, 100, 500), used(None, None, 500)], [], "0.003955554600"),
        # The other step has all of it, or the run tells less, or not by kind.
        (used(800, 200, 1_000), [used(800, 200, 1_000), used(None, None, 500)], ["only a total"], "0.003955554600"),
        (used(400, 50, 450), [used(None, None, 1_000)], ["only a total"], "0.001488888450"),
        (used(None, None, 1_000), [used(None, None, 1_000)], ["only a total"], None),
        (used(800, None, 1_000), [used(None, None, 1_000)], ["only a part", "only a total"], None),
        (used(0, 0, 0), [used(None, None, 1_000)], ["only a total"], None),
        (used(None, None), [used(None, None, 1_000)], ["only a total"], None),
    ],
)
def test_tokens_told_as_a_total_are_either_in_the_rest_by_kind_or_named(
    warehouse: Connection, run: Row, steps: list[Row], reasons: list[str], cost_usd: str | None
) -> None:
    with rolled_back(warehouse) as con:
        add_run(con, **run)
        for index, step in enumerate(steps):
            add_step(con, step_id=f"step_{index}", step_index=index, **step)
        named = read_rows(con, "select reason from unpriced_usage order by reason")
        [total] = read_rows(con, "select cost_usd, unpriced_steps from run_costs")
        [cells] = read_rows(con, f"select sum(unpriced_steps) as steps from ({_CELLS}) as cells", _ALL_CELLS)

    assert [row["reason"] for row in named] == reasons
    assert total["cost_usd"] == (None if cost_usd is None else Decimal(cost_usd))
    assert (total["unpriced_steps"], cells["steps"]) == (reasons.count("only a total"),) * 2


# What a server sends of a run's tier: the tier that it is of, whether that is known, and what its million tokens cost.
TIERS: list[tuple[Row, str, bool, int | None]] = [
    ({}, "standard", True, 2),
    ({"service_tier": None}, "standard", True, 2),
    ({"service_tier": "default"}, "standard", True, 2),
    ({"service_tier": "auto"}, "standard", False, 2),
    ({"service_tier": "flex"}, "flex", True, 1),
    ({"service_tier": "priority"}, "priority", True, 4),
    ({"service_tier": "scale"}, "scale", True, None),
    ({"serviceTier": "flex"}, "flex", True, 1),
]


@pytest.mark.parametrize("content", ["full", "hashed"])
def test_a_run_is_priced_by_the_tier_that_the_server_says(tmp_path: Path, content: str) -> None:
    rows = [
        "model,tier,input_usd_per_mtok,output_usd_per_mtok",
        "gpt-4o,,2,9",
        "gpt-4o,flex,1,9",
        "gpt-4o,priority,4,9",
    ]
    (tmp_path / "data").mkdir()
    (tmp_path / "data/own-prices.csv").write_text("\n".join([*rows, ""]), "utf-8")
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
    runs = [run_object(f"run_{number}", **{"usage": usage, **sent}) for number, (sent, *_) in enumerate(TIERS)]
    write_json(tmp_path / "a.json", runs)

    ended = run_cli(
        tmp_path,
        "import",
        "a.json",
        "--content",
        content,
        "--data-dir",
        "data",
        environ=environ_for(PIPELINE_CONTENT_KEY="5" * 64),
    )

    assert ended.returncode == 0, ended.stderr
    expected = [
        (f"run_{number}", tier, is_known, None if cost_usd is None else Decimal(cost_usd))
        for number, (_, tier, is_known, cost_usd) in enumerate(TIERS)
    ]
    sql = "select run_id, tier, tier_is_known, cost_usd from usage_costs order by run_id"
    assert read_all(tmp_path / "data", sql) == expected


def test_a_tier_that_cannot_be_read_is_lost_and_said(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", [run_object(service_tier={"name": "flex"})])

    ended = run_cli(tmp_path, "import", "a.json", "--data-dir", "data")

    assert ended.returncode == 4
    assert "service_tier" in ended.stderr
