"""All ways to name the threads of a sync, brought together: what is asked for, and what of it this sync takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.decay import Decay
from pipeline.errors import ConfigurationError
from pipeline.thread_queries import due_thread_ids, known_thread_ids, query_thread_ids, recent_thread_ids
from pipeline.threads import Shard, read_thread_ids


@dataclass(frozen=True, slots=True)
class Selection:
    """What a sync takes of the threads that were named; `others` belong to other shards.

    `not_due` counts those of its own that the age rule leaves out this time.
    """

    thread_ids: Sequence[str]
    others: Sequence[str] = ()
    not_due: int = 0


@dataclass(frozen=True, slots=True)
class Naming:
    """Where thread ids come from, and which of them are taken: with a run since then, of this shard, that are due."""

    thread_ids: Sequence[str] = ()
    files: Sequence[str] = ()
    queries: Sequence[str] = ()
    known: bool = False
    all_threads: bool = False
    since: datetime | None = None
    shard: Shard | None = None
    decay: Decay | None = None

    def read(self, warehouse: Path, *, source: str) -> list[str]:
        """Ids from everywhere but the server's list, each once, in the order of the sources.

        Raises ConfigurationError if nothing names a thread.
        """
        if not (self.thread_ids or self.files or self.queries or self.known or self.all_threads):
            raise ConfigurationError(
                "name the threads to sync: python -m pipeline sync THREAD_ID..., --threads FILE (- is standard input),"
                " --threads-sql 'select ...', --known or --all-threads"
            )
        ids = read_thread_ids(self.thread_ids, self.files)
        for query in self.queries:
            ids += query_thread_ids(query, warehouse)
        if self.known and warehouse.exists():
            ids += known_thread_ids(warehouse, source=source)
        if not ids and not self.all_threads:
            raise ConfigurationError(self._nothing_named(source))
        return list(dict.fromkeys(ids))

    def select(self, thread_ids: Sequence[str], warehouse: Path, *, source: str, now: datetime) -> Selection:
        """Those of the ids that `shard`, `since` and `decay` leave, in their order.

        The age rule never leaves out a thread that the command line names.
        """
        ids, others = list(thread_ids), list[str]()
        if self.shard is not None:
            mine = {thread_id for thread_id in ids if self.shard.takes(thread_id)}
            others = [thread_id for thread_id in ids if thread_id not in mine]
            ids = [thread_id for thread_id in ids if thread_id in mine]
        if self.since is not None:
            ids = recent_thread_ids(ids, warehouse, source=source, since=self.since)
        taken = ids
        if self.decay is not None:
            due = set(due_thread_ids(ids, warehouse, source=source, decay=self.decay, now=now)) | set(self.thread_ids)
            taken = [thread_id for thread_id in ids if thread_id in due]
        return Selection(taken, others, len(ids) - len(taken))

    def _nothing_named(self, source: str) -> str:
        empty = [*self.files, *(["the result of --threads-sql"] if self.queries else [])]
        if self.known:
            empty.append(f"the registry of source {source!r} (no sync has named a thread yet)")
        return f"no thread ids in {', '.join(empty)}"
