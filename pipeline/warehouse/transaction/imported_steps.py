"""Steps from archives, which tell of no whole list: each step is taken in the newest state that any of them has.

A complete walk over a run outranks all imports into it. Without one, the run has the steps of its imports and those
that only its best broken walk saw. Ranks follow from content alone, so the order of loading makes no difference.
A run that one import alone tells of is taken as it is: there is nothing to compare it with.
"""

from typing import Protocol

from pipeline.protocol.wire import TERMINAL_SQL
from pipeline.sqlfiles.duck import Connection, has_rows
from pipeline.warehouse.transaction.ranks import digest_of, said_by

# Of each the column that places its rows in a call, none where a call is the row.
_PARTS_OF_CALLS = {
    "tool_calls": None,
    "code_interpreter_outputs": "output_index",
    "file_search_results": "result_index",
}
STEP_TABLES = ("run_steps", *_PARTS_OF_CALLS)

# Walks that say anything of a run that the batch touches, that has imports and no complete walk. Reads touched_walks
# and best_walks of the load. Parts of one import follow each other as the archive has them, so the places of a run's
# steps go on from part to part.
_CONTRIBUTORS = """
create or replace temp table contributors as
select walk_id, source, thread_id, run_id, is_new, verdict = 'imported' as is_imported,
    case when is_imported then coalesce(sum(items) over (
        partition by source, thread_id, run_id, sync_id, is_imported
        order by first_index, walk_id rows between unbounded preceding and 1 preceding
    ), 0) else 0 end::bigint as items_before,
    count(*) over (partition by source, thread_id, run_id) as contributors
from touched_walks
where ((verdict = 'imported' and items > 0) or walk_id in (select walk_id from best_walks))
    and (source, thread_id, run_id) in (
        select (source, thread_id, run_id) from touched_walks where verdict = 'imported'
    )
    and (source, thread_id, run_id) not in (
        select (source, thread_id, run_id) from best_walks where verdict = 'complete'
    )
"""

_MERGED_RUNS = """
create or replace temp table merged_runs as
select distinct source, thread_id, run_id from contributors where contributors > 1
"""

# The new rows of these runs, typed as those that are there.
_STAGED = """
create or replace temp table staged_{table} as
select {columns}, staged.walk_id as staged_walk_id
from new_{table} as staged
semi join merged_runs using (source, thread_id, run_id)
"""

# Grain: a part of a call, in one state. A text that is hidden says its own size: hmac:HEX:BYTES.
_SIZE = """case when starts_with({text}, 'hmac:') then coalesce(try_cast(string_split({text}, ':')[3] as bigint), 0)
    else coalesce(length({text}), 0) end"""
_SIZES = {
    "tool_calls": f"{_SIZE.format(text='rows.arguments')} + {_SIZE.format(text='rows.output')}",
    "code_interpreter_outputs": "0",
    "file_search_results": "length(coalesce(rows.content::varchar, ''))",
}
_PARTS = """
select rows.source, rows.thread_id, rows.run_id, rows.step_id, {walk_id} as staged_walk_id, {size} as size,
    '{table}' as part, rows.call_index, {place} as place, {digest} as digest
from {prefix}{table} as rows
semi join merged_runs using (source, thread_id, run_id)
"""

# Grain: one state of one step. Of states that tell the same time the one that says more is taken, as lists can be asked
# for with and without contents.
_STATES = """
select steps.source, steps.thread_id, steps.run_id, steps.step_id, steps.walk_id, steps.step_index, steps.created_at,
    contributors.items_before + steps.page_index as place,
    contributors.is_new, contributors.is_imported,
    coalesce(steps.status in {terminal}, false) as is_terminal,
    greatest(steps.created_at, steps.completed_at, steps.failed_at, steps.cancelled_at, steps.expired_at) as last_at,
    {said} as said,
    calls.digest as said_below
from {prefix}run_steps as steps
join contributors on steps.walk_id = contributors.walk_id and steps.source = contributors.source
    and steps.thread_id = contributors.thread_id and steps.run_id = contributors.run_id
    and contributors.is_new = {is_new} and contributors.contributors > 1
left join (
    select source, thread_id, run_id, step_id, staged_walk_id, sum(size) as text_size,
        string_agg(digest, '' order by part, call_index, place, digest) as digest
    from ({parts}) as parts
    group by all
) as calls
    on calls.source = steps.source and calls.thread_id = steps.thread_id and calls.run_id = steps.run_id
    and calls.step_id = steps.step_id and calls.staged_walk_id = {walk_id}
"""

