"""Commands that are killed: the folder that each starts from, and the moments that its stages are made of."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus, running_emulator
from pipeline.privacy.forget_record import RECORD
from pipeline.raw.places import raw_store
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.warehouse.database import warehouse_path
from tests.faults.kill_points import (
    KillPoint,
    after_all_requests,
    after_share,
    at_file,
    at_removal,
    at_request,
    once_gone,
    one_of,
)
from tests.lakes import assert_same, read_lake, read_warehouse
from tests.measuring import measured
from tests.syncs import environ_for, raw_files, read_all, run_cli

THREADS = 12
_SEED = 11
# Pages of steps are blown up to this, with spaces, so that a small corpus makes several parts.
_BODY_BYTES = 400_000
# The same for the objects of the archive.
_OBJECT_BYTES = 50_000
# To be pruned: copies of one small part, so that the removal takes long enough to be hit.
_COPIES = 300
# All models that the corpus has, at another price than the shipped list has.
_OWN_PRICES = "model,input_usd_per_mtok,output_usd_per_mtok\n" + "".join(
    f"{model},1.25,2.5\n" for model in ("gpt-4o", "gpt-4o-2024-05-13", "gpt-4o-mini", "gpt-4.1", "gpt-4-turbo")
)


@dataclass(frozen=True, slots=True)
class Site:
    """Where commands run: two servers of one account in each phase, slow ones to be left alone and fast ones to go on.

    A second server, because requests of a dead process may still be counted at the first.
    """

    corpus: Corpus
    slow: Mapping[int, RunningEmulator]
    fast: Mapping[int, RunningEmulator]
    archive: Path
    made: Path


Prepare = Callable[[Site, Path], None]


@dataclass(frozen=True, slots=True)
class Command:
    """A command line with its stages; `phase` is the state of the server. `alone`: also without its children.

    `keeps_warehouse`: not one byte of that may change. `judge`: what is wrong beside what every command is judged by.
    """

    name: str
    arguments: Sequence[str]
    prepare: Prepare
    stages: Mapping[str, KillPoint]
    phase: int = 0
    alone: bool = False
    keeps_warehouse: bool = False
    judge: Callable[[Site, Path], Iterator[str]] = lambda _site, _data_dir: iter(())

    def line(self, site: Site) -> list[str]:
        """The arguments of the command line."""
        named = site.corpus.thread_ids() if self.arguments[0] == "sync" else []
        named += [str(site.archive)] if self.arguments[0] == "import" else []
        named += ["--thread", forgotten_thread(site)] if self.arguments[0] == "forget" else []
        quiet = ["--quiet"] if self.arguments[0] in ("sync", "import") else []
        return [*self.arguments, *named, *quiet, "--data-dir", "data"]


@contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """The servers, the archive and room for the states that commands start from, in a folder."""
    corpus = generate_corpus(threads=THREADS, seed=_SEED)
    archive = folder / "archive.jsonl"
    if not archive.exists():
        archive.write_bytes(b"".join(_archive_lines(corpus)))
    with ExitStack() as servers:
        slow, fast = (
            {phase: servers.enter_context(running_emulator(corpus, phase=phase)) for phase in (0, 1)} for _ in range(2)
        )
        for server in slow.values():
            server.set_faults(
                [
                    {"fault": "big_body", "bytes": _BODY_BYTES, "route": "list_steps"},
                    {"fault": "latency_ms", "latency_ms": 15.0},
                ]
            )
        yield Site(corpus, slow, fast, archive, folder)


def _archive_lines(corpus: Corpus) -> Iterator[bytes]:
    for thread in corpus.threads_at(0):
        for run in thread.runs:
            for item in (run.item, *run.steps):
                body = item.body_with_content or item.body
                yield body[:-1] + b" " * max(0, _OBJECT_BYTES - len(body)) + body[-1:] + b"\n"


# --- states to start from -------------------------------------------------------------------------------------------


def _nothing(_site: Site, folder: Path) -> None:
    folder.mkdir()


def _synced(site: Site, folder: Path) -> None:
    """What a sync has left, made once for all."""
    made = site.made / "synced"
    if not made.exists():
        made.mkdir()
        line = ["sync", *site.corpus.thread_ids(), "--quiet", "--data-dir", "data", "--concurrency", "4"]
        ended = run_cli(made, *line, environ=environ_for(site.slow[0]))
        assert ended.returncode == 0, ended.stderr
    shutil.copytree(made, folder)


def _landed(site: Site, folder: Path) -> None:
    _synced(site, folder)
    (folder / "data" / "warehouse.duckdb").unlink()


def _half_loaded(site: Site, folder: Path) -> None:
    """A warehouse that has the first part alone."""
    _landed(site, folder)
    parts = raw_files(folder / "data")
    for part in parts[1:]:
        part.rename(part.with_suffix(".away"))
    ended = run_cli(folder, "load", "--data-dir", "data")
    assert ended.returncode == 0, ended.stderr
    for part in parts[1:]:
        part.with_suffix(".away").rename(part)


def _in_many_parts(site: Site, folder: Path) -> None:
    """A warehouse that has, beside what a sync has left, its smallest part under many more names; made once for all."""
    made = site.made / "many"
    if not made.exists():
        _synced(site, made)
        smallest = min(raw_files(made / "data"), key=lambda path: path.stat().st_size)
        for number in range(_COPIES):
            shutil.copy2(smallest, smallest.with_stem(f"{smallest.stem[:-6]}{number + 100_000:06d}"))
        ended = run_cli(made, "load", "--data-dir", "data")
        assert ended.returncode == 0, ended.stderr
    shutil.copytree(made, folder)


def _with_new_prices(site: Site, folder: Path) -> None:
    _synced(site, folder)
    (folder / "data" / "own-prices.csv").write_text(_OWN_PRICES)


# --- what is judged beside the rest ---------------------------------------------------------------------------------


def forgotten_thread(site: Site) -> str:
    """The thread that `forget` is to remove: the one with most runs."""
    return max(site.corpus.threads_at(0), key=lambda thread: len(thread.runs)).item.object_id


def _all_pruned(_site: Site, data_dir: Path) -> Iterator[str]:
    if raw_store(data_dir).list_parts():
        yield "not every raw part is pruned"


def _all_forgotten(site: Site, data_dir: Path) -> Iterator[str]:
    """Whether the thread is anywhere, and whether raw parts still come to the warehouse."""
    store, thread_id = raw_store(data_dir), forgotten_thread(site)
    for part in store.list_parts():
        if thread_id in {walk.certificate.thread_id for walk in store.read_part(part).walks}:
            yield f"{part.name} has walks of the forgotten thread"
    before = measured(data_dir, 0)
    for name in read_sql_files("tables"):
        if thread_id in str(read_all(data_dir, f"select columns(*) from {name}")):
            yield f"the table {name} has the forgotten thread"
    ended = run_cli(data_dir.parent, "load", "--rebuild", "--data-dir", "data")
    if ended.returncode != 0 or measured(data_dir, 0) != before:
        yield f"a rebuild ended with {ended.returncode}, and the warehouse is not what it was: {ended.stderr[-300:]}"


def _lake_is_whole(_site: Site, data_dir: Path) -> Iterator[str]:
    try:
        assert_same(read_lake(data_dir / _LAKE), read_warehouse(warehouse_path(data_dir)))
    except AssertionError as error:
        yield f"the lake is not the warehouse: {str(error)[:300]}"


# --- commands -------------------------------------------------------------------------------------------------------

_NEW = "warehouse.duckdb.new"
_LOG = "warehouse.duckdb.wal"
_PARTS = "raw/*/*"
_LAKE = "lake"


def _sync_stages(requests_of_steps: int, *, parts: int, load: KillPoint) -> Mapping[str, KillPoint]:
    return {
        "start": after_share(0.05, 0.25),
        "runs": at_request("list_runs", of=THREADS),
        "steps": at_request("list_steps", of=requests_of_steps),
        "landing": at_file(_PARTS, of=parts),
        "load": load,
        "end": after_all_requests(share=0.4),
    }


def _load_stages(load: KillPoint, end: KillPoint) -> Mapping[str, KillPoint]:
    return {"start": after_share(0.05, 0.4), "load": load, "end": end}


# A new warehouse is made beside its place; one that is there already gets a log, which is gone when it is written.
_TO_NEW = one_of(at_file(_NEW, share=0.15), at_file(f"{_NEW}.wal"))
_TO_OLD = at_file(_LOG, share=0.2)
COMMANDS = (
    Command("sync", ["sync", "--concurrency", "4"], _nothing, _sync_stages(55, parts=3, load=_TO_NEW)),
    Command(
        "sync --workers 2",
        ["sync", "--concurrency", "4", "--workers", "2"],
        _nothing,
        _sync_stages(55, parts=4, load=_TO_NEW),
        alone=True,
    ),
    Command(
        "a second sync, runs have gone on",
        ["sync", "--concurrency", "4"],
        _synced,
        _sync_stages(3, parts=2, load=_TO_OLD),
        phase=1,
    ),
    Command("load, no warehouse yet", ["load"], _landed, _load_stages(_TO_NEW, once_gone(_NEW))),
    Command("load, half is loaded", ["load"], _half_loaded, _load_stages(_TO_OLD, once_gone(_LOG))),
    Command("load --rebuild", ["load", "--rebuild"], _with_new_prices, _load_stages(_TO_NEW, once_gone(_NEW))),
    Command(
        "prices reprice",
        ["prices", "reprice", "--yes"],
        _with_new_prices,
        # It opens the warehouse twice: to say what would change, and to write.
        _load_stages(at_file(_LOG, share=0.3), once_gone(_LOG, of=2)),
    ),
    Command(
        "import",
        ["import"],
        _nothing,
        {
            "start": after_share(0.05, 0.4),
            "landing": at_file(_PARTS, of=3),
            "load": _TO_NEW,
            "end": once_gone(_NEW),
        },
    ),
    Command(
        "prune",
        ["prune", "--older-than", "0d", "--yes"],
        _in_many_parts,
        {
            "start": after_share(0.05, 0.4),
            "removal": at_removal("raw/*/*.parquet", of=_COPIES),
            "end": at_file("raw/pruned.jsonl", share=0.1),
        },
        keeps_warehouse=True,
        judge=_all_pruned,
    ),
    Command(
        "forget",
        ["forget", "--yes"],
        _synced,
        {
            "start": after_share(0.05, 0.4),
            "parts": at_file(RECORD, share=0.2),
            "load": _TO_NEW,
            "end": once_gone(_NEW),
        },
        judge=_all_forgotten,
    ),
    Command(
        "publish delta",
        ["publish", "delta", f"data/{_LAKE}"],
        _synced,
        {
            "start": after_share(0.05, 0.4),
            "files": at_file(f"{_LAKE}/*/*.parquet", of=6),
            "commits": at_file(f"{_LAKE}/*/_delta_log/*.json", of=16),
        },
        keeps_warehouse=True,
        judge=_lake_is_whole,
    ),
)
