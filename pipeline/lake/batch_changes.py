"""A batch of raw parts as changes of a lake: nothing is written, so anybody can work it out, and again."""

import contextlib
import platform
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import polars as pl

from pipeline import __version__
from pipeline.cluster.ray_tasks import check_folder, check_version
from pipeline.errors import ConfigurationError, DamagedPartError, PipelineError
from pipeline.flatten.cache import FlatStore, packed_frame, unpacked_frame
from pipeline.flatten.garbage_collector import tune_garbage_collector
from pipeline.flatten.part_frames import Frames, frames_of
from pipeline.lake.delta_tables import LakeConflictError, naming_place
from pipeline.lake.slices import Touched, put_slices, read_changes, read_slices, touched_by
from pipeline.lake.store import PART_TABLES, Lake, LakeState, Snapshot
from pipeline.lake.table_writes import Change
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.places import open_raw
from pipeline.sqlfiles.duck import Connection, read_frame, register, unregister
from pipeline.sqlfiles.price_book import PriceBook
from pipeline.sqlfiles.schema import open_in_memory, refresh_prices
from pipeline.warehouse.database import open_for_reading
from pipeline.warehouse.ledger import drop_unfinished
from pipeline.warehouse.load import load_flat

# The ledger is written through it.
_VIEWS_OF_A_LOAD = ("usage_costs",)

_CHARGED = """
select columns(*) from cost_ledger semi join touched_runs using (source, thread_id, run_id)
"""
_TAKE_CHARGED = """
insert into cost_ledger by name
select columns(*) from charged anti join lake_cost_ledger using (source, thread_id, run_id, step_id)
"""


@dataclass(frozen=True, slots=True)
class BatchJob:
    """Parts of a raw folder that a lake lacks which is in this state, and the prices to charge at.

    With a `warehouse` sealed runs keep the costs that its ledger has. `commits` is how many batches a publisher had
    written when it gave the job, `version` that of its program.
    """

    parts: Sequence[PartName]
    raw_folder: Path
    lake: str
    state: LakeState
    book: PriceBook
    warehouse: Path | None
    commits: int = 0
    version: str = __version__


@dataclass(frozen=True, slots=True)
class BatchChanges:
    """What a batch makes other in each table of parts, in the order of commits, and what it touches.

    `parts` are those that are in it, the rest is `damaged`; `met` are the parts that walks of the same owners in the
    lake are from.
    """

    job: BatchJob
    parts: Sequence[PartName]
    damaged: Sequence[PartName]
    changes: Mapping[str, Change]
    touched: Touched | None = None
    met: frozenset[str] = frozenset()


@dataclass(slots=True)
class Reading:
    """A lake as one publisher has read it, and written it since: if anybody else had, its commits would be refused.

    `recent` is what the last batches touch, at most `remembered` of them.
    """

    snapshot: Snapshot
    remembered: int = 256
    commits: int = 0
    recent: deque[Touched] = field(default_factory=deque)

    def commit(self, found: BatchChanges) -> None:
        """Write what a batch changes. Raises LakeConflictError."""
        if found.touched is None:
            return
        epoch = 1 + max(self.snapshot.epochs[name] for name in PART_TABLES)
        for name, change in found.changes.items():
            self.snapshot.commit(name, change, epoch=epoch, parts=[mark_of(part) for part in found.parts])
        self.snapshot = self.snapshot.moved_on()
        self.commits += 1
        self.recent.append(found.touched)
        if len(self.recent) > self.remembered:
            self.recent.popleft()

    def is_outdated(self, found: BatchChanges) -> bool:
        """Whether one of the batches that were written since a job was given may concern what it has found."""
        if found.touched is None:
            return False
        since = self.commits - found.job.commits
        newest = islice(reversed(self.recent), since)
        return since > len(self.recent) or any(found.touched.overlaps(touched) for touched in newest)


