"""Archives on a Ray cluster: files are hashed, read, landed and flattened by tasks; who started them loads."""

import platform
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline import __version__
from pipeline.archive_files import hash_file
from pipeline.archive_lander import ArchiveLander, ImportProgress, is_done, read_file
from pipeline.errors import ConfigurationError, IncompleteError
from pipeline.flat_parts import FlatStore
from pipeline.garbage import tune_garbage_collector
from pipeline.hiding import ContentKey
from pipeline.landing import IMPORT_KIND, PartName, RawStore, new_sync_id
from pipeline.load import load_new_parts
from pipeline.loader import loading
from pipeline.pages import ArchiveFile
from pipeline.pruned import read_imported
from pipeline.raw_places import open_raw, raw_store
from pipeline.ray_cluster import Cluster
from pipeline.ray_tasks import check_folder, check_version
from pipeline.warehouse import warehouse_path

# Small files are read by one task until they come to this, packed.
_TASK_BYTES = 4 * 2**20
# Numbers of writers are drawn: a task that is started again must not write what the dead one wrote.
_WRITERS = 10**15
_SAME_FILES = "All machines of the cluster must see the same archives under the same path"


@dataclass(frozen=True, slots=True)
class HashJob:
    """Files to hash, for a program of that version."""

    paths: Sequence[str]
    version: str


@dataclass(frozen=True, slots=True)
class FilesJob:
    """Files for one task, with their SHA-256, and what their parts are to be called.

    `opening` is a part that who started the import has landed in the folder; `version` is that of its program.
    """

    files: Sequence[tuple[str, str]]
    raw_folder: Path
    opening: PartName
    sync_id: str
    now: datetime
    content_key: ContentKey | None
    version: str


@dataclass(frozen=True, slots=True)
class FilesRead:
    """What a task has read and landed."""

    archives: Sequence[ArchiveFile]
    parts: Sequence[PartName]


@dataclass(frozen=True, slots=True)
class RayImport:
    """An import into a data folder that all machines of the cluster share."""

    cluster: Cluster
    data_dir: Path
    source: str
    content_key: ContentKey | None

    def run(self, files: Sequence[Path], *, progress: ImportProgress, now: datetime, lock_wait_s: float) -> None:
        """Land what the files hold and load it; files whose content was imported before are skipped.

        Raises ConfigurationError where a worker does not see the files or the folder, IncompleteError where parts that
        workers have landed are not there.
        """
        store, warehouse = raw_store(self.data_dir.resolve()), warehouse_path(self.data_dir)
        known = {archive.sha256: archive for archive in read_imported(store, self.source) if is_done(archive)}
        paths = [str(path.resolve()) for path in files]
        hashes = self._hash(paths)
        new = {hashes[path]: path for path in reversed(paths) if hashes[path] not in known}
        progress.files_known = progress.files_done = len(files) - len(new)
        if new:
            archives = self._land(store, {path: sha256 for sha256, path in new.items()}, progress=progress, now=now)
            known |= {archive.sha256: archive for archive in archives}
        progress.archives += [known[hashes[path]] for path in paths]
        load_new_parts(store, warehouse, wait_s=lock_wait_s)

    def _hash(self, paths: Sequence[str]) -> dict[str, str]:
        jobs = (HashJob(batch, __version__) for batch in _batches(paths))
        return dict(entry for found in self.cluster.run(hash_files, jobs) for entry in found)

    def _land(
        self, store: RawStore, hashes: Mapping[str, str], *, progress: ImportProgress, now: datetime
    ) -> list[ArchiveFile]:
        """Have the files with these hashes read and landed by tasks, loading meanwhile; their records."""
        sync_id = new_sync_id(now, kind=IMPORT_KIND)
        lander = ArchiveLander(store, source=self.source, now=now, content_key=self.content_key, sync_id=sync_id)
        opening = lander.open()
        jobs = (
            FilesJob(
                files=[(path, hashes[path]) for path in batch],
                raw_folder=store.folder,
                opening=opening,
                sync_id=sync_id,
                now=now,
                content_key=self.content_key,
                version=__version__,
            )
            for batch in _batches(sorted(hashes))
        )
        archives: list[ArchiveFile] = []
        parts: list[PartName] = []
        with loading(store, warehouse_path(self.data_dir)) as loader:
            for read in self.cluster.run(read_files, jobs):
                archives += read.archives
                parts += read.parts
                _count(read.archives, progress)
                loader.wake()
        loader.join()
        lander.close()
        _check_landed(store, parts)
        return archives


def hash_files(job: HashJob) -> list[tuple[str, str]]:
    """A task: the SHA-256 of each file."""
    check_version(job.version)
    return [(path, _hash(path)) for path in job.paths]


def read_files(job: FilesJob) -> FilesRead:
    """A task: land and flatten what the files hold; their records and the parts."""
    tune_garbage_collector()
    check_version(job.version)
    store = open_raw(job.raw_folder)
    check_folder(store, job.opening)
    lander = ArchiveLander(
        store,
        source=job.opening.source,
        now=job.now,
        content_key=job.content_key,
        sync_id=job.sync_id,
        writer=1 + secrets.randbelow(_WRITERS),
        flat=FlatStore(store),
    )
    archives = []
    for path, sha256 in job.files:
        _check_file(path, sha256)
        archives.append(read_file(Path(path), sha256, lander, ImportProgress()))
        lander.finish_file(archives[-1])
    lander.flush()
    return FilesRead(archives, lander.parts)


def _hash(path: str) -> str:
    try:
        return hash_file(Path(path))
    except ConfigurationError as error:
        raise ConfigurationError(f"{platform.node()}: {error}. {_SAME_FILES}") from error


def _check_file(path: str, sha256: str) -> None:
    """Raises ConfigurationError unless the file is here what it was where it was hashed."""
    if _hash(path) != sha256:
        raise ConfigurationError(
            f"{platform.node()}: {path} has changed, or is another file than elsewhere. {_SAME_FILES}"
        )


def _check_landed(store: RawStore, parts: Sequence[PartName]) -> None:
    """Raises IncompleteError unless every part that a worker has landed is there."""
    there = set(store.list_parts())
    if missing := [part for part in parts if part not in there]:
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
    progress.files_done += len(archives)
    for name in ("runs", "steps", "left_out"):
        setattr(progress, name, getattr(progress, name) + sum(getattr(archive, name) for archive in archives))
