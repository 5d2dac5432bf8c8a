"""Raw parts into a lake: what a load makes of them, written by one of several publishers at a time, or not at all.

Delta commits one table at a time. A batch is begun with `walks` and is whole with `loaded_parts`; every table gets a
commit of every batch, so that whoever has read a state that is no longer the newest is refused and reads again.
Whoever meets a batch that was begun and not ended takes its parts into his own.

What batches change can be worked out by many at a time, on a cluster; one process commits it, batch after batch.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pipeline.cluster.ray_session import Cluster
from pipeline.console.tables import count_of
from pipeline.errors import ConfigurationError, DamagedPartError
from pipeline.flatten.cache import FlatStore
from pipeline.flatten.part_frames import Frames
from pipeline.lake.batch_changes import (
    BatchChanges,
    BatchJob,
    Reading,
    change_batch,
    change_batch_there,
    check_strangers,
    mark_of,
    noticing_gone_parts,
)
from pipeline.lake.batch_windows import spread, windows_of
from pipeline.lake.delta_tables import LakeConflictError
from pipeline.lake.evolution import release_parts
from pipeline.lake.forgotten_keys import forgotten_changes
from pipeline.lake.retrying import ATTEMPTS, retry_conflicts
from pipeline.lake.slices import put_whole, read_change
from pipeline.lake.store import FORGETTING, PART_TABLES, Lake, Snapshot
from pipeline.privacy.forget_record import read_forgotten
from pipeline.program import command
from pipeline.raw.parts import PartName, RawStore, batches_of
from pipeline.raw.prune_record import read_pruned
from pipeline.sqlfiles.duck import Connection, read_frame, register, unregister
from pipeline.sqlfiles.price_book import PriceBook
from pipeline.sqlfiles.schema import open_in_memory, record_version, refresh_prices
from pipeline.warehouse.database import open_for_reading
from pipeline.warehouse.ledger import KEPT_TABLES

# Each batch looks through the lake: large ones need memory, few are faster.
BATCH_BODY_BYTES = 24 * 2**20
# Batches that are sized, for each worker, before the first of them is worked out.
_AHEAD = 16
# Conflicts before another publisher's unfinished parts are taken over: it may well be alive.
_PATIENCE = 3
_BOOK_TABLES = ("prices", "price_discounts", "fees", "schema_version")

_REPRICED_SOURCES = """
select distinct source from repricings
where (repricing_id, change_index) not in (select (repricing_id, change_index) from lake_repricings)
"""
# The lake may hold steps that the warehouse has not, and the other way round.
_TAKE_KEPT = {
    "repricings": "insert into repricings by name select columns(*) from kept",
    "cost_ledger": """
