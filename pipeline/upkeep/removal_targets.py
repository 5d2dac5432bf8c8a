"""Which threads are to be forgotten: those that a person names, and those that belong to them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from pipeline.errors import ConfigurationError, DamagedPartError
from pipeline.flatten.frames import flatten
from pipeline.privacy.forget_record import Forgotten, read_forgotten
from pipeline.privacy.hiding import ContentKey
from pipeline.protocol.json_text import text_of
from pipeline.raw.parts import RawStore
from pipeline.sqlfiles.duck import Connection, read_frame
from pipeline.upkeep.data_folder import DataFolder
from pipeline.warehouse.database import open_for_reading
from pipeline.warehouse.part_rewriting import parts_of

# Grain: a thread that any table has.
_STORED = """
select source, thread_id, cast(sum(runs) as bigint) as runs, cast(sum(steps) as bigint) as steps
from (
    select source, thread_id, 0 as runs, 0 as steps from threads
    union all select source, thread_id, 0, 0 from walks
    union all select source, thread_id, 1, 0 from runs
    union all select source, thread_id, 0, 1 from run_steps
) as rows
where thread_id is not null
group by source, thread_id
"""
_CHILDREN = "select distinct source, thread_id, child_thread_id from tool_calls where child_thread_id is not null"
_METADATA = """
select source, thread_id, metadata from runs where metadata is not null
union all
select source, thread_id, metadata from run_steps where metadata is not null
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which threads to forget: by id, and by values of metadata as pairs of key and value; of one source or of all."""

    thread_ids: Sequence[str] = ()
    metadata: Sequence[tuple[str, str]] = ()
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A thread to forget, what the warehouse has of it, and why it is one."""

    source: str
    thread_id: str
    runs: int
    steps: int
    why: str


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is known of threads: runs and steps of each, threads they called, metadata as JSON, and who is forgotten."""

    counts: dict[tuple[str, str], tuple[int, int]]
    children: Sequence[tuple[Any, ...]]
    tagged: Sequence[tuple[Any, ...]]
    forgotten: Forgotten


def find_targets(folder: DataFolder, wanted: Wanted, keys: dict[str, ContentKey]) -> list[Target]:
    """The threads, those of connected agents that they called, and those that an earlier run did not finish.

    `keys` are those of sources whose metadata is hidden. Raises ConfigurationError if there is no data.
    """
    folder.load()
    if not folder.warehouse.exists():
        raise ConfigurationError(f"there is no data in {folder.data_dir}: nothing to forget")
    stored = _read_stored(folder, wanted)
    why = {thread: "forgotten before" for thread in stored.counts if stored.forgotten.has(*thread)}
    why |= {thread: "named" for thread in stored.counts if thread[1] in wanted.thread_ids}
    why = {**dict(_by_metadata(stored.tagged, wanted.metadata, keys)), **why}
    chosen = {thread: reason for thread, reason in why.items() if wanted.source in (None, thread[0])}
    _add_children(chosen, stored.children)
    return [Target(*thread, *stored.counts.get(thread, (0, 0)), why=why) for thread, why in sorted(chosen.items())]


def _read_stored(folder: DataFolder, wanted: Wanted) -> _Stored:
    with open_for_reading(folder.warehouse) as connection:
        counts = {(source, thread): (runs, steps) for source, thread, runs, steps in _rows(connection, _STORED)}
        children = _rows(connection, _CHILDREN)
        tagged = _rows(connection, _METADATA) if wanted.metadata else []
    if wanted.metadata:
        # Raw parts also tell of metadata that was another before.
        tagged += _raw_metadata(folder.store, wanted.source)
    return _Stored(counts, children, tagged, read_forgotten(folder.data_dir))


def _rows(connection: Connection, sql: str) -> list[tuple[Any, ...]]:
    return read_frame(connection, sql).rows()


def _raw_metadata(store: RawStore, source: str | None) -> Iterator[tuple[str, str, str]]:
    for part in parts_of(store, source):
        try:
            frames = flatten(store.read_part(part).walks)
        except DamagedPartError:
            # It goes as a whole.
            continue
        for table in ("runs", "run_steps"):
            yield from frames[table].select("source", "thread_id", "metadata").drop_nulls().iter_rows()


def _by_metadata(
    tagged: Iterable[tuple[str, str, str]], pairs: Sequence[tuple[str, str]], keys: dict[str, ContentKey]
) -> Iterator[tuple[tuple[str, str], str]]:
    for source, thread_id, text in tagged:
        values = _values_of(text)
        for key, value in pairs:
            hidden = keys[source].hide(value) if source in keys else None
            if key in values and values[key] in (value, hidden):
                yield (source, thread_id), f"metadata {key}={value}"


def _values_of(text: str) -> dict[str, str | None]:
    """The metadata of a run or a step, with texts as they are and other values as JSON."""
    try:
        return {key: text_of(raw) for key, raw in msgspec.json.decode(text, type=dict[str, Raw]).items()}
    except msgspec.DecodeError:
        return {}


def _add_children(chosen: dict[tuple[str, str], str], calls: Sequence[tuple[str, str, str]]) -> None:
    """Add the threads of connected agents that chosen threads called, those that they called, and so on."""
    called: dict[tuple[str, str], list[str]] = {}
    for source, parent, child in calls:
        called.setdefault((source, parent), []).append(child)
    left = list(chosen)
    while left:
        source, parent = left.pop()
        for child in called.get((source, parent), []):
            if (source, child) not in chosen:
                chosen[source, child] = f"connected agent of {parent}"
                left.append((source, child))