# Grain: source, thread_id, run_id, step_id. Steps of one second stand as their archive had them; those of several by
# their places in each.
_MERGED_STEPS = """
create or replace temp table merged_steps as
with step_states as ({held} union all {new}),
winners as (
    select columns(*) from step_states
    qualify row_number() over (
        partition by source, thread_id, run_id, step_id
        order by is_imported desc, is_terminal desc, last_at desc nulls last, said desc, said_below, place, walk_id
    ) = 1
)
select source, thread_id, run_id, step_id, walk_id, is_new,
    row_number() over (
        partition by source, thread_id, run_id
        order by created_at nulls last, place, case when is_imported then 0 else step_index end, step_id
    ) - 1 as step_index
from winners
"""

_DELETE_OUTRANKED = """
delete from {table}
where (source, thread_id, run_id) in (select (source, thread_id, run_id) from merged_runs)
    and (source, thread_id, run_id, step_id) not in (
        select (source, thread_id, run_id, step_id) from merged_steps where not is_new
    )
"""

_INSERT_CHOSEN = """
insert into {table} by name
select columns(staged.* exclude (staged_walk_id))
from staged_{table} as staged
where (source, thread_id, run_id, step_id, staged_walk_id) in (
    select (source, thread_id, run_id, step_id, walk_id) from merged_steps where is_new
)
"""

_PLACE = """
update run_steps set step_index = merged_steps.step_index
from merged_steps
where run_steps.source = merged_steps.source and run_steps.thread_id = merged_steps.thread_id
    and run_steps.run_id = merged_steps.run_id and run_steps.step_id = merged_steps.step_id
    and run_steps.step_index <> merged_steps.step_index
"""

# A page of an archive is one object: where its row has gone or never came, its rejects speak of nothing that is here.
_OUTRANKED_REJECTS = """
create or replace temp table outranked_rejects as
with candidates as (
    select distinct rejects.walk_id, rejects.page_index
    from rejects
    semi join (select source, thread_id from new_walks) as touched using (source, thread_id)
    semi join (select walk_id from walks where verdict = 'imported') as imported using (walk_id)
)
select columns(*) from candidates
anti join (
    select walk_id, page_index from run_steps semi join candidates using (walk_id, page_index)
    union all
    select walk_id, page_index from runs semi join candidates using (walk_id, page_index)
) as held using (walk_id, page_index)
"""
_DELETE_OUTRANKED_REJECTS = """
delete from rejects using outranked_rejects
where rejects.walk_id = outranked_rejects.walk_id and rejects.page_index = outranked_rejects.page_index
"""


class Select(Protocol):
    """The columns of a table as it declares them, from a relation of that name."""

    def __call__(self, table: str, rows: str) -> str: ...


def merge_imported_steps(connection: Connection, *, select: Select) -> None:
    """Bring the runs of `merged_runs`, which it makes, up to date with the `new_` frames of a load.

    Needs the load's `touched_walks` and `best_walks`. The load leaves these runs alone.
    """
    connection.execute(_CONTRIBUTORS)
    connection.execute(_MERGED_RUNS)
    if not has_rows(connection, "merged_runs"):
        return
    for table in STEP_TABLES:
        connection.execute(_STAGED.format(table=table, columns=select(table, "staged")))
    held, new = _states("main.", is_new=False), _states("staged_", is_new=True)
    connection.execute(_MERGED_STEPS.format(held=held, new=new))
    for table in STEP_TABLES:
        connection.execute(_DELETE_OUTRANKED.format(table=table))
        connection.execute(_INSERT_CHOSEN.format(table=table))
    connection.execute(_PLACE)


def delete_outranked_rejects(connection: Connection) -> None:
    """Forget what could not be read of objects from archives that another observation has replaced."""
    connection.execute(_OUTRANKED_REJECTS)
    connection.execute(_DELETE_OUTRANKED_REJECTS)


def _states(prefix: str, *, is_new: bool) -> str:
    """SQL of the states of steps that are new, or of those that the tables hold, each of them in one state."""
    parts = (
        _PARTS.format(
            prefix=prefix,
            table=table,
            walk_id="rows.staged_walk_id" if is_new else "''",
            size=_SIZES[table],
            place=f"rows.{place}" if place else "0",
            digest=digest_of(table, "rows"),
        )
        for table, place in _PARTS_OF_CALLS.items()
    )
    return _STATES.format(
        prefix=prefix,
        is_new=is_new,
        terminal=TERMINAL_SQL,
        said=said_by("run_steps", "steps", text_size="coalesce(calls.text_size, 0)"),
        parts=" union all ".join(parts),
        walk_id="steps.staged_walk_id" if is_new else "''",
    )
