"""Raw parts that are loaded may go; then nothing is rebuilt without them unless somebody says so."""

import json
import os
import pty
import shutil
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from polars.testing import assert_frame_equal

from pipeline.errors import ConfigurationError, WarehouseLockedError
from pipeline.flatten.cache import FlatStore
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.places import raw_store
from pipeline.raw.prune_record import forget_pruned, read_imported, read_pruned
from pipeline.storage.writer_lock import only_writer
from pipeline.verbs.prune import PruneRequest, prune_raw
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts, rebuild
from pipeline.warehouse.loaded_parts import find_prunable, prune_parts
from tests.landed import Listing, instant, land, run_of, step_of
from tests.syncs import PATIENCE_S, environ_for, read_all, read_tables, run_cli

OLD, YOUNG = "sync_1-0-000001", "sync_2-0-000001"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "data"
    store = raw_store(folder)
    land(store, Listing(0, [run_of("run_1")]), Listing(1, [step_of("step_1")], run_id="run_1"), sync_id="sync_1")
    land(store, Listing(60, [run_of("run_2")]), Listing(61, [step_of("step_2")], run_id="run_2"), sync_id="sync_2")
    load_new_parts(store, warehouse_path(folder), wait_s=0)
    land(store, Listing(2, [run_of("run_3")]), sync_id="sync_3")
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> RawStore:
    """Two loaded parts, one an hour younger than the other, and one that is not loaded."""
    return raw_store(shutil.copytree(made, tmp_path / "data"))


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    return warehouse_path(tmp_path / "data")


def prune(store: RawStore, warehouse: Path, *, before: int = 30) -> list[str]:
    pruned = prune_parts(store, warehouse, before=instant(before), now=instant(120), wait_s=0)
    return [part.part for part in pruned.parts]


def names(store: RawStore) -> list[str]:
    return [part.name for part in store.list_parts()]


def test_only_parts_that_are_loaded_and_old_enough_go(store: RawStore, warehouse: Path) -> None:
    assert prune(store, warehouse) == [OLD]

    assert names(store) == [YOUNG, "sync_3-0-000001"]
    assert [(part.part, part.pruned_at) for part in read_pruned(store)] == [(OLD, instant(120))]


def test_pruning_changes_nothing_in_the_warehouse_and_loading_goes_on(
    store: RawStore, warehouse: Path, tmp_path: Path
) -> None:
    before = read_tables(tmp_path / "data")

    prune(store, warehouse, before=90)

    after = read_tables(tmp_path / "data")
    for table, frame in before.items():
        assert_frame_equal(after[table], frame)
    assert load_new_parts(store, warehouse, wait_s=0) == 1
    assert read_all(tmp_path / "data", "select run_id from runs order by all") == [("run_1",), ("run_2",), ("run_3",)]


def test_a_rebuild_after_pruning_is_refused_and_leaves_the_warehouse(
    store: RawStore, warehouse: Path, tmp_path: Path
) -> None:
    prune(store, warehouse)

    with pytest.raises(
        ConfigurationError, match=rf"1 raw part that were pruned or are gone \({OLD}\).*--forget-pruned"
    ):
        rebuild(store, warehouse, wait_s=0)

    assert read_all(tmp_path / "data", "select run_id from runs order by all") == [("run_1",), ("run_2",)]


def test_a_rebuild_is_refused_too_where_a_loaded_part_was_removed_by_hand(store: RawStore, warehouse: Path) -> None:
    store.path(PartName("main", YOUNG)).unlink()

    with pytest.raises(ConfigurationError, match=YOUNG):
        rebuild(store, warehouse, wait_s=0)


def test_without_its_warehouse_what_is_left_of_the_raw_parts_is_not_loaded_as_if_it_were_all(
    store: RawStore, warehouse: Path
) -> None:
    prune(store, warehouse)
    warehouse.unlink()

    with pytest.raises(ConfigurationError, match="keep or restore the warehouse"):
        load_new_parts(store, warehouse, wait_s=0)

    assert not warehouse.exists()


