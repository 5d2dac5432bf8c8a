"""Ids are unique only within their parent: every table is keyed, and every join made, by all of source to step."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection
from pipeline.sqlfiles.schema import open_in_memory
from pipeline.warehouse.checks import checking, run_checks
from tests.warehouse_rows import (
    add_call,
    add_list_prices,
    add_run,
    add_step,
    add_walk,
    post_ledger,
    read_rows,
)

ROOT = Path(__file__).parents[2]
PARENTS = {"run_id": ["source", "thread_id"], "step_id": ["source", "thread_id", "run_id"]}
# Names in a `using (...)`, a `group by`, a `partition by`, a `select` or a row of columns.
LISTS = re.compile(
    r"(?:using\s*|partition by\s+|group by\s+|\b(?:in|distinct)\s*|where )?\(?((?:\w+\.)?source(?:,\s*(?:\w+\.)?\w+)+)"
)
EQUAL = re.compile(r"(\w+)\.(thread_id|run_id|step_id) (?:=|is not distinct from) (\w+)\.(\w+)")
# A call that names a run and no thread means the only one of that name; the ledger of earlier versions had no threads.
MEANT = {
    "docs/tables.md": ["source, run_id"],
    "sql/views/lone_runs.sql": ["source, run_id", "source, run_id, min", "source, run_id"],
    # A response names the one before it by its id alone.
    "sql/views/run_chains.sql": ["source, run_id", "chains, runs: run_id"],
    # Responses are visited by their ids; one that turns out to be of a conversation is no thread.
    "pipeline/extract/known_threads.py": ["named_threads, runs: run_id"],
    "pipeline/warehouse/transaction/seals.py": ["source, run_id", "runs.source, runs.run_id"],
    # Ids of responses are nobody else's: one in two threads is what is looked for.
    "sql/checks/runs_in_two_threads.sql": [
        "run_costs.source,\n    run_costs.run_id,\n    array_to_string",
        "run_costs.source, run_costs.run_id",
        "run_costs.source, run_costs.run_id",
    ],
    # What is there under another parent as well.
    "pipeline/verbs/sync/kept.py": ["others, steps: step_id, thread_id"],
    "pipeline/warehouse/checks.py": ["others, runs: run_id"],
    "pipeline/verbs/sync/beside.py": ["chain, runs: run_id"],
    "sql/views/tool_call_costs.sql": ["lone_runs, tool_calls: run_id"],
    "sql/views/connected_agent_costs.sql": ["lone_runs, tool_calls: run_id"],
    "pipeline/warehouse/ledger.py": ["ledger, steps: run_id, step_id", "ledger, steps: run_id, step_id"],
}


def sql_texts() -> Iterator[tuple[str, str]]:
    """Whatever holds SQL: files of it, strings of the program, cells of notebooks, pages that people copy from."""
    for pattern in ("sql/**/*.sql", "pipeline/**/*.py", "notebooks/*.ipynb", "docs/*.md", "README.md"):
        for path in sorted(ROOT.glob(pattern)):
            yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")


def broken_lists(text: str) -> list[str]:
    """Lists of columns that begin with `source` and name a run or a step without its parents."""
    found = []
    for match in LISTS.finditer(text):
        names = [name.strip().rpartition(".")[2] for name in match[1].split(",")]
        for column, parents in PARENTS.items():
            if column in names and not set(parents) <= set(names):
                found.append(match[1])
    return found


def broken_joins(text: str) -> list[str]:
    """Equalities of ids of two relations that are not beside those of the ids' parents."""
    pairs: dict[tuple[str, str, int], set[str]] = {}
    # A condition is within one join, which ends where the next begins.
    for number, condition in enumerate(re.split(r"\bjoin\b|\bwhere\b|\bfrom\b|\bupdate\b|\bselect\b|\bexists\b", text)):
        for left, column, right, other in EQUAL.findall(condition):
            if left != right:
                pairs.setdefault((*sorted((left, right)), number), set()).add(column)
                # Threads are named by ids of any kind; a response without a conversation is one of its own.
                is_meant = "named_threads" in (left, right) or other == "previous_run_id"
                assert other.endswith(column) or is_meant, (left, column, right, other)
    return [
        f"{pair[0]}, {pair[1]}: {', '.join(sorted(columns))}"
        for pair, columns in pairs.items()
        for column, parents in PARENTS.items()
        if column in columns and not set(parents) - {"source"} <= columns
    ]


@pytest.mark.parametrize(
    "text",
    [
        "join a using (source, run_id)",
        "select source, step_id from",
        "(a.source, a.run_id) in",
        "group by source,\n  run_id",
    ],
)
def test_a_list_without_the_parents_is_seen(text: str) -> None:
    assert broken_lists(text)


