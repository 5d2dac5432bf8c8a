"""Steps from archives, which tell of no whole list: each step is taken in the newest state that any of them has.

A complete walk over a run outranks all imports into it. Without one, the run has the steps of its imports and those
that only its best broken walk saw. Ranks follow from content alone, so the order of loading makes no difference.
"""

from typing import Protocol

from pipeline.protocol.wire import TERMINAL_SQL
from pipeline.sqlfiles.duck import Connection, has_rows

_TABLES = ("run_steps", "tool_calls", "code_interpreter_outputs", "file_search_results")

# Runs that the batch touches, that have imports and no complete walk. Reads best_walks of the load.
_MERGED_RUNS = """
create or replace temp table merged_runs as
select distinct source, thread_id, run_id
from walks
semi join (select source, thread_id, run_id from new_walks where resource = 'steps') as touched
    using (source, thread_id, run_id)
where resource = 'steps' and verdict = 'imported'
    and (source, thread_id, run_id) not in (
        select (source, thread_id, run_id) from best_walks where verdict = 'complete'
    )
"""

# Parts of one import follow each other as the archive has them, so the places of a run's steps go on from part to part.
_CONTRIBUTORS = """
create or replace temp table contributors as
select walks.walk_id, walks.source, walks.thread_id, walks.run_id, walks.verdict = 'imported' as is_imported,
    if(is_imported, coalesce(sum(walks.items) over (
        partition by walks.source, walks.thread_id, walks.run_id, walks.sync_id, is_imported
        order by walks.first_index, walks.walk_id rows between unbounded preceding and 1 preceding
    ), 0), 0)::bigint as items_before
from walks
semi join merged_runs using (source, thread_id, run_id)
where walks.resource = 'steps'
    and (walks.verdict = 'imported' or walks.walk_id in (select walk_id from best_walks))
"""

# Grain: one state of one step. Of states that tell the same time the one that says more is taken, as lists can be asked
# for with and without contents.
_STATES = """
create or replace temp table step_states as
select steps.source, steps.thread_id, steps.run_id, steps.step_id, steps.walk_id, steps.step_index, steps.created_at,
    contributors.items_before + steps.page_index as place,
    {is_new} as is_new, contributors.is_imported,
    coalesce(steps.status in {terminal}, false) as is_terminal,
    greatest(steps.created_at, steps.completed_at, steps.failed_at, steps.cancelled_at, steps.expired_at) as last_at,
    (steps.prompt_tokens is not null)::int + (steps.completion_tokens is not null)::int
        + (steps.cached_tokens is not null)::int + (steps.reasoning_tokens is not null)::int
        + (steps.total_tokens is not null)::int as known_tokens,
    coalesce((
        select sum({sizes})
        from {prefix}tool_calls as calls
        where calls.source = steps.source and calls.thread_id = steps.thread_id and calls.run_id = steps.run_id
            and calls.step_id = steps.step_id {same_walk_calls}
    ), 0) + coalesce((
        select sum(length(coalesce(results.content::varchar, '')))
        from {prefix}file_search_results as results
        where results.source = steps.source and results.thread_id = steps.thread_id
            and results.run_id = steps.run_id and results.step_id = steps.step_id {same_walk_results}
    ), 0) as text_size,
    md5(concat_ws('|', steps.object, steps.type, steps.last_error_code, steps.last_error_message, steps.message_id,
        steps.total_tokens, steps.metadata::varchar, steps.extra::varchar, steps.prompt_tokens,
        steps.completion_tokens, steps.cached_tokens, steps.reasoning_tokens)) as digest
from {prefix}run_steps as steps
join contributors on steps.walk_id = contributors.walk_id and steps.source = contributors.source
    and steps.thread_id = contributors.thread_id and steps.run_id = contributors.run_id
"""

# A text that is hidden says its own size: hmac:HEX:BYTES.
_SIZE = """case when starts_with({text}, 'hmac:') then coalesce(try_cast(string_split({text}, ':')[3] as bigint), 0)
    else coalesce(length({text}), 0) end"""
_SIZES = f"{_SIZE.format(text='calls.arguments')} + {_SIZE.format(text='calls.output')}"

_HELD_STATES = _STATES.format(
    prefix="main.", is_new="false", terminal=TERMINAL_SQL, sizes=_SIZES, same_walk_calls="", same_walk_results=""
)
_NEW_STATES = _STATES.format(
    prefix="new_",
    is_new="true",
    terminal=TERMINAL_SQL,
    sizes=_SIZES,
    same_walk_calls="and calls.walk_id = steps.walk_id",
    same_walk_results="and results.walk_id = steps.walk_id",
).replace("create or replace temp table step_states as", "insert into step_states")

# Grain: source, thread_id, run_id, step_id. Steps of one second stand as their archive had them; those of several by
# their places in each.
_MERGED_STEPS = """
create or replace temp table merged_steps as
with winners as (
    select columns(*) from step_states
    qualify row_number() over (
        partition by source, thread_id, run_id, step_id
        order by is_imported desc, is_terminal desc, last_at desc nulls last, known_tokens desc, text_size desc, digest,
            place, walk_id
    ) = 1
)
select source, thread_id, run_id, step_id, walk_id, is_new,
    row_number() over (
        partition by source, thread_id, run_id
        order by created_at nulls last, place, if(is_imported, 0, step_index), step_id
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

_IS_CHOSEN = """(source, thread_id, run_id, step_id, walk_id) in (
    select (source, thread_id, run_id, step_id, walk_id) from merged_steps where is_new
)"""

_PLACE = """
update run_steps set step_index = merged_steps.step_index
from merged_steps
where run_steps.source = merged_steps.source and run_steps.thread_id = merged_steps.thread_id
    and run_steps.run_id = merged_steps.run_id and run_steps.step_id = merged_steps.step_id
"""

# A page of an archive is one object: where its row has gone or never came, its rejects speak of nothing that is here.
_DELETE_OUTRANKED_REJECTS = """
delete from rejects
where walk_id in (select walk_id from walks where verdict = 'imported')
    and (walk_id, page_index) not in (select (walk_id, page_index) from run_steps)
    and (walk_id, page_index) not in (select (walk_id, page_index) from runs)
"""


class Insert(Protocol):
    """SQL that inserts from a relation into a table, by declared columns."""

    def __call__(self, table: str, source: str, *, where: str = "true") -> str: ...


def merge_imported_steps(connection: Connection, *, insert: Insert) -> None:
    """Bring the runs of `merged_runs`, which it makes, up to date with the `new_` frames of a load.

    Needs the load's `best_walks`. The load leaves these runs alone.
    """
    connection.execute(_MERGED_RUNS)
    if not has_rows(connection, "merged_runs"):
        return
    connection.execute(_CONTRIBUTORS)
    connection.execute(_HELD_STATES)
    connection.execute(_NEW_STATES)
    connection.execute(_MERGED_STEPS)
    for table in _TABLES:
        connection.execute(_DELETE_OUTRANKED.format(table=table))
        connection.execute(insert(table, f"new_{table}", where=_IS_CHOSEN))
    connection.execute(_PLACE)


def delete_outranked_rejects(connection: Connection) -> None:
    """Forget what could not be read of objects from archives that another observation has replaced."""
    connection.execute(_DELETE_OUTRANKED_REJECTS)
