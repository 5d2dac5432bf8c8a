"""Archives on a Ray cluster: files are hashed, read, landed and flattened by tasks; who started them loads."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.archive_files import hash_file
from pipeline.archive_lander import ArchiveLander, ImportProgress, is_done, read_file
from pipeline.flat_parts import FlatStore
from pipeline.garbage import tune_garbage_collector
from pipeline.hiding import ContentKey
from pipeline.landing import IMPORT_KIND, new_sync_id
from pipeline.load import load_new_parts
from pipeline.loader import loading
from pipeline.pages import ArchiveFile
from pipeline.raw_places import open_raw
from pipeline.ray_cluster import Cluster
from pipeline.sync import raw_store, warehouse_path

# Small files are read by one task until they come to this, packed.
_TASK_BYTES = 4 * 2**20
# Numbers of writers are drawn: a task that is started again must not write what the dead one wrote.
_WRITERS = 10**15


@dataclass(frozen=True, slots=True)
class FilesJob:
    """Files for one task, with their SHA-256 where that is known, and what their parts are to be called."""

    files: Sequence[tuple[str, str]]
    raw_folder: Path
    source: str
    sync_id: str
    now: datetime
    content_key: ContentKey | None


@dataclass(frozen=True, slots=True)
class RayImport:
    """An import into a data folder that all machines of the cluster share."""

    cluster: Cluster
    data_dir: Path
    source: str
    content_key: ContentKey | None

    def run(self, files: Sequence[Path], *, progress: ImportProgress, now: datetime, lock_wait_s: float) -> None:
        """Land what the files hold and load it; files whose content was imported before are skipped."""
        store, warehouse = raw_store(self.data_dir.resolve()), warehouse_path(self.data_dir)
        known = {archive.sha256: archive for archive in store.read_archives(self.source) if is_done(archive)}
        paths = [str(path.resolve()) for path in files]
        hashes = dict(entry for found in self.cluster.run(hash_files, _batches(paths)) for entry in found)
        new = {hashes[path]: path for path in reversed(paths) if hashes[path] not in known}
        progress.files_known = progress.files_done = len(files) - len(new)
        sync_id = new_sync_id(now, kind=IMPORT_KIND)
        jobs = (
            FilesJob(
                [(path, hashes[path]) for path in batch], store.folder, self.source, sync_id, now, self.content_key
            )
            for batch in _batches(sorted(new.values()))
        )
        with loading(store, warehouse) as loader:
            for archives in self.cluster.run(read_files, jobs):
                known |= {archive.sha256: archive for archive in archives}
                _count(archives, progress)
                loader.wake()
        loader.join()
        ArchiveLander(store, source=self.source, now=now, content_key=self.content_key, sync_id=sync_id).close(
            has_news=bool(new)
        )
        progress.archives += [known[hashes[path]] for path in paths]
        load_new_parts(store, warehouse, wait_s=lock_wait_s)


def hash_files(paths: Sequence[str]) -> list[tuple[str, str]]:
    """A task: the SHA-256 of each file."""
    return [(path, hash_file(Path(path))) for path in paths]


def read_files(job: FilesJob) -> list[ArchiveFile]:
    """A task: land and flatten what the files hold; their records."""
    tune_garbage_collector()
    store = open_raw(job.raw_folder)
    lander = ArchiveLander(
        store,
        source=job.source,
        now=job.now,
        content_key=job.content_key,
        sync_id=job.sync_id,
        writer=1 + secrets.randbelow(_WRITERS),
        flat=FlatStore(store),
    )
    archives = []
    for path, sha256 in job.files:
        archives.append(read_file(Path(path), sha256, lander, ImportProgress()))
        lander.finish_file(archives[-1])
    lander.flush()
    return archives


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