def test_who_does_without_pruned_parts_is_not_asked_again(store: RawStore, warehouse: Path, tmp_path: Path) -> None:
    prune(store, warehouse)

    assert rebuild(store, warehouse, wait_s=0, without_pruned=True) == 2
    assert rebuild(store, warehouse, wait_s=0) == 2

    assert read_all(tmp_path / "data", "select run_id from runs order by all") == [("run_2",), ("run_3",)]


def test_a_pruned_part_that_comes_back_is_there_again(store: RawStore, warehouse: Path, tmp_path: Path) -> None:
    kept = store.path(PartName("main", OLD)).read_bytes()
    prune(store, warehouse)
    store.path(PartName("main", OLD)).write_bytes(kept)

    assert read_pruned(store) == []
    assert rebuild(store, warehouse, wait_s=0) == 3


def test_what_goes_is_written_down_before_anything_is_removed(store: RawStore, warehouse: Path) -> None:
    # No file: the first removal fails.
    FlatStore(store).path(PartName("main", OLD)).mkdir(parents=True)

    with pytest.raises(ConfigurationError, match="cannot prune"):
        prune(store, warehouse)

    assert OLD in names(store)
    store.path(PartName("main", OLD)).unlink()
    assert [part.part for part in read_pruned(store)] == [OLD]


def test_nothing_is_pruned_while_another_process_loads(store: RawStore, warehouse: Path) -> None:
    with only_writer(warehouse, wait_s=0), pytest.raises(WarehouseLockedError):
        prune(store, warehouse)

    assert len(names(store)) == 3


def test_without_a_warehouse_nothing_can_be_pruned(store: RawStore, warehouse: Path) -> None:
    warehouse.unlink()

    found = find_prunable(store, warehouse, before=instant(90))

    assert (found.parts, found.waiting) == ([], 3)


def test_the_record_is_readable_by_its_owner_only(store: RawStore, warehouse: Path) -> None:
    before = os.umask(0)
    try:
        prune(store, warehouse)
    finally:
        os.umask(before)

    assert oct(stat.S_IMODE((store.folder / "pruned.jsonl").stat().st_mode)) == "0o600"


def test_when_everything_is_gone_who_does_without_it_begins_anew(
    store: RawStore, warehouse: Path, tmp_path: Path
) -> None:
    store.path(PartName("main", "sync_3-0-000001")).unlink()
    prune(store, warehouse, before=90)
    kept = run_cli(tmp_path, "load", "--rebuild", "--forget-pruned")
    assert (kept.returncode, warehouse.exists()) == (2, True)
    warehouse.unlink()

    ended = run_cli(tmp_path, "load", "--rebuild", "--forget-pruned")

    assert (ended.returncode, read_pruned(store)) == (0, [])


def test_what_a_shard_pruned_before_it_was_brought_here_is_missed_by_name(
    store: RawStore, warehouse: Path, tmp_path: Path
) -> None:
    prune(store, warehouse)

    ended = run_cli(tmp_path, "load", "data", "--data-dir", "all")

    assert (ended.returncode, f"pruned in another folder before they came here ({OLD})" in ended.stderr) == (4, True)
    assert read_all(tmp_path / "all", "select run_id from runs order by all") == [("run_2",), ("run_3",)]


def make_older(warehouse: Path) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("update schema_version set version = 1, pipeline_version = '0.0.7'")


def test_of_a_warehouse_of_an_older_schema_it_is_said_what_a_rebuild_would_lack(
    store: RawStore, warehouse: Path, tmp_path: Path
) -> None:
    prune(store, warehouse)
    make_older(warehouse)

    with pytest.raises(ConfigurationError) as caught:
        load_new_parts(store, warehouse, wait_s=0)

    assert "would lack what it has from 1 raw part that were pruned" in str(caught.value)
    assert "query it with run-steps-pipeline 0.0.7" in str(caught.value)
    assert "load --rebuild --forget-pruned" in str(caught.value)
    examined = run_cli(tmp_path, "doctor", "--offline")
    assert (examined.returncode, "query it with run-steps-pipeline 0.0.7" in examined.stdout) == (5, True)
    assert rebuild(store, warehouse, wait_s=0, without_pruned=True) == 2


