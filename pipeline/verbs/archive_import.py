"""The verb `import`: archives to raw parts to the warehouse, its progress and its outcome."""

import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from pipeline.archives.files import find_archives
from pipeline.archives.landing import ArchiveLander, is_done, read_file
from pipeline.archives.progress import ImportProgress
from pipeline.archives.ranges import hash_file
from pipeline.archives.unread import unread_of
from pipeline.cluster.executors import Executor
from pipeline.cluster.flatteners import flatteners_of
from pipeline.console.tables import count_of, join_counts
from pipeline.errors import INTERRUPTED, ConfigurationError, IncompleteError
from pipeline.http.pacing import Clock
from pipeline.privacy.hiding import ContentKey
from pipeline.protocol.pages import ArchiveFile, SourceFacts
from pipeline.raw.parts import IMPORT_KIND, new_sync_id
from pipeline.raw.places import raw_store
from pipeline.raw.prune_record import read_imported
from pipeline.verbs.archive_evidence import Evidence, find_shared_runs, read_evidence
from pipeline.verbs.progress import LogFormat, Reporter
from pipeline.verbs.status import print_outcome
from pipeline.warehouse.background import loading_meanwhile
from pipeline.warehouse.database import staying_open, warehouse_path
from pipeline.warehouse.loaded_parts import sweep_leftovers
from pipeline.warehouse.lost_values import LostValue, any_counted, held_parts, lost_since, summary_of, warnings_of

