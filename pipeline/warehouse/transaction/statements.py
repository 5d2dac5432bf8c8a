"""The statements of a load in their order, inside its transaction: frames named `new_TABLE` into the tables."""

from collections.abc import Set

from pipeline.protocol.wire import TERMINAL_SQL
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, has_rows
from pipeline.warehouse.transaction.bills import load_bills
from pipeline.warehouse.transaction.imported_steps import (
    STEP_TABLES,
    delete_outranked_rejects,
    merge_imported_steps,
)
from pipeline.warehouse.transaction.ranks import said_by

# All walks over the steps of runs that the batch has walked.
_TOUCHED_WALKS = """
create or replace temp table touched_walks as
select walks.source, walks.thread_id, walks.run_id, walks.walk_id, walks.sync_id, walks.verdict, walks.started_at,
    walks.items, walks.first_index, walks.walk_id in (select walk_id from new_walks) as is_new
from walks
semi join (select source, thread_id, run_id from new_walks where resource = 'steps') as touched
    using (source, thread_id, run_id)
where walks.resource = 'steps'
"""

# The best steps walk of each of these runs, whether it is one of the batch's, and whether the run was walked or
# imported before. The newest of those that came to the end of the list: a run can go on after it ended.
_BEST_WALKS = """
create or replace temp table best_walks as
select source, thread_id, run_id, walk_id, verdict, is_new,
    bool_or(not is_new) over (partition by source, thread_id, run_id) as was_walked,
    verdict <> 'imported' and (verdict = 'complete' or items > 0) as counts
from touched_walks
qualify counts and row_number() over (
    partition by source, thread_id, run_id
    order by counts desc, verdict = 'complete' desc, started_at desc, walk_id desc
) = 1
"""

# The walks of the batch whose rows go into the tables as they are.
_CHOSEN_WALKS = """
create or replace temp table chosen_walks as
select source, thread_id, run_id, walk_id, was_walked from best_walks where is_new
"""
# Without runs that are merged, and with those that nobody but one import has seen.
_OF_IMPORTS = """
and (source, thread_id, run_id) not in (select (source, thread_id, run_id) from merged_runs)
union all
select source, thread_id, run_id, walk_id, false as was_walked
from contributors
where is_new and is_imported and contributors = 1
"""

_DELETE_REPLACED = """
delete from {table} using chosen_walks
where chosen_walks.was_walked and {table}.source = chosen_walks.source
    and {table}.thread_id = chosen_walks.thread_id and {table}.run_id = chosen_walks.run_id
"""

_DELETE_REJECTS = """
delete from rejects using touched_walks
where rejects.walk_id = touched_walks.walk_id and touched_walks.verdict <> 'imported'
    and (touched_walks.source, touched_walks.thread_id, touched_walks.run_id) in (
        select (source, thread_id, run_id) from best_walks
    )
    and touched_walks.walk_id not in (select walk_id from best_walks)
"""

# Runs of the batch of which there is more than one state, here or in the tables.
_SEEN_RUNS = """
create or replace temp table seen_runs as
select source, thread_id, run_id from runs semi join new_runs using (source, thread_id, run_id)
union
select source, thread_id, run_id from new_runs group by all having count(*) > 1
"""

# The newest observation of each of these, if it is the batch's. When an archive saw a run is told by the run itself,
# which of one that is open may be anything: it never replaces one that has ended. Of two states of one instant, as
# archives have them, the one that says more.
_BEST_RUNS = """
create or replace temp table best_runs as
with imported as (
    select walk_id from walks semi join seen_runs using (source, thread_id)
    where resource = 'runs' and verdict = 'imported'
),
states as ({states_of_new} union all {states_of_held})
select source, thread_id, run_id, walk_id, is_new,
    bool_or(not is_new) over (partition by source, thread_id, run_id) as was_seen
from states
qualify is_new and row_number() over (
    partition by source, thread_id, run_id
    order by weight desc, observed_at desc, is_imported, said desc, walk_id desc, is_new
) = 1
"""
_STATES_OF_RUNS = f"""
select rows.source, rows.thread_id, rows.run_id, rows.walk_id, rows.observed_at, {{is_new}} as is_new,
    imported.walk_id is not null as is_imported,
    coalesce(rows.status in {TERMINAL_SQL}, false) or not is_imported as weight,
    case when is_imported then {{said}} end as said
from {{table}} as rows
semi join seen_runs using (source, thread_id, run_id)
left join imported on imported.walk_id = rows.walk_id
"""
_IS_BEST = """(
    (source, thread_id, run_id) not in (select (source, thread_id, run_id) from seen_runs)
    or (source, thread_id, run_id, walk_id) in (select (source, thread_id, run_id, walk_id) from best_runs)
)"""

# A price is that of a model and a tier. Of responses and turns these may be learned later: from the line of a batch,
# from the session of a turn. What was charged before that is charged anew.
_DELETE_MISTAKEN_COSTS = f"""
delete from cost_ledger where (source, thread_id, run_id) in (
    select (source, thread_id, run_id)
    from best_runs
    inner join runs using (source, thread_id, run_id)
    inner join new_runs using (source, thread_id, run_id)
    where best_runs.was_seen and best_runs.walk_id = new_runs.walk_id and runs.protocol <> 'assistants'
        and runs.status in {TERMINAL_SQL}
        and (runs.model, runs.service_tier, runs.is_batch)
            is distinct from (new_runs.model, new_runs.service_tier, new_runs.is_batch)
)
"""
_DELETE_OLD_RUNS = """
delete from runs using best_runs
where best_runs.was_seen and runs.source = best_runs.source
    and runs.thread_id = best_runs.thread_id and runs.run_id = best_runs.run_id
"""

