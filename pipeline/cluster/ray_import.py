"""Archives on a Ray cluster: files, of large ones ranges, are read, landed and flattened by tasks; who started them
loads, and lands the record of a file whose ranges have all landed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import accumulate, groupby
from pathlib import Path

from pipeline import __version__
from pipeline.archives.landing import ArchiveLander, is_done, join_records
from pipeline.archives.progress import ImportProgress
from pipeline.archives.ranges import (
    RANGE_BYTES,
    Range,
    Scanned,
)
from pipeline.archives.unread import unread_of
from pipeline.cluster.ray_reading import FilesJob, FilesRead, HashJob, hash_files, read_files
from pipeline.cluster.ray_session import Cluster
from pipeline.errors import IncompleteError
from pipeline.privacy.hiding import ContentKey
from pipeline.protocol.pages import ArchiveFile, SourceFacts
from pipeline.raw.parts import IMPORT_KIND, PartName, RawStore, new_sync_id
from pipeline.raw.places import raw_store
from pipeline.raw.prune_record import read_imported
from pipeline.warehouse.background import leaving_if_broken_off, loading
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts

# Small files are read by one task until they come to this, packed.
_TASK_BYTES = 4 * 2**20


@dataclass(slots=True)
class _CutFile:
    """What has been read of a file that is cut into ranges."""

    ranges: Sequence[Range]
    records: dict[Range, ArchiveFile] = field(default_factory=dict)
    parts: list[PartName] = field(default_factory=list)

    def add(self, place: Range, read: FilesRead) -> ArchiveFile | None:
        """Take what a task has read; the record of the file once all of it was."""
        self.records[place] = read.archives[0]
        self.parts += read.parts
        if len(self.records) < len(self.ranges):
            return None
        return join_records([self.records[each] for each in self.ranges])


@dataclass(frozen=True, slots=True)
class RayImport:
    """An import into a data folder that all machines of the cluster share.

    Of a file of one document a line a task reads about `range_bytes`, of any other all of it.
    """

    cluster: Cluster
    data_dir: Path
    source: str
    content_key: ContentKey | None
    range_bytes: int = RANGE_BYTES
    odd_fields: Sequence[str] = ()
    facts: SourceFacts | None = None

    def run(
        self, files: Sequence[Path], *, progress: ImportProgress, now: Callable[[], datetime], lock_wait_s: float
    ) -> None:
        """Land what the files hold and load it; files whose content was imported before are skipped.

        Raises ConfigurationError where a worker does not see the files or the folder, IncompleteError where parts that
        workers have landed are not there.
        """
        store, warehouse = raw_store(self.data_dir.resolve()), warehouse_path(self.data_dir)
        imported = read_imported(store, self.source)
        known = {archive.sha256: archive for archive in imported if is_done(archive)}
        paths = [str(path.resolve()) for path in files]
        scans = self._scan(paths)
        hashes = {path: scan.sha256 for path, scan in scans.items()}
        first = {hashes[path]: path for path in reversed(paths)}
        new = {path: scans[path] for path in paths if first[hashes[path]] == path and hashes[path] not in known}
        progress.files_known = progress.files_done = len(files) - len(new)
        if new:
            archives = self._land(store, new, imported, progress=progress, now=now)
            known |= {archive.sha256: archive for archive in archives}
        progress.archives += [known[hashes[path]] for path in paths]
        load_new_parts(store, warehouse, wait_s=lock_wait_s)

    def _scan(self, paths: Sequence[str]) -> dict[str, Scanned]:
        jobs = (HashJob(batch, __version__, self.range_bytes) for batch in _batches(paths))
        return dict(entry for found in self.cluster.run(hash_files, jobs) for entry in found)

    def _land(
        self,
        store: RawStore,
        scans: Mapping[str, Scanned],
        imported: Sequence[ArchiveFile],
        *,
        progress: ImportProgress,
        now: Callable[[], datetime],
    ) -> list[ArchiveFile]:
        """Have these files read and landed by tasks, loading meanwhile; their records; `imported` were before."""
        started_at = now()
        sync_id = new_sync_id(started_at, kind=IMPORT_KIND)
        lander = ArchiveLander(
            store,
            source=self.source,
            now=started_at,
            content_key=self.content_key,
            sync_id=sync_id,
            odd_fields=self.odd_fields,
            facts=self.facts,
        )
        job = FilesJob([], store.folder, lander.open(), sync_id, started_at, self.content_key, __version__)
        cut = {scan.sha256: _CutFile(scan.ranges) for scan in scans.values() if scan.ranges}
        archives: list[ArchiveFile] = []
        parts: list[PartName] = []
        with loading(store, warehouse_path(self.data_dir)) as loader, leaving_if_broken_off(loader):
            for read in self.cluster.run(read_files, _jobs(scans, job)):
                _count(read.archives, progress)
                parts += read.parts
                if read.place is None:
                    whole = read.archives
                else:
                    whole = _finish(cut[read.archives[0].sha256], read.place, read, store=store, lander=lander)
                archives += whole
                progress.files_done += len(whole)
                loader.wake()
        loader.join()
        lander.close(now(), unread=unread_of(archives, imported))
        _check_landed(store, parts, is_there=set(store.list_parts()).__contains__)
        return archives


def _finish(
    file: _CutFile, place: Range, read: FilesRead, *, store: RawStore, lander: ArchiveLander
) -> list[ArchiveFile]:
    """The record of a file, landed, once all of its ranges have landed; none before.

    Raises IncompleteError if a part of them is not there.
    """
    archive = file.add(place, read)
    if archive is None:
        return []
    # Of these alone: to list all parts for each file would take as long as there are parts.
    _check_landed(store, file.parts, is_there=store.has_part)
    lander.finish_file(archive)
    lander.flush()
    return [archive]


def _jobs(scans: Mapping[str, Scanned], job: FilesJob) -> Iterator[FilesJob]:
    """What tasks are to read, on the pattern of a job: first the ranges, as the largest.

    Objects are fewer than bytes: wherever they are read, their places follow each other as in one reading.
    """
    starts = dict(zip(scans, accumulate((Path(path).stat().st_size for path in scans), initial=0), strict=False))
    for path, scan in scans.items():
        for place in scan.ranges:
            yield replace(job, files=[(path, scan.sha256)], place=place, first_place=starts[path] + place.start)
    for is_cut, together in groupby(scans, lambda path: bool(scans[path].ranges)):
        for batch in _batches(() if is_cut else together):
            yield replace(job, files=[(path, scans[path].sha256) for path in batch], first_place=starts[batch[0]])


def _check_landed(store: RawStore, parts: Sequence[PartName], *, is_there: Callable[[PartName], bool]) -> None:
    """Raises IncompleteError unless every part that a worker has landed is there."""
    if missing := [part for part in parts if not is_there(part)]:
        raise IncompleteError(
            f"of {len(parts):,} raw parts that workers landed {len(missing):,} are not in {store.place}, the first is"
            f" {missing[0].name}: run the same command again, it imports what is missing"
        )


def _batches(paths: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for path in paths:
        batch.append(path)
        size += Path(path).stat().st_size
        if size >= _TASK_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _count(archives: Sequence[ArchiveFile], progress: ImportProgress) -> None:
    for name in ("runs", "steps", "left_out"):
        setattr(progress, name, getattr(progress, name) + sum(getattr(archive, name) for archive in archives))