@pytest.mark.parametrize(
    "text",
    [
        "join b on a.source = b.source and a.run_id = b.run_id",
        "join b on a.source = b.source and a.run_id = b.run_id and a.step_id = b.step_id",
        "left join c on c.step_id = b.step_id",
    ],
)
def test_a_join_without_the_parents_is_seen(text: str) -> None:
    assert broken_joins(text)


def test_no_sql_takes_an_id_for_unique_beyond_its_parent() -> None:
    found = {name: broken_lists(text) + broken_joins(text) for name, text in sql_texts()}

    assert {name: broken for name, broken in found.items() if broken} == MEANT


@pytest.mark.parametrize("kind", ["tables", "views", "report"])
def test_what_has_a_run_or_a_step_in_its_grain_has_its_parents_there(kind: str) -> None:
    for name, found in read_sql_files(kind).items():
        for column, parents in PARENTS.items():
            assert name == "lone_runs" or column not in found.grain or set(parents) <= set(found.grain), name


@pytest.fixture
def con() -> Iterator[Connection]:
    with open_in_memory() as connection:
        yield connection


@pytest.mark.parametrize(
    "ids",
    [
        [("thread_1", "run_1", "step_1"), ("thread_1", "run_2", "step_1")],
        [("thread_1", "run_1", "step_1"), ("thread_2", "run_1", "step_1")],
        [("thread_1", "run_1", "step_1"), ("thread_2", "run_1", "step_2")],
        [(thread, run, step) for thread in "ab" for run in "ab" for step in "ab"],
    ],
    ids=["steps in their run", "runs in their thread", "steps in their thread", "all three"],
)
def test_every_view_counts_once_what_a_server_numbers_within_its_parent(
    con: Connection, ids: list[tuple[str, str, str]]
) -> None:
    add_list_prices(con)
    usage = {"prompt_tokens": 1_000, "completion_tokens": 0, "total_tokens": 1_000}
    runs = sorted({key[:2] for key in ids})
    for thread, run in runs:
        steps = sum(key[:2] == (thread, run) for key in ids)
        total = {name: tokens * steps for name, tokens in usage.items()}
        add_run(con, thread_id=thread, run_id=run, **total)
        add_walk(con, walk_id=f"{thread}{run}", thread_id=thread, run_id=run)
    for thread, run, step in ids:
        index = sorted(key for key in ids if key[:2] == (thread, run)).index((thread, run, step))
        key = {"thread_id": thread, "run_id": run, "step_id": step}
        add_step(con, **key, step_index=index, type="tool_calls", tool_call_count=1, **usage)
        add_call(con, **key, arguments="{}", output="{}")
    post_ledger(con)

    count, cents = len(ids), len(ids) * 25
    sums = """
    select
        (select sum(cost_usd) from step_costs) * 10000 as of_steps,
        (select sum(cost_usd) from run_costs) * 10000 as of_runs,
        (select sum(cost_usd) from thread_costs) * 10000 as of_threads,
        (select sum(cost_usd) from tool_call_costs) * 10000 as of_calls,
        (select sum(cost_usd) from daily_spend) * 10000 as of_days,
        (select sum(cost_usd) from cost_ledger) * 10000 as of_ledger,
        (select sum(calls) from tool_usage) as calls,
        (select sum(steps) from tool_usage) as steps,
        (select sum(runs) from tool_usage) as runs,
        (select sum(runs) from daily_spend) as runs_of_days,
        (select count(*) from completeness where state = 'complete') as complete
    """
    money = dict.fromkeys(("of_steps", "of_runs", "of_threads", "of_calls", "of_days", "of_ledger"), cents)
    counts = {"calls": count, "steps": count, "runs": len(runs), "runs_of_days": len(runs), "complete": len(runs)}
    with checking(con):
        assert read_rows(con, sums) == [money | counts]
        assert run_checks(con) == []


def test_a_run_that_two_sources_have_is_named_with_what_is_counted_again(con: Connection) -> None:
    add_list_prices(con)
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
    for source, created_at in (("main", "2024-11-20T12:00:00Z"), ("archive", "2024-11-20T12:00:00Z")):
        add_run(con, source=source, created_at=created_at, **usage)
        add_walk(con, walk_id=source, source=source)
        add_step(con, source=source, **usage)
    # Another server's, that numbers its runs as well.
    add_run(con, source="other", created_at="2024-11-21T12:00:00Z", sealed=False, status="queued")
    post_ledger(con)

    [finding] = run_checks(con)

    assert (finding.name, finding.level, finding.rows) == ("runs_in_two_sources", "warn", 1)
    assert "thread_1 run_1" in finding.message
    assert finding.message.endswith(", together 2.50 USD")