@dataclass(frozen=True, slots=True)
class PackedChanges:
    """The same for the way between machines: for each table upserts and deletes, packed, and `only_new`."""

    found: BatchChanges
    packed: Mapping[str, tuple[bytes, bytes, bool]]

    def unpack(self) -> BatchChanges:
        """What was packed."""
        changes = {
            name: Change(unpacked_frame(upserts), unpacked_frame(deletes), only_new=only_new)
            for name, (upserts, deletes, only_new) in self.packed.items()
        }
        return replace(self.found, changes=changes)


def mark_of(part: PartName) -> str:
    """The name of a part's application transactions."""
    return f"{part.source}/{part.name}"


@contextlib.contextmanager
def noticing_gone_parts(store: RawStore, parts: Sequence[PartName]) -> Iterator[None]:
    """Raises LakeConflictError where parts that were listed cannot be read because somebody has removed them."""
    try:
        yield
    except PipelineError:
        if gone := set(parts) - set(store.list_parts()):
            raise LakeConflictError(f"{store.where(min(gone, key=mark_of))} was removed meanwhile") from None
        raise


def check_strangers(met: Collection[str], known: set[str]) -> None:
    """Raises LakeConflictError if a part that is not in this store is half published and touches the same threads."""
    if strangers := set(met) - known:
        raise LakeConflictError(
            f"the part {min(strangers)}, which is not among these raw parts, is published only in part:"
            " its publisher has to end, or to be started again"
        )


def change_batch_there(job: BatchJob) -> PackedChanges:
    """A task: what a batch changes, worked out from what this machine sees of the raw folder and the lake."""
    tune_garbage_collector()
    check_version(job.version)
    check_folder(open_raw(job.raw_folder), job.parts[0])
    if job.warehouse is not None and not job.warehouse.exists():
        raise ConfigurationError(
            f"{platform.node()} does not see the warehouse {job.warehouse}, whose costs are to be kept:"
            " --data-dir must be a folder that all machines of the cluster share"
        )
    with naming_place(job.lake):
        found = change_batch(job, Lake(job.lake).open_at(job.state), flat={})
    packed = {
        name: (packed_frame(change.upserts), packed_frame(change.deletes), change.only_new)
        for name, change in found.changes.items()
    }
    return PackedChanges(replace(found, changes={}), packed)


def change_batch(job: BatchJob, snapshot: Snapshot, *, flat: dict[PartName, Frames]) -> BatchChanges:
    """What a batch changes in the lake as the snapshot has it; `flat` keeps the frames of its parts."""
    damaged = _read(job, flat)
    frames = {part: flat[part] for part in job.parts if part in flat}
    if not frames:
        return BatchChanges(job, [], damaged, {})
    batch = {name: pl.concat([of_part[name] for of_part in frames.values()]) for name in next(iter(frames.values()))}
    touched = touched_by(batch)
    slices = read_slices(snapshot, touched)
    with open_in_memory(views=_VIEWS_OF_A_LOAD) as connection:
        refresh_prices(connection, job.book)
        put_slices(connection, slices, batch)
        if job.warehouse is not None:
            _keep_costs(connection, job.warehouse, touched)
        load_flat(connection, [batch])
        drop_unfinished(connection)
        changes = read_changes(connection)
    return BatchChanges(job, list(frames), damaged, changes, touched, frozenset(slices["walks"]["part"]))


def _read(job: BatchJob, flat: dict[PartName, Frames]) -> list[PartName]:
    """Read the frames of all parts that are not in `flat` yet; those that are damaged."""
    store = FlatStore(open_raw(job.raw_folder))
    damaged = []
    for part in job.parts:
        if part in flat:
            continue
        try:
            # Shards have flattened theirs.
            flat[part] = store.read(part) or frames_of(store.store.read_part(part))
        except DamagedPartError:
            damaged.append(part)
    return damaged


def _keep_costs(connection: Connection, warehouse: Path, touched: Touched) -> None:
    """Put in what the warehouse has charged for runs whose costs the lake does not know."""
    with open_for_reading(warehouse) as charged_there:
        register(charged_there, "touched_runs", touched.runs)
        charged = read_frame(charged_there, _CHARGED)
    register(connection, "charged", charged)
    connection.execute(_TAKE_CHARGED)
    unregister(connection, "charged")
