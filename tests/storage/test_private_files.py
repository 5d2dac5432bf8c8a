"""What is written is for its owner only, whatever the umask; what dead processes left goes, and nothing else does."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.emulator import RunningEmulator, generate_corpus, running_emulator
from pipeline.raw.parts import PartName
from pipeline.raw.places import raw_store
from pipeline.report import Scope, write_report
from pipeline.storage.private_files import aside_of, sweep
from pipeline.warehouse.database import warehouse_path
from tests.landed import Listing, instant, land, run_of
from tests.syncs import run_cli, sync_here

PART = "sync_9-0-000001.parquet"


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Everything that is made without a thought can be read and written by everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture(scope="module")
def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process.pid


@pytest.fixture
def server() -> Iterator[RunningEmulator]:
    with running_emulator(generate_corpus(threads=3)) as server:
        yield server


def left_by(pid: int, path: Path, content: bytes = b"half") -> Path:
    """What a process with this id would have left of a file."""
    left = path.with_name(aside_of(path).name.replace(f".{os.getpid()}-", f".{pid}-"))
    left.write_bytes(content)
    return left


# --- rights ---------------------------------------------------------------------------------------------------------


def test_nothing_that_a_sync_and_a_report_write_can_be_read_by_others(
    server: RunningEmulator, tmp_path: Path, open_umask: None
) -> None:
    data_dir = tmp_path / "deep" / "er"

    sync_here(server, data_dir)
    write_report(warehouse_path(data_dir), data_dir / "report.html", Scope(), now=instant(0))

    modes = {path: oct(stat.S_IMODE(path.stat().st_mode)) for path in (tmp_path / "deep", *data_dir.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {"0o700"}
    assert {mode for path, mode in modes.items() if path.is_file()} == {"0o600"}
    assert {path.name for path in modes} >= {"raw", "warehouse.duckdb", "warehouse.duckdb.lock", "report.html"}


def test_a_folder_that_is_there_stays_as_its_owner_made_it(tmp_path: Path, open_umask: None) -> None:
    (tmp_path / "data").mkdir(mode=0o750)

    land(raw_store(tmp_path / "data"), Listing(0, [run_of("run_1")]))

    assert oct(stat.S_IMODE((tmp_path / "data").stat().st_mode)) == "0o750"
    assert oct(stat.S_IMODE((tmp_path / "data" / "raw" / "main").stat().st_mode)) == "0o700"


def test_nothing_is_written_through_a_link_that_somebody_laid(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"precious")
    part = tmp_path / "raw" / "main" / "sync_1-0-000001.parquet"
    part.parent.mkdir(parents=True)
    aside_of(part).symlink_to(tmp_path / "other")

    with pytest.raises(Exception, match="cannot write raw data"):
        land(raw_store(tmp_path), Listing(0, [run_of("run_1")]))

    assert (tmp_path / "other").read_bytes() == b"precious"


# --- leftovers ------------------------------------------------------------------------------------------------------


def test_only_what_dead_processes_of_this_machine_were_writing_is_swept(tmp_path: Path, dead_pid: int) -> None:
    mine = aside_of(tmp_path / PART)
    mine.write_bytes(b"half")
    dead = left_by(dead_pid, tmp_path / PART)
    kept = {
        mine.name,
        f"{PART}.{dead_pid}-another-machine.writing",
        f"{PART}.writing",
        f"{PART}.notes-of-mine.writing",
        "essay.writing",
        PART,
        f"{PART}.damaged",
    }
    for name in kept:
        (tmp_path / name).write_bytes(b"half")
    link = left_by(dead_pid, tmp_path / "other.parquet")
    link.unlink()
    link.symlink_to(tmp_path / PART)

    swept = sweep(tmp_path)

    assert swept == [dead]
    assert {path.name for path in tmp_path.iterdir()} == kept | {link.name}


def test_a_sync_sweeps_before_it_begins(server: RunningEmulator, tmp_path: Path, dead_pid: int) -> None:
    folders = [tmp_path / "raw" / "main", tmp_path / "flat" / "main"]
    for folder in folders:
        folder.mkdir(parents=True)
    left = [left_by(dead_pid, folder / PART) for folder in folders]

    sync_here(server, tmp_path)

    assert [path.exists() for path in left] == [False, False]


def test_a_load_and_a_prune_sweep_as_well(tmp_path: Path, dead_pid: int) -> None:
    store = raw_store(tmp_path / "data")
    path = store.path(land(store, Listing(0, [run_of("run_1")])))
    left = left_by(dead_pid, path)
    assert run_cli(tmp_path, "load").returncode == 0
    assert not left.exists()
    left = left_by(dead_pid, path)

    assert run_cli(tmp_path, "prune", "--older-than", "900w", "--yes").returncode == 0

    assert not left.exists()
    assert store.list_parts() == [PartName("main", "sync_1-0-000001")]


def test_a_report_sweeps_what_an_earlier_one_left_of_itself(
    server: RunningEmulator, tmp_path: Path, dead_pid: int
) -> None:
    sync_here(server, tmp_path)
    left = left_by(dead_pid, tmp_path / "report.html")
    other = left_by(dead_pid, tmp_path / "others.html")

    write_report(warehouse_path(tmp_path), tmp_path / "report.html", Scope(), now=instant(0))

    assert (left.exists(), other.exists()) == (False, True)
