"""The verb `import`: archives to raw parts to the warehouse, its progress and its outcome."""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pipeline import __version__
from pipeline.archive_files import Damage, find_archives, hash_file, read_documents
from pipeline.archive_walks import make_walks
from pipeline.archives import Content, Context, Found, LeftOut, Unrecognised, read_content
from pipeline.errors import ConfigurationError, IncompleteError
from pipeline.lander import PART_BYTES
from pipeline.landing import IMPORT_KIND, PartWriter, RawStore, new_sync_id
from pipeline.load import load_new_parts
from pipeline.pages import ArchiveFile, SyncSummary
from pipeline.present import count_of, join_counts
from pipeline.progress import LogFormat, Reporter
from pipeline.sync import raw_store, warehouse_path
from pipeline.syncing import INTERRUPTED, print_outcome

DEFAULT_SOURCE = "archive"
# Unrecognised places that are kept by name, of each file; all are counted.
_NAMED = 20
_SHOWN = 10
# The steps of one run stay together while a part does not grow beyond this.
_LARGEST_PART_BYTES = 4 * PART_BYTES


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import, and the source that it belongs to."""

    paths: Sequence[str]
    source: str
    data_dir: Path
    lock_wait_s: float = 30.0


@dataclass(slots=True)
class ImportProgress:
    """Counts of an import while it runs. `archives` are the files that it read or already knew."""

    files_total: int = 0
    files_done: int = 0
    files_known: int = 0
    runs: int = 0
    steps: int = 0
    left_out: int = 0
    archives: list[ArchiveFile] = field(default_factory=list)

    @property
    def unrecognised(self) -> int:
        """Places that nobody could read, in all files, also in those known from before."""
        return sum(archive.unrecognised for archive in self.archives)

    def values(self) -> dict[str, Any]:
        """What there is to show."""
        return {
            "files": self.files_done,
            "files_total": self.files_total,
            "files_known": self.files_known,
            "runs": self.runs,
            "steps": self.steps,
            "left_out": self.left_out,
            "unrecognised": self.unrecognised,
        }

    def line(self) -> str:
        """The same for a person."""
        return f"files {self.files_done:,}/{self.files_total:,}, runs {self.runs:,}, steps {self.steps:,}"

    def share(self) -> tuple[int, int | None]:
        """What is done, of what."""
        return self.files_done, self.files_total


def import_archives(request: ImportRequest, *, quiet: bool, as_json: bool, log_format: LogFormat) -> int:
    """Import, say how it went, and return the exit code: 4 if there is something that could not be recognised."""
    _check_source(request.source)
    reporter = Reporter(sys.stderr, quiet=quiet, log_format=log_format)
    progress = ImportProgress()
    started_at = datetime.now(UTC)
    try:
        with _stopping_politely(), reporter.watching(progress):
            run_import(request, progress=progress, now=started_at)
    except KeyboardInterrupt:
        reporter.say("interrupted: what has landed is kept; run the same command again to go on", level="warning")
        return INTERRUPTED
    code = IncompleteError.exit_code if progress.unrecognised else 0
    _report(reporter, request, progress, exit_code=code, as_json=as_json, started_at=started_at)
    return code


def run_import(request: ImportRequest, *, progress: ImportProgress, now: datetime) -> None:
    """Land what the archives hold and load it; files whose content was imported into this source before are skipped."""
    store = raw_store(request.data_dir)
    files = find_archives(request.paths)
    progress.files_total = len(files)
    known = {archive.sha256: archive for archive in store.read_archives(request.source) if _is_done(archive)}
    lander = _Lander(store, source=request.source, now=now)
    for path in files:
        sha256 = hash_file(path)
        if (archive := known.get(sha256)) is None:
            archive = known[sha256] = _read_file(path, sha256, lander, progress)
            lander.finish_file(archive)
        else:
            progress.files_known += 1
        progress.archives.append(archive)
        progress.files_done += 1
    lander.close()
    load_new_parts(store, warehouse_path(request.data_dir), wait_s=request.lock_wait_s)


def _is_done(archive: ArchiveFile) -> bool:
    """Whether reading the file again could bring nothing; what was not recognised a newer version may know."""
    return not archive.unrecognised or archive.pipeline_version == __version__


def _read_file(path: Path, sha256: str, lander: "_Lander", progress: ImportProgress) -> ArchiveFile:
    counts = {"runs": 0, "steps": 0, "left_out": 0, "unrecognised": 0}
    named: list[str] = []
    for content in _contents_of(path):
        if isinstance(content, Found):
            counts[content.resource] += 1
            setattr(progress, content.resource, getattr(progress, content.resource) + 1)
            lander.keep(str(path), content)
        elif isinstance(content, LeftOut):
            counts["left_out"] += 1
            progress.left_out += 1
        else:
            counts["unrecognised"] += 1
            if len(named) < _NAMED:
                named.append(str(content))
    size_bytes = path.stat().st_size
    return ArchiveFile(
        file=str(path),
        sha256=sha256,
        size_bytes=size_bytes,
        pipeline_version=__version__,
        first_unrecognised=named,
        **counts,
    )


def _contents_of(path: Path) -> Iterator[Content]:
    for document in read_documents(path):
        if isinstance(document, Damage):
            yield Unrecognised(document.where, document.reason)
        else:
            yield from read_content(document.body, Context(document.where))


class _Lander:
    """Collects what archives hold and lands it in parts, the record of each file not before its content."""

    def __init__(self, store: RawStore, *, source: str, now: datetime) -> None:
        self._writer = PartWriter(store, source=source, sync_id=new_sync_id(now, kind=IMPORT_KIND))
        self._now = now
        self._found: list[tuple[str, Found]] = []
        self._size_bytes = 0
        self._finished: list[ArchiveFile] = []
        self._has_landed = False

    def keep(self, file: str, found: Found) -> None:
        """Take an object."""
        is_between_runs = not self._found or self._found[-1][1].run_id != found.run_id
        if self._size_bytes >= (PART_BYTES if is_between_runs else _LARGEST_PART_BYTES):
            self._land()
        self._found.append((file, found))
        self._size_bytes += len(found.body)

    def finish_file(self, archive: ArchiveFile) -> None:
        """Take note that a file has been read to its end."""
        self._finished.append(archive)

    def close(self) -> None:
        """Land what is left, and that there was an import; nothing at all if no file was new."""
        if not self._finished and not self._has_landed:
            return
        finished_at = datetime.now(UTC)
        summary = SyncSummary(
            started_at=self._now,
            pipeline_version=__version__,
            finished_at=finished_at,
            verdict="imported",
            threads_failed=0,
        )
        self._writer.add_summary(summary, finished_at)
        self._land()

    def _land(self) -> None:
        for walk in make_walks(self._found, now=self._now):
            self._writer.add_walk(walk)
        for archive in self._finished:
            self._writer.add_archive(archive, self._now)
        self._writer.land(self._writer.take_rows())
        self._found, self._size_bytes, self._finished, self._has_landed = [], 0, [], True


@contextmanager
def _stopping_politely() -> Iterator[None]:
    """A polite kill ends the block like Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_source(source: str) -> None:
    if not source.replace("-", "").replace("_", "").isalnum():
        raise ConfigurationError(
            f"the source name {source!r} may have letters, digits, - and _ only: it becomes a folder"
        )


