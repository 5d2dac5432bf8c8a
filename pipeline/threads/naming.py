"""All ways to name the threads of a sync, brought together: what is asked for, and what of it this sync takes."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.program import command
from pipeline.threads.decay import Decay
from pipeline.threads.files import read_thread_ids
from pipeline.threads.responses import read_response_ids
from pipeline.threads.selection import Shard, hash_thread
from pipeline.threads.sql import due_thread_ids, known_thread_ids, query_thread_ids, recent_thread_ids


@dataclass(slots=True)
class Named:
    """Threads that were named, each once, in the order of naming; only those of the shard, if there is one.

    `count` is of all that were named, however often. `others` has the hashes of those of other shards: eight bytes for
    each, as they may be many; None where nobody wants them.
    """

    shard: Shard | None = None
    others: "array[int] | None" = None
    ids: dict[str, None] = field(default_factory=dict)
    count: int = 0

    def add(self, thread_ids: Iterable[str]) -> None:
        """Take more, one by one."""
        for thread_id in thread_ids:
            self.count += 1
            hashed = 0 if self.shard is None else hash_thread(thread_id)
            if self.shard is None or self.shard.takes_hash(hashed):
                self.ids[thread_id] = None
            elif self.others is not None:
                self.others.append(hashed)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a sync takes of the threads that were named; `not_due` counts those that the age rule leaves out."""

    thread_ids: Sequence[str]
    not_due: int = 0


@dataclass(frozen=True, slots=True)
class Naming:
    """Where thread ids come from, and which of them are taken: with a run since then, of this shard, that are due."""

    thread_ids: Sequence[str] = ()
    files: Sequence[str] = ()
    queries: Sequence[str] = ()
    responses: Sequence[str] = ()
    known: bool = False
    all_threads: bool = False
    since: datetime | None = None
    shard: Shard | None = None
    decay: Decay | None = None

    def read(self, warehouse: Path, *, source: str, keeps_others: bool = False) -> Named:
        """Ids from everywhere but the server's list; of other shards only their hashes, where these are wanted.

        Raises ConfigurationError if nothing names a thread.
        """
        if not (self.thread_ids or self.files or self.queries or self.responses or self.known or self.all_threads):
            raise ConfigurationError(
                f"name the threads to sync: {command('sync THREAD_ID...')}, --threads FILE (- is standard input),"
                " --threads-sql 'select ...', --known or --all-threads; responses: --responses FILE"
            )
        named = Named(self.shard, array("Q") if keeps_others else None)
        named.add(read_thread_ids(self.thread_ids, self.files))
        named.add(read_response_ids(self.responses))
        for query in self.queries:
            named.add(query_thread_ids(query, warehouse))
        if self.known and warehouse.exists():
            named.add(known_thread_ids(warehouse, source=source))
        if not named.count and not self.all_threads:
            raise ConfigurationError(self._nothing_named(source))
        return named

    def select(self, thread_ids: Iterable[str], warehouse: Path, *, source: str, now: datetime) -> Selection:
        """Those of the ids that `since` and `decay` leave, in their order.

        The age rule never leaves out a thread that the command line names.
        """
        ids = list(thread_ids)
        if self.since is not None:
            ids = recent_thread_ids(ids, warehouse, source=source, since=self.since)
        taken = ids
        if self.decay is not None:
            due = set(due_thread_ids(ids, warehouse, source=source, decay=self.decay, now=now)) | set(self.thread_ids)
            taken = [thread_id for thread_id in ids if thread_id in due]
        return Selection(taken, len(ids) - len(taken))

    def _nothing_named(self, source: str) -> str:
        empty = [*self.files, *(["the result of --threads-sql"] if self.queries else [])]
        if self.known:
            empty.append(f"the registry of source {source!r} (no sync has named a thread yet)")
        return f"no thread ids in {', '.join(empty)}"