# What a load has touched and `settle` has not seen to yet.
_UNSETTLED = """
create or replace temp table touched_runs (source varchar, thread_id varchar, run_id varchar);
create or replace temp table sightings (source varchar, thread_id varchar, seen_at timestamptz);
"""
_TOUCH_WALKED = """
insert into touched_runs select distinct source, thread_id, run_id from new_walks where resource = 'steps'
"""
_TOUCH_SEEN = "insert into touched_runs select source, thread_id, run_id from new_runs where {where}"
_SEE_THREADS = "insert into sightings select source, thread_id, min({instant}) from {frame} group by source, thread_id"

# What a sync says last of itself holds: that it began, how it ended, and then what was lost of it.
_DELETE_OPENED_SYNCS = """
delete from syncs using new_syncs
where syncs.sync_id = new_syncs.sync_id
    and (syncs.finished_at is null or new_syncs.finished_at > syncs.finished_at)
"""

_NEW_SYNCS = """
create or replace temp table chosen_syncs as
select columns(*) from new_syncs
where sync_id not in (select sync_id from syncs)
qualify row_number() over (partition by sync_id order by finished_at desc nulls last) = 1
"""


def begin_touching(connection: Connection) -> None:
    """Make the temporary tables in which `put_frames` notes what `settle` has to see to."""
    connection.execute(_UNSETTLED)


def put_frames(connection: Connection, filled: Set[str]) -> None:
    """Put the registered frames, those that are `filled`, into their tables: by owner deleted and inserted.

    Seals, threads and the ledger are left to `settle`.
    """
    if "new_walks" in filled:
        connection.execute(_insert("walks", "new_walks"))
        _put_steps(connection, filled)
    if "new_runs" in filled:
        _put_runs(connection)
    if "new_walks" in filled and has_rows(connection, "rejects"):
        delete_outranked_rejects(connection)
    if "new_plans" in filled:
        connection.execute(_SEE_THREADS.format(frame="new_plans", instant="seen_at"))
    if "new_syncs" in filled:
        connection.execute(_DELETE_OPENED_SYNCS)
        connection.execute(_NEW_SYNCS)
        connection.execute(_insert("syncs", "chosen_syncs"))
    if "new_billed_usage" in filled:
        load_bills(connection)
    if "new_loaded_parts" in filled:
        connection.execute(_insert("loaded_parts", "new_loaded_parts"))


def _put_steps(connection: Connection, filled: Set[str]) -> None:
    connection.execute(_TOUCHED_WALKS)
    connection.execute(_BEST_WALKS)
    has_imports = has_rows(connection, "touched_walks where verdict = 'imported'")
    if has_imports:
        merge_imported_steps(connection, select=_select)
    connection.execute(_CHOSEN_WALKS + (_OF_IMPORTS if has_imports else ""))
    chosen = "walk_id in (select walk_id from chosen_walks)"
    # A filter costs more than the insert itself, and mostly there is nothing to leave out, nor to replace.
    unchosen = f"new_walks where resource = 'steps' and items > 0 and not {chosen}"
    where = chosen if has_rows(connection, unchosen) else "true"
    replaces = has_rows(connection, "chosen_walks where was_walked")
    for table in STEP_TABLES:
        if replaces:
            connection.execute(_DELETE_REPLACED.format(table=table))
        if f"new_{table}" in filled:
            connection.execute(_insert(table, f"new_{table}", where=where))
    if "new_rejects" in filled:
        connection.execute(_insert("rejects", "new_rejects"))
    if has_rows(connection, "rejects"):
        connection.execute(_DELETE_REJECTS)
    connection.execute(_TOUCH_WALKED)
    connection.execute(_SEE_THREADS.format(frame="new_walks", instant="started_at"))


def _put_runs(connection: Connection) -> None:
    connection.execute(_SEEN_RUNS)
    where = "true"
    # Mostly nothing was there before, and nothing has to be compared.
    if has_rows(connection, "seen_runs"):
        new, held = (
            _STATES_OF_RUNS.format(table=table, is_new=table == "new_runs", said=said_by("runs", "rows"))
            for table in ("new_runs", "main.runs")
        )
        connection.execute(_BEST_RUNS.format(states_of_new=new, states_of_held=held))
        connection.execute(_DELETE_MISTAKEN_COSTS)
        connection.execute(_DELETE_OLD_RUNS)
        where = _IS_BEST
    connection.execute(_insert("runs", "new_runs", where=where, sealed="false"))
    connection.execute(_TOUCH_SEEN.format(where=where))


def _insert(table: str, source: str, *, where: str = "true", **values: str) -> str:
    columns = ", ".join(read_sql_files("tables")[table].columns)
    return f"insert into {table} ({columns}) select {_select(table, source, **values)} from {source} where {where}"


def _select(table: str, rows: str, **values: str) -> str:
    """The columns of a table from a frame. JSON that DuckDB's stricter parser refuses is a JSON string of its text."""
    return ", ".join(
        f"{values[name] if name in values else _typed(f'{rows}.{name}', sql)} as {name}"
        for name, sql in read_sql_files("tables")[table].columns.items()
    )


def _typed(column: str, sql: str) -> str:
    return f"coalesce(try_cast({column} as json), to_json({column}))" if sql == "json" else column