def _report(
    reporter: Reporter,
    request: ImportRequest,
    progress: ImportProgress,
    *,
    exit_code: int,
    as_json: bool,
    started_at: datetime,
) -> None:
    warehouse = warehouse_path(request.data_dir)
    seconds = (datetime.now(UTC) - started_at).total_seconds()
    _report_unrecognised(reporter, progress)
    if as_json:
        archives = [msgspec.to_builtins(archive) for archive in progress.archives]
        summary = {"source": request.source, "exit_code": exit_code, **progress.values(), "seconds": seconds}
        print(json.dumps({**summary, "warehouse": str(warehouse), "archives": archives}))
        return
    counts = join_counts([("files", progress.files_done), ("runs", progress.runs), ("steps", progress.steps)])
    known = (
        f", {count_of(progress.files_known, 'files')} known from before not read again" if progress.files_known else ""
    )
    left_out = f", {count_of(progress.left_out, 'other objects')} left out" if progress.left_out else ""
    reporter.say(f"imported into {request.source!r}: {counts}{known}{left_out} in {seconds:.1f} s")
    if not reporter.quiet and warehouse.exists():
        print_outcome(warehouse, source=request.source)


def _report_unrecognised(reporter: Reporter, progress: ImportProgress) -> None:
    for archive in progress.archives:
        if not (archive.runs or archive.steps or archive.left_out or archive.unrecognised):
            reporter.say(f"{archive.file} holds nothing", level="warning")
    named = [f"{archive.file}: {place}" for archive in progress.archives for place in archive.first_unrecognised]
    for place in named[:_SHOWN]:
        reporter.say(place, level="warning")
    if progress.unrecognised:
        more = progress.unrecognised - len(named[:_SHOWN])
        reporter.say(
            f"not recognised: {count_of(progress.unrecognised, 'places')}"
            + (f" ({more:,} more than shown; --json names the first {_NAMED} of each file)" if more else "")
            + "; everything else was imported",
            level="warning",
        )
