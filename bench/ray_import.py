"""`import` and `publish delta` with `--executor ray`, one and two workers, beside those without: the same rows.

Answers in many archives, then in a single one, which is then published into a new lake; and both after one another.
"""

import shlex
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.corpus import Corpus, open_corpus
from bench.publishing import publish_in_parts
from bench.report import describe_machine, format_spread, format_table
from bench.settings import Settings

FILES = 32
ALONE, ONE, TWO = "`import`", "`--executor ray --workers 1`", "`--executor ray --workers 2`"
ONE_OF_ONE, TWO_OF_ONE = f"{ONE}, one archive", f"{TWO}, one archive"
PUBLISH = "`publish delta`"
PUBLISH_ONE, PUBLISH_TWO = (f"`publish delta --executor ray --workers {workers}`" for workers in (1, 2))
BOTH_ONE, BOTH_TWO = (f"both with `--executor ray --workers {workers}`, one archive" for workers in (1, 2))
# Each way, and which one with one worker it is compared to.
COMPARED = {
    ALONE: ONE,
    ONE: ONE,
    TWO: ONE,
    ONE_OF_ONE: ONE_OF_ONE,
    TWO_OF_ONE: ONE_OF_ONE,
    PUBLISH: PUBLISH_ONE,
    PUBLISH_ONE: PUBLISH_ONE,
    PUBLISH_TWO: PUBLISH_ONE,
    BOTH_ONE: BOTH_ONE,
    BOTH_TWO: BOTH_ONE,
}
PARTS = "parts of an import"
PARTS_OF_PUBLISHING = "parts of publishing"
ADDRESS = "--ray-address"


def measure_imports(settings: Settings) -> tuple[str, list[dict[str, Any]]]:
    """The paragraphs between the marks of docs/scale.md and their figures, without what starting the cluster takes.

    `--product-options='--ray-address HOST:PORT'` takes a cluster that is there. Needs Ray in this Python.
    """
    from pipeline.cluster.ray_session import open_cluster

    corpus = open_corpus(settings.size, settings.cache)
    options = dict(zip(settings.product_options[::2], settings.product_options[1::2], strict=True))
    with tempfile.TemporaryDirectory(prefix="bench-ray-") as work:
        files = write_archives(Path(work), corpus, count=FILES)
        [archive] = write_archives(Path(work) / "one", corpus, count=1)
        figures = [measure_parts(files, Path(work) / f"parts {number}", corpus) for number in range(settings.rounds)]
        imported = import_alone([archive], Path(work) / "imported")
        figures += [measure_publishing(imported, corpus) for _ in range(settings.rounds)]
        cluster = open_cluster(options.get(ADDRESS), workers=2)
        try:
            # Once before it counts: the workers' processes start and import.
            for number in range(settings.rounds + 1):
                for place, (way, run) in enumerate(ways(files, archive, cluster, imported=imported).items()):
                    wall_s = timed(run, Path(work) / f"round-{number}-{place}", corpus)
                    if number:
                        figures.append({"way": way, "wall_s": wall_s, "steps_per_s": corpus.truth["steps"] / wall_s})
        finally:
            cluster.close()
    return format_imports(figures, settings, corpus), figures


def measure_parts(files: list[Path], data_dir: Path, corpus: Corpus) -> dict[str, Any]:
    """Processor time of what workers do (read, land, flatten) and of what one process does (insert), without Ray."""
    from pipeline import __version__
    from pipeline.archives.landing import ArchiveLander
    from pipeline.archives.ranges import hash_file
    from pipeline.cluster.ray_reading import FilesJob, read_files
    from pipeline.raw.parts import IMPORT_KIND, new_sync_id
    from pipeline.raw.places import raw_store
    from pipeline.warehouse.database import warehouse_path
    from pipeline.warehouse.load import load_new_parts

    now = datetime.now(UTC)
    store, sync_id = raw_store(data_dir), new_sync_id(now, kind=IMPORT_KIND)
    opening = ArchiveLander(store, source="archive", now=now, content_key=None, sync_id=sync_id).open()
    started_s = time.process_time()
    named = [(str(path), hash_file(path)) for path in files]
    read_files(FilesJob(named, store.folder, opening, sync_id, now, None, __version__))
    worked_s = time.process_time()
    load_new_parts(store, warehouse_path(data_dir), wait_s=1.0)
    steps = corpus.truth["steps"]
    return {
        "way": PARTS,
        "work_ms": (worked_s - started_s) / steps * 1000,
        "insert_ms": (time.process_time() - worked_s) / steps * 1000,
    }


def measure_publishing(data_dir: Path, corpus: Corpus) -> dict[str, Any]:
    """Processor time of what workers do (what batches change) and of what one process does (commit), without Ray."""
    steps = corpus.truth["steps"]
    with tempfile.TemporaryDirectory(prefix="bench-lake-") as place:
        taken = publish_in_parts(data_dir, Path(place))
    return {
        "way": PARTS_OF_PUBLISHING,
        "change_ms": taken.change_s / steps * 1000,
        "commit_ms": taken.commit_s / steps * 1000,
    }


def import_alone(files: list[Path], data_dir: Path) -> Path:
    """The data folder, with these archives imported and loaded."""
    from pipeline.archives.landing import ImportProgress
    from pipeline.verbs.archive_import import ImportRequest, run_import

    request = ImportRequest([str(path) for path in files], "archive", data_dir)
    run_import(request, progress=ImportProgress(), now=partial(datetime.now, UTC))
    return data_dir