DEFAULT_SOURCE = "archive"
STDIN = "-"
_SHOWN, _NAMED = 10, 3


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import, and the source that it belongs to; with a `content_key` contents are hidden before they land.

    `facts` are what the profile says of the source, if it is to be told. `notices` are what a person should know first;
    `workers` (0: as many as help) are those of Ray. A `dry_run` writes nothing that stays; `known_in` is then the data
    folder that says which files are known. `names` are of files that stand in the place of something else.
    """

    paths: Sequence[str]
    source: str
    data_dir: Path
    lock_wait_s: float = 30.0
    content_key: ContentKey | None = None
    notices: Sequence[str] = ()
    executor: Executor = "local"
    ray_address: str | None = None
    workers: int = 0
    odd_fields: Sequence[str] = ()
    facts: SourceFacts | None = None
    dry_run: bool = False
    known_in: Path | None = None
    names: Mapping[Path, str] = field(default_factory=dict)


def import_archives(request: ImportRequest, *, quiet: bool, as_json: bool, log_format: LogFormat) -> int:
    """Import, say how it went, and return the exit code: 4 if something could not be read or is missing for certain."""
    _check_source(request.source)
    with _spooled(request) as given, _tried_out(given) as asked:
        return _import(asked, quiet=quiet, as_json=as_json, log_format=log_format)


@contextmanager
def _spooled(request: ImportRequest) -> Iterator[ImportRequest]:
    """The request with files, for as long as the block runs, in the place of what can be read only once."""
    # As in `<(zcat ...)`, which is a pipe that the shell makes.
    streams = [path for path in dict.fromkeys(request.paths) if path == STDIN or Path(path).is_fifo()]
    if not streams:
        yield request
        return
    if request.executor == "ray":
        raise ConfigurationError(f"{streams[0]}: workers of --executor ray do not see what you pipe: name a file")
    with TemporaryDirectory(prefix="import-") as folder:
        spools = {path: Path(folder, str(number)) for number, path in enumerate(streams)}
        for path, spool in spools.items():
            opened = nullcontext(sys.stdin.buffer) if path == STDIN else Path(path).open("rb")  # noqa: SIM115 - below
            with spool.open("wb") as file, opened as stream:
                shutil.copyfileobj(stream, file)
        names = {spool: "standard input" if path == STDIN else path for path, spool in spools.items()}
        yield replace(request, paths=[str(spools.get(path, path)) for path in request.paths], names=names)


@contextmanager
def _tried_out(request: ImportRequest) -> Iterator[ImportRequest]:
    """The request, for a dry run into a data folder that goes with the block."""
    if not request.dry_run:
        yield request
        return
    with TemporaryDirectory(prefix="import-") as folder:
        yield replace(request, data_dir=Path(folder), known_in=request.data_dir)


def _import(request: ImportRequest, *, quiet: bool, as_json: bool, log_format: LogFormat) -> int:
    reporter = Reporter(sys.stderr, quiet=quiet, log_format=log_format)
    for notice in request.notices:
        reporter.say(notice, level="warning")
    progress = ImportProgress()
    clock = Clock()
    started_s = clock.monotonic()
    held = held_parts(warehouse_path(request.data_dir))
    try:
        with _stopping_politely(), reporter.watching(progress):
            run_import(request, progress=progress, now=clock.now)
    except KeyboardInterrupt:
        reporter.say("interrupted: what has landed is kept; run the same command again to go on", level="warning")
        return INTERRUPTED
    warehouse = warehouse_path(request.data_dir)
    with staying_open(warehouse):
        lost = lost_since(warehouse, held)
        imports = {archive.sync_id for archive in progress.archives}
        alone = [run_id for archive in progress.archives for run_id in archive.runs_alone]
        evidence = read_evidence(warehouse, source=request.source, imports=imports, runs_alone=alone)
        evidence.cut_lists.extend(progress.open_lists)
        is_whole = not (progress.unrecognised or progress.items_alone or any_counted(lost) or evidence.is_broken)
        code = 0 if is_whole else IncompleteError.exit_code
        seconds = clock.monotonic() - started_s
        _report(reporter, request, progress, (lost, evidence), exit_code=code, as_json=as_json, seconds=seconds)
    return code


def run_import(request: ImportRequest, *, progress: ImportProgress, now: Callable[[], datetime]) -> None:
    """Land what the archives hold and load it; files whose content was imported into this source before are skipped."""
    store = raw_store(request.data_dir)
    sweep_leftovers(store)
    files = find_archives(request.paths)
    progress.files_total = len(files)
    if request.executor == "ray":
        _import_on_ray(request, files, progress=progress, now=now)
        return
    imported = read_imported(raw_store(request.known_in or request.data_dir), request.source)
    known = {archive.sha256: archive for archive in imported if is_done(archive)}
    new: list[ArchiveFile] = []
    started_at = now()
    sync_id = new_sync_id(started_at, kind=IMPORT_KIND)
    with (
        flatteners_of(sum(path.stat().st_size for path in files)) as flattener,
        loading_meanwhile(store, warehouse_path(request.data_dir), flattener, wait_s=request.lock_wait_s) as landed,
    ):
        lander = ArchiveLander(
            store,
            source=request.source,
            now=started_at,
            content_key=request.content_key,
            sync_id=sync_id,
            odd_fields=request.odd_fields,
            facts=request.facts,
            landed=landed,
        )
        for path in files:
            sha256, name = hash_file(path), request.names.get(path, str(path))
            if (archive := known.get(sha256)) is None:
                archive = known[sha256] = read_file(path, sha256, lander, progress, name=name)
                lander.finish_file(archive)
                new.append(archive)
            else:
                progress.files_known += 1
            # Under its own name, also where another file had the same content.
            progress.archives.append(msgspec.structs.replace(archive, file=name))
            progress.files_done += 1
        lander.close(now(), unread=unread_of(new, imported))
        progress.archives, progress.open_lists = lander.with_items_alone(progress.archives), lander.open_lists()


def _import_on_ray(
    request: ImportRequest, files: Sequence[Path], *, progress: ImportProgress, now: Callable[[], datetime]
) -> None:
    from pipeline.cluster.ray_import import RayImport
    from pipeline.cluster.ray_session import open_cluster

    with closing(open_cluster(request.ray_address, workers=request.workers)) as cluster:
        work = RayImport(
            cluster,
            request.data_dir,
            request.source,
            request.content_key,
            odd_fields=request.odd_fields,
            facts=request.facts,
        )
        work.run(files, progress=progress, now=now, lock_wait_s=request.lock_wait_s)


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
    found: tuple[Sequence[LostValue], Evidence],
    *,
    exit_code: int,
    as_json: bool,
    seconds: float,
) -> None:
    warehouse = warehouse_path(request.data_dir)
    _report_unrecognised(reporter, progress, would="would be" if request.dry_run else "was")
    _report_alone(reporter, progress)
    lost, evidence = found
    for warning in warnings_of(lost):
        reporter.say(warning, level="warning")
    _report_evidence(reporter, evidence)
    shared = find_shared_runs(warehouse)
    if shared is not None:
        reporter.say(shared.message, level="warning")
    if as_json:
        archives = [msgspec.to_builtins(archive) for archive in progress.archives]
        summary = {
            "source": request.source,
            "exit_code": exit_code,
            **progress.values(),
            **summary_of(lost),
            **evidence.values(),
            "runs_in_two_sources": 0 if shared is None else shared.rows,
            "seconds": seconds,
        }
        place = None if request.dry_run else str(warehouse)
        print(json.dumps({**summary, "dry_run": request.dry_run, "warehouse": place, "archives": archives}))
        return
    counts = join_counts([("files", progress.files_done), ("runs", progress.runs), ("steps", progress.steps)])
    items = f", {count_of(progress.items, 'items')} beside them" if progress.items else ""
    again = f", {count_of(progress.files_known, 'files')} known from before not read again"
    known = again if progress.files_known else ""
    left_out = f", {count_of(progress.left_out, 'other objects')} left out" if progress.left_out else ""
    done = "dry run, nothing was written: would be imported" if request.dry_run else "imported"
    reporter.say(f"{done} into {request.source!r}: {counts}{items}{known}{left_out} in {seconds:.1f} s")
    is_something = progress.runs or progress.steps or progress.items or progress.files_known
    if is_something and not reporter.quiet and not request.dry_run and warehouse.exists():
        print_outcome(warehouse, sources=[request.source])


def _report_unrecognised(reporter: Reporter, progress: ImportProgress, *, would: str) -> None:
    empty = [
        one.file
        for one in progress.archives
        if not (one.runs or one.steps or one.items or one.left_out or one.unrecognised)
    ]
    if empty:
        holds = "holds nothing" if len(empty) == 1 else f"{len(empty):,} files hold nothing"
        names = ", ".join(empty[:_NAMED]) + (", ..." if empty[_NAMED:] else "")
        reporter.say(f"{names} {holds}" if len(empty) == 1 else f"{holds}: {names}", level="warning")
    named = [f"{archive.file}: {place}" for archive in progress.archives for place in archive.first_unrecognised]
    for place in named[:_SHOWN]:
        reporter.say(place, level="warning")
    if progress.unrecognised:
        more = f" (the first {_SHOWN} of {len(named):,} reasons are shown; --json has them)" if named[_SHOWN:] else ""
        rest = "everything else" if progress.runs or progress.steps or progress.files_known else "nothing"
        places = count_of(progress.unrecognised, "places")
        reporter.say(f"not recognised: {places}{more}; {rest} {would} imported", level="warning")


def _report_alone(reporter: Reporter, progress: ImportProgress) -> None:
    """Items that belong to no response and no turn of what was read."""
    if progress.items_alone:
        reporter.say(
            f"left out: {count_of(progress.items_alone, 'items')} without usage: the responses or turns that they"
            " belong to are not in these archives, and items have neither tokens nor an instant; import them together",
            level="warning",
        )


def _report_evidence(reporter: Reporter, evidence: Evidence) -> None:
    for gap in evidence.gaps[:_SHOWN]:
        reporter.say(gap, level="warning")
    if evidence.is_broken:
        more = len(evidence.gaps) - _SHOWN
        reporter.say(evidence.summary() + (f" ({more:,} more than shown)" if more > 0 else ""), level="warning")
    if line := evidence.unproven_line():
        reporter.say(line)