insert into cost_ledger by name
select columns(*) from kept semi join lake_cost_ledger using (source, thread_id, run_id, step_id)
union all by name
select columns(*) from lake_cost_ledger anti join kept using (source, thread_id, run_id, step_id)
""",
}


@dataclass(slots=True)
class Published:
    """What a publisher has done: parts and batches it brought in, and how often it was refused and read again."""

    parts: int = 0
    batches: int = 0
    refused: int = 0
    # What is not in the lake though parts of it are, in words.
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes the parts of a store into a lake, at these prices.

    Where there is a `warehouse` already, sealed runs keep the costs that its ledger has. `batch_bytes` of bodies are
    brought in at a time; whoever is refused tries again, `attempts` times. With a `cluster` its workers work out what
    batches change.
    """

    store: RawStore
    lake: Lake
    book: PriceBook
    warehouse: Path
    without_pruned: bool = False
    batch_bytes: int = BATCH_BODY_BYTES
    attempts: int = ATTEMPTS
    cluster: Cluster | None = None
    done: Published = field(default_factory=Published)
    damaged: list[PartName] = field(default_factory=list)
    # Of the batch under way, so that whoever is refused need not read the parts again.
    flat: dict[PartName, Frames] = field(default_factory=dict)

    def publish(self, *, published: Callable[[int], None] | None = None) -> Published:
        """Bring in every part that the lake does not hold yet; `published` hears their number after each batch.

        Raises DamagedPartError at the end if parts were damaged, IncompleteError if other publishers never stop,
        ConfigurationError if parts were pruned before they were published, unless that is known (`without_pruned`).
        A lake that lacks columns gets them, and the parts of its rows are brought in once more.
        """
        self._retrying(self._release)
        if not self.without_pruned:
            self._retrying(self._refuse_if_pruned)
        self._retrying(self._publish_book)
        say = published or (lambda _: None)
        while self._retrying(lambda attempt: self._publish_waiting(attempt, say)):
            pass
        self._retrying(self._publish_ledger)
        self._retrying(self._forget)
        if self.damaged:
            names = ", ".join(mark_of(part) for part in self.damaged)
            raise DamagedPartError(
                f"{len(self.damaged)} raw parts are damaged and not in the lake: {names}."
                f" `{command('load')}` sets them aside; then sync their threads and publish again"
            )
        return self.done

    def _release(self, _: int) -> bool:
        self.done.notes = release_parts(self.lake, self.store, without_pruned=self.without_pruned)
        return True

    def _refuse_if_pruned(self, _: int) -> bool:
        pruned = {part.part for part in read_pruned(self.store)}
        if pruned and (gone := sorted(pruned - _held(self.lake.open_for_writing()))):
            raise ConfigurationError(
                f"the lake {self.lake.place} would lack what {count_of(len(gone), 'raw parts')} held that were pruned"
                f" before they were published ({gone[0]}{', ...' if gone[1:] else ''}): restore them, or go on without"
                " them with --without-pruned"
            )
        return True

    def _retrying(self, step: Callable[[int], bool]) -> bool:
        def count(attempt: int) -> bool:
            self.done.refused += attempt > 1
            return step(attempt)

        return retry_conflicts(count, place=self.lake.place, attempts=self.attempts)

    def _publish_book(self, _: int) -> bool:
        """Prices, discounts and the version of the schema."""
        snapshot = self.lake.open_for_writing()
        with open_in_memory(views=()) as connection:
            refresh_prices(connection, self.book)
            for name in _BOOK_TABLES:
                put_whole(connection, name, snapshot.scan(name).collect())
            _keep_version(connection)
            changes = {name: read_change(connection, name) for name in _BOOK_TABLES}
        for name, change in changes.items():
            if not (change.upserts.is_empty() and change.deletes.is_empty()):
                snapshot.commit(name, change, epoch=snapshot.epochs[name] + 1)
        return True

    def _publish_waiting(self, attempt: int, published: Callable[[int], None]) -> bool:
        """Bring in what waits, until somebody else comes between; False if nothing was waiting."""
        snapshot = self.lake.open_for_writing()
        held = _held(snapshot)
        waiting = [part for part in self.store.list_parts() if part.name not in held and part not in self.damaged]
        known = held | {part.name for part in waiting}
        reading = Reading(snapshot)
        try:
            with noticing_gone_parts(self.store, waiting):
                for window in self._windows(snapshot, waiting, attempt):
                    self._publish_window(window, reading, known, published)
        except LakeConflictError:
            if not reading.commits:
                raise
            self.done.refused += 1
        return bool(waiting)

    def _publish_window(
        self,
        window: Sequence[list[PartName]],
        reading: Reading,
        known: set[str],
        published: Callable[[int], None],
    ) -> None:
        with contextlib.closing(self._changes(window, reading)) as changes:
            for found in changes:
                known -= {part.name for part in found.damaged}
                check_strangers(found.met, known)
                reading.commit(found)
                self._finish(found)
                published(self.done.parts)

    def _windows(self, snapshot: Snapshot, waiting: Sequence[PartName], attempt: int) -> Iterable[list[list[PartName]]]:
        """Batches in their order, those together that may be made beside each other; first what others have begun."""
        begun = [part for part in waiting if snapshot.has_begun(mark_of(part))] if snapshot.is_torn else []
        if not begun:
            batches = batches_of(self.store, waiting, body_bytes=self.batch_bytes)
            return windows_of(batches, most=_AHEAD * self._workers)
        if attempt <= _PATIENCE:
            raise LakeConflictError(f"another publisher has begun with {mark_of(begun[0])}")
        fresh = [part for part in waiting if part not in begun]
        return [[begun + next(batches_of(self.store, fresh, body_bytes=self.batch_bytes), [])]]

    def _changes(self, window: Sequence[list[PartName]], reading: Reading) -> Generator[BatchChanges]:
        """What each batch of a window changes in the lake as it is when it is given."""
        waiting = deque(spread(window, self._workers))

        def jobs() -> Iterator[BatchJob]:
            while waiting:
                yield self._job(waiting.popleft(), reading)

        while waiting:
            for found in self._work(jobs(), reading):
                if reading.is_outdated(found):
                    waiting.append(list(found.job.parts))
                else:
                    yield found

    def _work(self, jobs: Iterable[BatchJob], reading: Reading) -> Iterator[BatchChanges]:
        if self.cluster is None:
            return (change_batch(job, reading.snapshot, flat=self.flat) for job in jobs)
        return (packed.unpack() for packed in self.cluster.run(change_batch_there, jobs))

    @property
    def _workers(self) -> int:
        return 1 if self.cluster is None else self.cluster.workers

    def _job(self, parts: Sequence[PartName], reading: Reading) -> BatchJob:
        return BatchJob(
            parts,
            raw_folder=self.store.folder.resolve(),
            lake=self.lake.place,
            state=reading.snapshot.state,
            book=self.book,
            warehouse=self.warehouse.resolve() if self.warehouse.exists() else None,
            commits=reading.commits,
        )

    def _publish_ledger(self, _: int) -> bool:
        """What `prices reprice` has changed in the warehouse since it was last published."""
        if not self.warehouse.exists():
            return False
        snapshot = self.lake.open_for_writing()
        repricings = snapshot.scan("repricings").collect()
        with open_for_reading(self.warehouse) as warehouse:
            put_whole(warehouse, "repricings", repricings)
            sources = read_frame(warehouse, _REPRICED_SOURCES)["source"].to_list()
            if not sources:
                return False
            kept = {name: read_frame(warehouse, f"select columns(*) from {name}") for name in KEPT_TABLES}
        ledger = snapshot.scan("cost_ledger").filter(pl.col("source").is_in(sources)).collect()
        with open_in_memory(views=()) as connection:
            put_whole(connection, "repricings", repricings)
            put_whole(connection, "cost_ledger", ledger)
            for name, frame in kept.items():
                register(connection, "kept", frame)
                connection.execute(_TAKE_KEPT[name])
                unregister(connection, "kept")
            changes = {name: read_change(connection, name) for name in KEPT_TABLES}
        for name, change in changes.items():
            snapshot.commit(name, change, epoch=snapshot.epochs[name])
        return True

    def _forget(self, _: int) -> bool:
        """Remove the threads that the data folder has forgotten; older versions have them until a vacuum."""
        forgotten = read_forgotten(self.store.folder.parent)
        if not forgotten.threads:
            return False
        snapshot = self.lake.open_for_writing()
        epoch = 1 + max(snapshot.epochs[name] for name in PART_TABLES)
        changes = forgotten_changes(snapshot, forgotten)
        for name, change in changes.items():
            snapshot.commit(name, change, epoch=epoch, parts=[FORGETTING])
        return bool(changes)

    def _finish(self, found: BatchChanges) -> None:
        self.flat.clear()
        if not self.warehouse.exists():
            # Nobody is going to load them.
            FlatStore(self.store).drop(found.parts)
        self.damaged.extend(found.damaged)
        self.done.parts += len(found.parts)
        self.done.batches += bool(found.parts)


def _held(snapshot: Snapshot) -> set[str]:
    return set(snapshot.scan("loaded_parts").select("part").collect()["part"])


def _keep_version(connection: Connection) -> None:
    """The version that the lake says it has; a new lake gets ours."""
    if read_frame(connection, "select version from lake_schema_version").is_empty():
        record_version(connection)
    else:
        connection.execute("insert into schema_version by name select columns(*) from lake_schema_version")