def test_of_a_warehouse_that_cannot_be_opened_it_is_said_too(store: RawStore, warehouse: Path) -> None:
    prune(store, warehouse)
    warehouse.write_bytes(b"no database" * 1000)

    with pytest.raises(ConfigurationError, match=r"would lack.*restore a copy.*--forget-pruned"):
        load_new_parts(store, warehouse, wait_s=0)


def test_an_import_is_known_also_when_its_parts_were_pruned(tmp_path: Path) -> None:
    (tmp_path / "dump.jsonl").write_text(json.dumps(run_of("run_1", created_at=1_700_000_000)))
    assert run_cli(tmp_path, "import", "dump.jsonl", "--quiet").returncode == 0
    data, later = tmp_path / "data", datetime.now(UTC)
    prune_parts(raw_store(data), warehouse_path(data), before=later, now=later, wait_s=0)

    again = run_cli(tmp_path, "import", "dump.jsonl", "--json")

    assert json.loads(again.stdout)["files_known"] == 1
    assert read_imported(raw_store(data), "another") == []
    forget_pruned(raw_store(data))
    assert read_imported(raw_store(data), "archive") == []


# --- the verb -------------------------------------------------------------------------------------------------------


def prune_all(folder: Path, *, as_json: bool = False, dry_run: bool = False, yes: bool = False) -> None:
    request = PruneRequest(timedelta(0), instant(120), dry_run=dry_run, yes=yes, lock_wait_s=0)
    prune_raw(folder / "data", request, as_json=as_json)


def test_a_dry_run_says_what_would_go_and_removes_nothing(
    store: RawStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prune_all(tmp_path, dry_run=True)

    said = capsys.readouterr().out
    assert said.startswith("would remove 2 raw parts (0.0 MiB, 2026-11-20 to 2026-11-20) from ")
    assert "1 raw part not loaded yet: kept" in said
    assert len(names(store)) == 3


@pytest.mark.parametrize("as_json", [False, True])
def test_nobody_to_ask_is_refused(store: RawStore, tmp_path: Path, as_json: bool) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be rebuilt from raw parts any more.* add --yes"):
        prune_all(tmp_path, as_json=as_json)

    assert len(names(store)) == 3


def test_yes_says_too_that_the_warehouse_cannot_be_rebuilt_any_more(
    store: RawStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prune_all(tmp_path, yes=True)

    said = capsys.readouterr().out
    assert said.startswith("removed 2 raw parts ")
    assert "cannot be rebuilt from raw parts any more: keep a copy of it" in said
    assert names(store) == ["sync_3-0-000001"]


def test_yes_prunes_without_asking_and_a_second_time_finds_nothing(
    store: RawStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run_cli(tmp_path, "prune", "--older-than", "0h", "--yes", "--json")
    prune_all(tmp_path, yes=True)

    outcome = json.loads(ended.stdout)
    assert (outcome["pruned"], outcome["parts"], outcome["waiting_parts"]) == (True, 2, 1)
    assert capsys.readouterr().out.startswith("nothing to prune")
    assert names(store) == ["sync_3-0-000001"]


@pytest.mark.parametrize(("answer", "left"), [("y", 1), ("", 3)])
def test_on_a_terminal_it_says_what_that_means_and_asks(
    store: RawStore, tmp_path: Path, answer: str, left: int
) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipeline", "prune", "--older-than", "0h"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environ_for(), stdin=theirs, stdout=subprocess.PIPE, text=True
    ) as process:
        os.write(ours, f"{answer}\n".encode())
        said, _ = process.communicate(timeout=PATIENCE_S)
    os.close(ours)
    os.close(theirs)

    assert "cannot be rebuilt from raw parts any more" in said
    assert "A later version of this program may need to rebuild" in said
    assert len(names(store)) == left


def test_what_is_no_age_is_refused(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "prune", "--older-than", "soon", "--yes")

    assert (ended.returncode, "--older-than 'soon'" in ended.stderr) == (2, True)


def test_an_age_before_all_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="before all time"):
        prune_raw(tmp_path, PruneRequest(timedelta(weeks=999_999), instant(0)), as_json=False)
