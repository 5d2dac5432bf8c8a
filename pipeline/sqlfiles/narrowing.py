"""Tables and views as far as they are of some days: what any query reads, without a word of its own about time."""

from collections.abc import Iterable
from datetime import date

from pipeline.sqlfiles.catalog import read_sql_files, views_in_order
from pipeline.sqlfiles.duck import Connection, quoted

_OF_RUNS = "(source, thread_id, run_id) in (select (source, thread_id, run_id) from runs)"
_OF_STEPS = "(source, thread_id, run_id, step_id) in (select (source, thread_id, run_id, step_id) from run_steps)"
_DAY = "cast({} at time zone 'UTC' as date) between $first and $last"
_RUN_BEGAN = """select owners.created_at from $whole.runs as owners
where
    owners.source = run_steps.source
    and owners.thread_id = run_steps.thread_id
    and owners.run_id = run_steps.run_id"""
# What is of the days asked for. Money, usage and tool calls belong to the day of their step, as in usage_costs; a run
# is there if it began on one of the days or has a step of them. What is not named here is made from these, or stays.
_RULES = {
    "usage_costs": "created_on between $first and $last",
    "tool_fees": "charged_on between $first and $last",
    "code_interpreter_sessions": _DAY.format("started_at"),
    "runs": f"({_DAY.format('created_at')} or {_OF_RUNS.replace('from runs', 'from run_steps')})",
    "run_steps": _DAY.format(f"coalesce(created_at, ({_RUN_BEGAN}))"),
    "tool_calls": _OF_STEPS,
    # Judged and divided with all of their run; a run is counted where its first call of a tool is.
    "tool_call_costs": _OF_STEPS,
    "tool_failures": _OF_STEPS,
    "code_interpreter_outputs": _OF_STEPS,
    "file_search_results": _OF_STEPS,
    "completeness": _OF_RUNS,
    "waiting_runs": _OF_RUNS,
    "threads": "((source, thread_id) in (select (source, thread_id) from runs)"
    f" or (coalesce(run_count, 0) = 0 and {_DAY.format('last_synced_at')}))",
    "rejects": "walk_id in (select walk_id from walks)",
    "reconciliation": "day between $first and $last",
    "billed_usage": "billed_on between $first and $last",
    "repricings": _DAY.format("repriced_at"),
    "walks": _DAY.format("ended_at"),
    "loaded_parts": _DAY.format("landed_at"),
    "syncs": _DAY.format("started_at"),
}
_READS = {
    "runs": ("run_steps",),
    "run_steps": (),
    "tool_calls": ("run_steps",),
    "tool_call_costs": ("run_steps",),
    "tool_failures": ("run_steps",),
    "code_interpreter_outputs": ("run_steps",),
    "file_search_results": ("run_steps",),
    "completeness": ("runs",),
    "waiting_runs": ("runs",),
    "threads": ("runs",),
    "rejects": ("walks",),
}
# What tells prices and names whatever the days are.
_KEPT = frozenset({"price_periods", "fee_periods", "source_providers", "model_names", "lone_runs", "counted_bills"})


def narrow(connection: Connection, first_on: date, last_on: date, reads: Iterable[str] | None = None) -> None:
    """From here on the tables and views that are read (None: all) have in them what is of these days, both included."""
    [(database,)] = connection.execute("select current_database()").fetchall()
    whole = f'"{database}".main'
    days = {"$first": f"date {quoted(str(first_on))}", "$last": f"date {quoted(str(last_on))}", "$whole": whole}
    views = {view.name: view for view in views_in_order()}
    for name in _in_order({*_RULES, *views} if reads is None else reads):
        if name in _RULES:
            condition = _RULES[name]
            for sign, value in days.items():
                condition = condition.replace(sign, value)
            connection.execute(f"create temp view {name} as select * from {whole}.{name} where {condition}")
        else:
            connection.execute(views[name].text.replace("create or replace view", "create or replace temp view", 1))


def _in_order(reads: Iterable[str]) -> list[str]:
    """Each name after those that it is made from, without those that stay as they are."""
    found: dict[str, None] = {}
    views = read_sql_files("views")

    def visit(name: str) -> None:
        if name in found or name in _KEPT or not (name in _RULES or name in views):
            return
        for read in _READS.get(name, ()) if name in _RULES else views[name].reads:
            visit(read)
        found[name] = None

    for name in reads:
        visit(name)
    return list(found)
