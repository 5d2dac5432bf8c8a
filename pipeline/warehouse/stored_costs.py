"""Costs that are stored: what posted runs and their calls cost, worked out once, so that views need not do it again.

Nothing is stored that the views could not work out; of a run that is not stored they do.
"""

from collections.abc import Iterator

from pipeline.sqlfiles.duck import Connection, has_rows

STORED_TABLES = ("stored_runs", "stored_costs", "stored_calls")
# So many at a time: what is worked out of them stays small.
RUNS_AT_ONCE = 8192

_SLICES = """
create or replace temp table slices as
select source, thread_id, run_id,
    (row_number() over (order by source, thread_id, run_id) - 1) // {at_once} as slice
from {runs}
"""
_SLICE = """
create or replace temp table runs_of_slice as select source, thread_id, run_id from slices where slice = ?
"""
# The relations `runs_at_work`, `steps_at_work` and `calls_at_work`.
_AT_WORK = """
create or replace temp view {name}_at_work as
select columns({table}.*) from {table} semi join runs_of_slice using (source, thread_id, run_id)
"""
_COSTS = """
create or replace temp table costs_at_work as select columns(*) from worked_costs('runs_at_work', 'steps_at_work')
"""
_FORGET = "delete from {table} where (source, thread_id, run_id) in (select (source, thread_id, run_id) from {runs})"
_STORE = (
    "insert into stored_runs select source, thread_id, run_id from runs_of_slice",
    # They were worked out before the ledger had them.
    "insert into stored_costs by name select columns(* exclude (is_posted)), true as is_posted from costs_at_work",
)
# Mostly planning, which is for nothing where there are no calls.
_STORE_CALLS = """
insert into stored_calls by name
select columns(*) from worked_calls('calls_at_work', 'steps_at_work', 'runs_at_work', 'costs_at_work')
"""


def work_out(connection: Connection, runs: str) -> Iterator[None]:
    """Step by step through the runs that a relation names: each time `costs_at_work` has what some of them cost.

    Beside it stand `runs_of_slice`, their ids, and their rows: `runs_at_work`, `steps_at_work`, `calls_at_work`.
    """
    connection.execute(_SLICES.format(runs=runs, at_once=RUNS_AT_ONCE))
    numbers = connection.execute("select distinct slice from slices order by slice").fetchall()
    for number in numbers:
        connection.execute(_SLICE, number)
        for name, table in (("runs", "runs"), ("steps", "run_steps"), ("calls", "tool_calls")):
            connection.execute(_AT_WORK.format(name=name, table=table))
        work_out_again(connection)
        yield


def work_out_again(connection: Connection) -> None:
    """Make `costs_at_work` anew, after the ledger has become another."""
    connection.execute(_COSTS)


def store_work(connection: Connection) -> None:
    """Store what `work_out` has just worked out, of runs of which nothing is stored and all is in the ledger."""
    for statement in _STORE:
        connection.execute(statement)
    if has_rows(connection, "calls_at_work"):
        connection.execute(_STORE_CALLS)


def drop_stored(connection: Connection, runs: str) -> None:
    """Store nothing any more of the runs that a relation names."""
    if has_rows(connection, "stored_runs"):
        for table in STORED_TABLES:
            connection.execute(_FORGET.format(table=table, runs=runs))


def store_again(connection: Connection, runs: str) -> None:
    """Work out anew what is stored of the runs that a relation names, after their prices became others."""
    connection.execute(
        "create or replace temp table stored_before as select columns(*) from stored_runs"
        f" semi join {runs} using (source, thread_id, run_id)"
    )
    drop_stored(connection, "stored_before")
    for _ in work_out(connection, "stored_before"):
        store_work(connection)
