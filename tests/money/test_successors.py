"""What responses and turns cost: every sum here was worked out by hand from the rates of gpt-5.6-terra of that day.

Standard: 2.00 US dollars for a million tokens of input, 0.20 read from the cache, 2.50 written to it, 12.00 of output.
"""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, read_frame
from pipeline.warehouse.checks import run_checks
from pipeline.warehouse.database import warehouse_path
from tests.answered import MADE_AT, called, listed, response, session, turn, usage_of
from tests.archived import import_here, lines_of, run_object, step_object
from tests.attached import looking_into
from tests.landed import Json

TERRA = "gpt-5.6-terra"
# 5,000 of input, of which 1,500 were read and 2,000 written: 1,500 are left.
USAGE = usage_of(5000, 900, cached=1500, written=2000)
LONG = usage_of(272_001, 1000, cached=100_000, written=50_000)
SHORT = usage_of(272_000, 1000, cached=100_000, written=50_000)


def made(name: str, **fields: Any) -> Json:
    return response(response_id=f"resp_{name}", conversation=None, **{"model": TERRA, "usage": USAGE, **fields})


def batched(answer: Json) -> Json:
    return {"id": "batch_req", "custom_id": answer["id"], "response": {"status_code": 200, "body": answer}}


# Of each response its line of the archive, its tier, whether that is known, and the cost: tokens times rates.
COSTS: dict[str, tuple[Json, str, bool, str | None]] = {
    # 1,500 x 2.00 + 1,500 x 0.20 + 2,000 x 2.50 + 900 x 12.00 = 19,100
    "standard": (made("standard"), "standard", True, "0.0191"),
    # 1,500 x 1.00 + 1,500 x 0.10 + 2,000 x 1.25 + 900 x 6.00 = 9,550
    "flex": (made("flex", service_tier="flex"), "flex", True, "0.00955"),
    "batch": (batched(made("batch")), "batch", True, "0.00955"),
    # 1,500 x 4.00 + 1,500 x 0.40 + 2,000 x 5.00 + 900 x 24.00 = 38,200
    "priority": (made("priority", service_tier="priority"), "priority", True, "0.0382"),
    "fast": (made("fast", service_tier="fast"), "priority", True, "0.0382"),
    # What is not said is priced as standard, and said to be so.
    "auto": (made("auto", service_tier="auto"), "standard", False, "0.0191"),
    "untold": (made("untold", service_tier=None), "standard", False, "0.0191"),
    # A tier that no list has: unknown is null.
    "scale": (made("scale", service_tier="scale"), "scale", True, None),
    # The whole request: 122,001 x 4.00 + 100,000 x 0.40 + 50,000 x 5.00 + 1,000 x 18.00 = 796,004
    "long": (made("long", usage=LONG), "standard", True, "0.796004"),
    # 122,000 x 2.00 + 100,000 x 0.20 + 50,000 x 2.50 + 1,000 x 12.00 = 401,000
    "short": (made("short", usage=SHORT), "standard", True, "0.401"),
    # No number of tokens written: 3,500 x 2.00 + 1,500 x 0.20 + 900 x 12.00 = 18,100
    "unwritten": (made("unwritten", usage=usage_of(5000, 900, cached=1500)), "standard", True, "0.0181"),
    "failed": (made("failed", usage=None, status="failed"), "standard", True, None),
}
SEARCHING = {"type": "web_search_call", "action": {"type": "search", "query": "tides"}}
READING = {"type": "web_search_call", "action": {"type": "open_page", "url": "https://e.x/"}}
FINDING = {"type": "file_search_call", "queries": ["refund"]}
BIG = [{"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}}]


def coded(container_id: str) -> Json:
    return {"type": "code_interpreter_call", "container_id": container_id, "code": "1"}


def shelled(container_id: str) -> Json:
    return {"type": "shell_call", "call_id": "c", "action": {}, "environment": {"container_id": container_id}}


def used(name: str, *output: Json, at: int = 0, **fields: Any) -> Json:
    items = [{"id": f"i{number}", "status": "completed", **item} for number, item in enumerate(output)]
    return made(name, output=items, created_at=MADE_AT + at, **fields)


BILLED = {"web_search": {"num_requests": 5}}
FEES: dict[str, tuple[list[Json], list[tuple[str, str, int, str]]]] = {
    "searches": ([used("search", SEARCHING, SEARCHING, READING)], [("resp_search", "web_search_call", 2, "0.02")]),
    "what the server charges for": (
        [used("billed", SEARCHING, READING, tool_usage=BILLED)], [("resp_billed", "web_search_call", 5, "0.05")],
    ),
    "none that it charges for": ([used("free", SEARCHING, tool_usage={"web_search": {"num_requests": 0}})], []),
    "pages that were opened": ([used("opened", READING)], []),
    "files": ([used("files", FINDING, FINDING)], [("resp_files", "file_search_call", 2, "0.005")]),
    # 19:59 is still the first period, 20:00 begins the next.
    "a container": (
        [used("c1", coded("k1")), used("c2", shelled("k1"), at=1199), used("c3", coded("k1"), at=1200)],
        [("resp_c1", "container_1gb_20_minutes", 1, "0.03"), ("resp_c3", "container_1gb_20_minutes", 1, "0.03")],
    ),
    "a container of 4 GB": (
        [used("big", coded("k2"), tools=BIG)], [("resp_big", "container_4gb_20_minutes", 1, "0.12")],
    ),
    "two containers": (
        [used("pair", coded("k3"), coded("k4"))], [("resp_pair", "container_1gb_20_minutes", 2, "0.06")],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def spent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A warehouse of them all."""
    folder = tmp_path_factory.mktemp("spent")
    lines = [line for line, *_ in COSTS.values()] + [line for lines, _ in FEES.values() for line in lines]
    turns = [session(TERRA), turn(usage=USAGE), turn("turn_b", usage=USAGE, subagent_id="sub_1")]
    items = listed({"type": "file_search_call", "id": "i1", "queries": ["x"], "turn_id": "turn_a"})
    (folder / "all.jsonl").write_bytes(lines_of([*lines, *turns, items]))
    import_here(folder / "data", folder / "all.jsonl")
    with looking_into(warehouse_path(folder / "data")) as connection:
        yield connection


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


@pytest.mark.parametrize("name", COSTS)
def test_a_response_costs_its_tokens_at_the_rates_of_its_tier_and_size(spent: Connection, name: str) -> None:
    _, tier, is_known, cost = COSTS[name]
    found = rows(spent, f"select tier, tier_is_known, cost_usd from step_costs where run_id = 'resp_{name}'")
    assert found == [(tier, is_known, None if cost is None else Decimal(cost))]


def test_a_turn_costs_at_its_sessions_model_and_a_subagents_is_unknown(spent: Connection) -> None:
    query = "select run_id, model, tier_is_known, cost_usd from step_costs where thread_id = 'sess_a' order by run_id"
    assert rows(spent, query) == [("turn_a", TERRA, False, Decimal("0.0191")), ("turn_b", None, False, None)]


@pytest.mark.parametrize("name", FEES)
def test_tools_of_responses_have_fees_of_their_own(spent: Connection, name: str) -> None:
    lines, fees = FEES[name]
    ids = ", ".join(f"'{line['id']}'" for line in lines)
    query = f"select run_id, kind, quantity, fee_usd from tool_fees where run_id in ({ids}) order by run_id, kind"
    assert rows(spent, query) == [(run_id, kind, count, Decimal(fee)) for run_id, kind, count, fee in fees]


def test_no_response_has_a_session_of_the_code_interpreter_and_no_turn_pays_for_files(spent: Connection) -> None:
    assert rows(spent, "select count(*) from code_interpreter_sessions") == [(0,)]
    assert rows(spent, "select kind from tool_fees where thread_id = 'sess_a'") == []


def test_everything_adds_up(spent: Connection) -> None:
    assert [finding.name for finding in run_checks(spent)] == ["unpriced_models"]


def test_an_hour_of_the_code_interpreter_is_charged_of_assistants_only(tmp_path: Path) -> None:
    call = {"id": "call_1", "type": "code_interpreter", "code_interpreter": {"input": "1", "outputs": []}}
    step = step_object("step_1", type="tool_calls", step_details={"type": "tool_calls", "tool_calls": [call]})
    path = tmp_path / "both.jsonl"
    path.write_bytes(lines_of([run_object(), step, used("new", coded("k"))]))
    import_here(tmp_path / "data", path)
    with looking_into(warehouse_path(tmp_path / "data")) as connection:
        assert rows(connection, "select run_id, kind, quantity from tool_fees order by run_id") == [
            ("resp_new", "container_1gb_20_minutes", 1),
            ("run_1", "code_interpreter_session", 1),
        ]


# Of each response its fields, its calls, and the reason why they failed.
FAILING: dict[str, tuple[Json, list[Json], str | None]] = {
    "an output that is elsewhere": ({"status": "incomplete"}, [called()], None),
    "an output that never came": ({"status": "failed", "error": {"code": "server_error"}}, [called()], None),
    "a call that failed": ({}, [{"type": "mcp_call", "id": "m", "name": "f", "status": "failed"}], "call_failed"),
    "a call that was cut off": ({}, [{"type": "web_search_call", "id": "w", "status": "incomplete"}], "call_failed"),
    "an error of a call": ({}, [{"type": "mcp_call", "id": "m", "name": "f", "error": "boom"}], "call_failed"),
    "an exit code": ({}, [{"type": "command_execution", "id": "x", "command": "ls", "exit_code": 1}], "call_failed"),
    "an output that is an error": (
        {},
        [called(), {"type": "function_call_output", "call_id": "call_a", "output": '{"error":"no"}'}],
        "error_output",
    ),
    "a traceback": (
        {},
        [
            coded("k")
            | {"id": "t", "outputs": [{"type": "logs", "logs": "Traceback (most recent call last):\nKeyError"}]}
        ],
        "traceback",
    ),
    "all well": ({}, [called(), {"type": "function_call_output", "call_id": "call_a", "output": "ok"}], None),
}  # fmt: skip


def test_a_call_failed_if_it_says_so_itself_whatever_became_of_its_response(tmp_path: Path) -> None:
    lines = [
        response(*output, response_id=f"resp_{number}", conversation=None, **fields)
        for number, (fields, output, _) in enumerate(FAILING.values())
    ]
    (tmp_path / "a.jsonl").write_bytes(lines_of(lines))
    import_here(tmp_path / "data", tmp_path / "a.jsonl")
    with looking_into(warehouse_path(tmp_path / "data")) as connection:
        found = dict(rows(connection, "select run_id, reason from tool_failures"))
    assert {name: found.get(f"resp_{number}") for number, name in enumerate(FAILING)} == {
        name: reason for name, (*_, reason) in FAILING.items()
    }


def test_a_chain_is_known_from_its_first_response_however_they_came(tmp_path: Path) -> None:
    links = [("resp_c", "resp_b"), ("resp_a", None), ("resp_b", "resp_a"), ("resp_z", "resp_gone")]
    lines = [response(response_id=own, previous_response_id=before, conversation=None) for own, before in links]
    (tmp_path / "a.jsonl").write_bytes(lines_of(lines))
    import_here(tmp_path / "data", tmp_path / "a.jsonl")
    with looking_into(warehouse_path(tmp_path / "data")) as connection:
        assert rows(connection, "select run_id, root_run_id, depth, is_cut from run_chains order by run_id") == [
            ("resp_a", "resp_a", 0, False),
            ("resp_b", "resp_a", 1, False),
            ("resp_c", "resp_a", 2, False),
            ("resp_z", "resp_z", 0, True),
        ]
        query = read_sql_files("queries")["expensive_conversations"]
        found = read_frame(connection, query.text, query.params).sort("thread_id")
        assert found.select("thread_id", "runs", "threads", "begins_earlier").rows() == [
            ("resp_a", 3, 3, False),
            ("resp_z", 1, 1, True),
        ]
        [(whole,)] = rows(connection, "select round(sum(cost_usd), 6) from run_costs")
        assert found["cost_usd"].sum() == whole