def ways(files: list[Path], archive: Path, cluster: Any, *, imported: Path) -> dict[str, Callable[[Path], int]]:
    """What is compared: each gives how many steps there are then, in a folder of its own.

    It lands and loads the files, or the one archive that has all of them, or it publishes what was imported of that.
    """
    from dataclasses import replace

    from pipeline.cluster.ray_import import RayImport
    from pipeline.warehouse.database import warehouse_path

    def alone(folder: Path) -> int:
        return count_steps(warehouse_path(import_alone(files, folder)))

    def on_ray(workers: int, named: list[Path]) -> Callable[[Path], int]:
        def run(folder: Path) -> int:
            from pipeline.archives.landing import ImportProgress

            work = RayImport(replace(cluster, workers=workers), folder, "archive", None)
            work.run(named, progress=ImportProgress(), now=partial(datetime.now, UTC), lock_wait_s=1.0)
            return count_steps(warehouse_path(folder))

        return run

    def published(workers: int) -> Callable[[Path], int]:
        return lambda folder: publish(imported, folder, replace(cluster, workers=workers) if workers else None)

    def both(workers: int) -> Callable[[Path], int]:
        def run(folder: Path) -> int:
            on_ray(workers, [archive])(folder)
            return publish(folder, folder / "lake", replace(cluster, workers=workers))

        return run

    return {
        ALONE: alone,
        ONE: on_ray(1, files),
        TWO: on_ray(2, files),
        ONE_OF_ONE: on_ray(1, [archive]),
        TWO_OF_ONE: on_ray(2, [archive]),
        PUBLISH: published(0),
        PUBLISH_ONE: published(1),
        PUBLISH_TWO: published(2),
        BOTH_ONE: both(1),
        BOTH_TWO: both(2),
    }


def count_steps(warehouse: Path) -> int:
    """Steps in a warehouse."""
    from pipeline.sqlfiles.duck import read_frame
    from pipeline.warehouse.database import open_for_reading

    with open_for_reading(warehouse) as connection:
        return int(read_frame(connection, "select count(*) from run_steps").item())


def publish(data_dir: Path, place: Path, cluster: Any) -> int:
    """Steps in a new lake of what a data folder has."""
    from pipeline.lake.publishing import Publisher
    from pipeline.lake.store import Lake
    from pipeline.raw.places import raw_store
    from pipeline.sqlfiles.price_book import read_price_book
    from pipeline.warehouse.database import warehouse_path

    lake = Lake(str(place))
    Publisher(raw_store(data_dir), lake, read_price_book(), warehouse_path(data_dir), cluster=cluster).publish()
    return int(lake.open().tables["run_steps"].count())


def timed(run: Callable[[Path], int], folder: Path, corpus: Corpus) -> float:
    """Seconds of one way that brought every step; its folder is removed."""
    started_s = time.monotonic()
    steps = run(folder)
    wall_s = time.monotonic() - started_s
    if steps != corpus.truth["steps"]:
        raise SystemExit(f"{folder.name}: {steps:,} steps, not {corpus.truth['steps']:,}")
    shutil.rmtree(folder)
    return wall_s


def write_archives(folder: Path, corpus: Corpus, *, count: int) -> list[Path]:
    """The corpus' answers, one a line, in so many files."""
    bodies = sorted(corpus.www.rglob("*.json"))
    folder.mkdir(exist_ok=True)
    files = [folder / f"{number}.jsonl" for number in range(count)]
    for number, file in enumerate(files):
        with file.open("wb") as lines:
            for path in bodies[number::count]:
                lines.write(path.read_bytes().strip() + b"\n")
    return files


def format_imports(figures: list[dict[str, Any]], settings: Settings, corpus: Corpus) -> str:
    """What was run, a line for each way (the ratio is of medians, to one worker), and what follows for more workers."""
    more = f" --product-options='{shlex.join(settings.product_options)}'" if settings.product_options else ""
    command = f"python -m bench.run ray --size {settings.size} --rounds {settings.rounds}{more}"
    walls = {way: [f["wall_s"] for f in figures if f["way"] == way] for way in COMPARED}
    rows = [
        [
            way,
            format_spread(own, 1),
            format_spread([f["steps_per_s"] for f in figures if f["way"] == way], 0),
            f"{statistics.median(walls[COMPARED[way]]) / statistics.median(own):.2f}",
        ]
        for way, own in walls.items()
    ]
    table = format_table(["what", "wall s", "steps/s", "times as fast as one worker"], rows)
    said = f"Measured with `{command}`, {corpus.truth['steps']:,} steps ({describe_machine()}):"
    return f"{said}\n\n{table}\n\n{format_model(figures)}"


def format_model(figures: list[dict[str, Any]]) -> str:
    """From how many workers on the process that inserts or commits is the limit."""
    work_ms, insert_ms = _medians(figures, PARTS, ("work_ms", "insert_ms"))
    change_ms, commit_ms = _medians(figures, PARTS_OF_PUBLISHING, ("change_ms", "commit_ms"))
    return (
        f"W = {work_ms:.3f} ms of a processor for each step to hash, read, land and flatten, I = {insert_ms:.3f} ms to"
        f" insert, both measured without Ray: W / I = {work_ms / insert_ms:.1f} workers keep the process that inserts"
        f" busy. P = {change_ms:.3f} ms to work out what a batch changes of a new lake, C = {commit_ms:.3f} ms to"
        f" commit it: P / C = {change_ms / commit_ms:.1f} workers keep the process that commits busy."
    )


def _medians(figures: list[dict[str, Any]], way: str, names: tuple[str, ...]) -> list[float]:
    return [statistics.median(f[name] for f in figures if f["way"] == way) for name in names]
