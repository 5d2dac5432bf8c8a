"""Values that could not be read: how many, the first place of each kind, and whether a total depends on them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.console.tables import count_of
from pipeline.program import command
from pipeline.sqlfiles.duck import Connection, read_frame, register
from pipeline.sqlfiles.schema import open_in_memory
from pipeline.warehouse.database import open_for_reading

_SHOWN = 5

# Grain: one place in one kind of list, with the first of those that lost a value there.
_KINDS = """
select resource, place, count(*) as rejects, is_counted and not is_odd as is_counted,
    arg_min({'thread_id': thread_id, 'run_id': run_id, 'object_id': object_id, 'reason': reason},
        (thread_id, run_id, walk_id, page_index, item_index, reject_index)) as first
from lost_values
where CHOSEN
group by all
order by is_counted desc, rejects desc, resource, place
"""
_TABLES = ("rejects", "walks", "syncs")
# What the walks of a sync lost, and what earlier ones lost of the same threads that was not fetched again since: of
# steps all that stands, of runs what is in the last list that had any.
_VISITED = """
source = $source and (
    sync_id = $sync_id
    or (resource = 'steps' and thread_id in (select thread_id from walks where sync_id = $sync_id))
    or walk_id in (
        select arg_max(walk_id, started_at) from walks
        where source = $source and resource = 'runs' and verdict <> 'imported' and items > 0
            and thread_id in (select thread_id from walks where sync_id = $sync_id)
        group by thread_id
    )
)
"""


@dataclass(frozen=True, slots=True)
class LostValue:
    """Values that could not be read at one place; `first` names one of those that have it, and the reason.

    `is_counted`: totals, order or identity depend on it, and no profile says that it is odd.
    """

    resource: str
    place: str
    rejects: int
    is_counted: bool
    first: Mapping[str, str | None]

    @property
    def line(self) -> str:
        """One line for a person."""
        where = " ".join(found for name in ("thread_id", "run_id", "object_id") if (found := self.first[name]))
        return (
            f"{count_of(self.rejects, 'values')} of {self.resource} could not be read: {self.place}, first in"
            f" {where or 'what was imported'} ({self.first['reason']})"
        )


def lost_by_sync(warehouse: Path, sync_id: str, *, source: str) -> list[LostValue]:
    """What is lost of the threads that a sync visited, by itself or by those before it."""
    with open_for_reading(warehouse) as connection:
        return read_lost(connection, _VISITED, {"sync_id": sync_id, "source": source})


def lost_since(warehouse: Path, parts: Collection[str]) -> list[LostValue]:
    """What parts lost that are in the warehouse now, and were not when it had these `parts`."""
    if not warehouse.exists():
        return []
    with open_for_reading(warehouse) as connection:
        register(connection, "known_parts", pl.DataFrame({"part": list(parts)}, schema={"part": pl.String}))
        return read_lost(connection, "part is null or part not in (select part from known_parts)")


def lost_in_frames(frames: Iterable[Mapping[str, pl.DataFrame]]) -> list[LostValue]:
    """What flattened parts lost that no warehouse has."""
    parts = list(frames)
    with open_in_memory(views=["lost_values"]) as connection:
        for table in _TABLES if parts else ():
            register(connection, f"new_{table}", pl.concat([part[table] for part in parts]))
            connection.execute(f"insert into {table} by name select columns(*) from new_{table}")
        return read_lost(connection)


def held_parts(warehouse: Path) -> frozenset[str]:
    """The parts that a warehouse, which need not be there, has."""
    if not warehouse.exists():
        return frozenset()
    with open_for_reading(warehouse) as connection:
        return frozenset(read_frame(connection, "select part from loaded_parts")["part"])


def any_counted(lost: Sequence[LostValue]) -> bool:
    """Whether a total, an order or an identity is not what the source said."""
    return any(value.is_counted for value in lost)


def warnings_of(lost: Sequence[LostValue]) -> list[str]:
    """What a person should know, a line for each place; of many the first few."""
    if not lost:
        return []
    more = [f"and values at {len(lost) - _SHOWN:,} more places"] if len(lost) > _SHOWN else []
    advice = f"rejects: {command('query rejects_summary')}; what is known to be so goes into `odd_fields`"
    return [*(value.line for value in lost[:_SHOWN]), *more, advice]


def summary_of(lost: Sequence[LostValue]) -> dict[str, Any]:
    """The same for a machine."""
    return {"values_lost": sum(value.rejects for value in lost), "lost_values": [asdict(value) for value in lost]}


def read_lost(
    connection: Connection, chosen: str = "true", parameters: Mapping[str, Any] | None = None
) -> list[LostValue]:
    """What a warehouse has lost, the worst first; `chosen` is a condition on `lost_values`."""
    found = read_frame(connection, _KINDS.replace("CHOSEN", chosen), parameters)
    return [LostValue(**row) for row in found.iter_rows(named=True)]
