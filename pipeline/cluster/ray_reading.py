"""What tasks of a cluster do with archives: files are hashed and cut into ranges, read, landed and flattened."""

import platform
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.archives.landing import ArchiveLander, land_documents, read_file
from pipeline.archives.progress import ImportProgress
from pipeline.archives.ranges import (
    RANGE_BYTES,
    Range,
    Scanned,
    hash_file,
    read_range,
    read_range_documents,
    scan_file,
)
from pipeline.cluster.ray_tasks import check_folder, check_version
from pipeline.errors import ConfigurationError
from pipeline.flatten.cache import FlatStore
from pipeline.flatten.garbage_collector import tune_garbage_collector
from pipeline.privacy.hiding import ContentKey
from pipeline.protocol.pages import ArchiveFile
from pipeline.raw.parts import PartName
from pipeline.raw.places import open_raw

# Numbers of writers are drawn: a task that is started again must not write what the dead one wrote.
_WRITERS = 10**15
_SAME_FILES = "All machines of the cluster must see the same archives under the same path"


@dataclass(frozen=True, slots=True)
class HashJob:
    """Files to hash and to cut into ranges of about so many bytes, for a program of that version."""

    paths: Sequence[str]
    version: str
    range_bytes: int = RANGE_BYTES


@dataclass(frozen=True, slots=True)
class FilesJob:
    """Files for one task, with their SHA-256, and what their parts are to be called.

    `opening` is a part that who started the import has landed in the folder; `version` is that of its program. With a
    `place` this is one range of one file. `first_place` is how many bytes all files and ranges before have.
    """

    files: Sequence[tuple[str, str]]
    raw_folder: Path
    opening: PartName
    sync_id: str
    now: datetime
    content_key: ContentKey | None
    version: str
    place: Range | None = None
    first_place: int = 0


@dataclass(frozen=True, slots=True)
class FilesRead:
    """What a task has read and landed: with a `place` the one record is that of a range and has not landed."""

    archives: Sequence[ArchiveFile]
    parts: Sequence[PartName]
    place: Range | None = None


def hash_files(job: HashJob) -> list[tuple[str, Scanned]]:
    """A task: the SHA-256 of each file, and where its ranges are."""
    check_version(job.version)
    with _naming_this_machine():
        return [(path, scan_file(Path(path), range_bytes=job.range_bytes)) for path in job.paths]


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
        first_place=job.first_place,
    )
    archives = [_land_file(path, sha256, job.place, lander) for path, sha256 in job.files]
    lander.flush()
    return FilesRead(lander.with_items_alone(archives), lander.parts, job.place)


def _land_file(path: str, sha256: str, place: Range | None, lander: ArchiveLander) -> ArchiveFile:
    """Land what a file or a range of it holds. Raises ConfigurationError unless it is what was hashed."""
    file = Path(path)
    if place is not None:
        documents = read_range_documents(_lines_of(file, place), place)
        return land_documents(file, sha256, documents, lander=lander, progress=ImportProgress())
    with _naming_this_machine():
        if hash_file(file) != sha256:
            raise _changed(file)
    archive = read_file(file, sha256, lander, ImportProgress())
    lander.finish_file(archive)
    return archive


def _lines_of(file: Path, place: Range) -> bytes:
    with _naming_this_machine():
        lines = read_range(file, place)
        if lines is None:
            raise _changed(file)
    return lines


def _changed(file: Path) -> ConfigurationError:
    return ConfigurationError(f"{file} has changed, or is another file than elsewhere")


@contextmanager
def _naming_this_machine() -> Iterator[None]:
    """What goes wrong with files in the block is said to be of this machine."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{platform.node()}: {error}. {_SAME_FILES}") from error
