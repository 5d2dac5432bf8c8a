"""The statements of a load in their order, inside its transaction: frames named `new_TABLE` into the tables."""

from collections.abc import Set

from pipeline.protocol.wire import TERMINAL_SQL
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, has_rows
from pipeline.warehouse.transaction.bills import load_bills
from pipeline.warehouse.transaction.imported_steps import delete_outranked_rejects, merge_imported_steps

_STEP_TABLES = ("run_steps", "tool_calls", "code_interpreter_outputs", "file_search_results")

# The best steps walk of each run that the batch has walked, whether it is one of the batch's, and whether the run was
# walked or imported before. The newest of those that came to the end of the list: a run can go on after it ended.
_BEST_WALKS = """
create or replace temp table best_walks as
with touched_walks as (
    select walks.source, walks.thread_id, walks.run_id, walks.walk_id, walks.verdict, walks.started_at,
        walks.walk_id in (select walk_id from new_walks) as is_new,
        walks.verdict <> 'imported' and (walks.verdict = 'complete' or walks.items > 0) as counts
    from walks
    semi join (select source, thread_id, run_id from new_walks where resource = 'steps') as touched
        using (source, thread_id, run_id)
    where walks.resource = 'steps'
)
select source, thread_id, run_id, walk_id, verdict, is_new,
    bool_or(not is_new) over (partition by source, thread_id, run_id) as was_walked
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
_NOT_MERGED = "and (source, thread_id, run_id) not in (select (source, thread_id, run_id) from merged_runs)"

_DELETE_REPLACED = """
delete from {table} using chosen_walks
where chosen_walks.was_walked and {table}.source = chosen_walks.source
    and {table}.thread_id = chosen_walks.thread_id and {table}.run_id = chosen_walks.run_id
"""

_DELETE_REJECTS = """
delete from rejects where resource = 'steps'
    and (source, thread_id, run_id) in (select (source, thread_id, run_id) from best_walks)
    and walk_id not in (select walk_id from best_walks)
    and walk_id not in (select walk_id from walks where verdict = 'imported')
"""

# The newest observation of each run, if newer than the warehouse's. When an archive saw a run is told by the run
# itself, which of one that is open may be anything: it never replaces one that has ended.
_IMPORTED = "(select walk_id from walks where resource = 'runs' and verdict = 'imported')"
_BEST_RUNS = """
create or replace temp table best_runs as
select new_runs.source, new_runs.thread_id, new_runs.run_id, new_runs.walk_id, runs.run_id is not null as was_seen
from new_runs
left join runs
    on runs.source = new_runs.source and runs.thread_id = new_runs.thread_id and runs.run_id = new_runs.run_id
where runs.run_id is null
    or ({of_new}, new_runs.observed_at, {said_by_new}, new_runs.walk_id)
        > ({of_held}, runs.observed_at, {said_by_held}, runs.walk_id)
qualify row_number() over (
    partition by new_runs.source, new_runs.thread_id, new_runs.run_id
    order by {of_new} desc, new_runs.observed_at desc, {said_by_new} desc, new_runs.walk_id desc
) = 1
"""
# Of two states of one instant, as archives have them, the one that says more: kinds of tokens, then texts.
_SAID = """(
    ({rows}.prompt_tokens is not null)::int + ({rows}.completion_tokens is not null)::int
    + ({rows}.cached_tokens is not null)::int + ({rows}.reasoning_tokens is not null)::int
    + ({rows}.total_tokens is not null)::int,
    length(coalesce({rows}.metadata::varchar, '')) + length(coalesce({rows}.extra::varchar, ''))
)"""
_WEIGHT = f"(coalesce({{rows}}.status in {TERMINAL_SQL}, false) or {{rows}}.walk_id not in {_IMPORTED})"

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
_TOUCH_SEEN = "insert into touched_runs select source, thread_id, run_id from best_runs"
_SEE_THREADS = "insert into sightings select source, thread_id, min({instant}) from {frame} group by source, thread_id"

# What a sync says last of itself holds: that it began, how it ended, and then what was lost of it.
_DELETE_OPENED_SYNCS = """
delete from syncs using new_syncs
where syncs.sync_id = new_syncs.sync_id
    and (syncs.finished_at is null or new_syncs.finished_at > syncs.finished_at)
"""

_NEW_SYNCS = """
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
    has_imports = has_rows(connection, "walks where verdict = 'imported'")
    if "new_walks" in filled:
        _put_steps(connection, filled, has_imports=has_imports)
    if "new_runs" in filled:
        _put_runs(connection, has_imports=has_imports)
    if has_imports:
        delete_outranked_rejects(connection)
    if "new_plans" in filled:
        connection.execute(_SEE_THREADS.format(frame="new_plans", instant="seen_at"))
    if "new_syncs" in filled:
        connection.execute(_DELETE_OPENED_SYNCS)
        connection.execute(_insert("syncs", f"({_NEW_SYNCS})"))
    if "new_billed_usage" in filled:
        load_bills(connection)
    if "new_loaded_parts" in filled:
        connection.execute(_insert("loaded_parts", "new_loaded_parts"))


def _put_steps(connection: Connection, filled: Set[str], *, has_imports: bool) -> None:
    connection.execute(_BEST_WALKS)
    if has_imports:
        merge_imported_steps(connection, insert=_insert)
    connection.execute(_CHOSEN_WALKS + (_NOT_MERGED if has_imports else ""))
    chosen = "walk_id in (select walk_id from chosen_walks)"
    # A filter costs more than the insert itself, and mostly there is nothing to leave out, nor to replace.
    where = chosen if has_rows(connection, f"new_walks where resource = 'steps' and not {chosen}") else "true"
    replaces = has_rows(connection, "chosen_walks where was_walked")
    for table in _STEP_TABLES:
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


def _put_runs(connection: Connection, *, has_imports: bool) -> None:
    of_new, of_held = (_WEIGHT.format(rows=rows) if has_imports else "true" for rows in ("new_runs", "runs"))
    by_new, by_held = (_SAID.format(rows=rows) if has_imports else "true" for rows in ("new_runs", "runs"))
    connection.execute(_BEST_RUNS.format(of_new=of_new, of_held=of_held, said_by_new=by_new, said_by_held=by_held))
    if has_rows(connection, "best_runs where was_seen"):
        connection.execute(_DELETE_MISTAKEN_COSTS)
        connection.execute(_DELETE_OLD_RUNS)
    best = "(source, thread_id, run_id, walk_id) in (select (source, thread_id, run_id, walk_id) from best_runs)"
    where = best if has_rows(connection, f"new_runs where not {best}") else "true"
    connection.execute(_insert("runs", "new_runs", where=where, sealed="false"))
    connection.execute(_TOUCH_SEEN)


def _insert(table: str, source: str, *, where: str = "true", **values: str) -> str:
    """Insert by declared columns. JSON that DuckDB's stricter parser refuses is kept as a JSON string of its text."""
    columns = read_sql_files("tables")[table].columns
    expressions = [
        values.get(name) or (f"coalesce(try_cast({name} as json), to_json({name}))" if sql == "json" else name)
        for name, sql in columns.items()
    ]
    return f"insert into {table} ({', '.join(columns)}) select {', '.join(expressions)} from {source} where {where}"
