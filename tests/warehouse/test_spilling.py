"""What reads all of a warehouse stays in bounded memory; what DuckDB puts aside meanwhile is its reader's and goes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.warehouse.database import open_for_reading, open_for_writing
from pipeline.warehouse.spilling import MEMORY_VARIABLE, sweep_spilled

# Larger than what a reader may take.
_LARGE = (
    "create temp table large as select range as number, repeat(md5(cast(range as varchar)), 8) as words from range({})"
)
_STEPS = 1_500_000
_READER = """
import os, sys
from pathlib import Path
from pipeline.warehouse.database import open_for_reading
with open_for_reading(Path(sys.argv[1]), bounded=True):
    os._exit(0)
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    path = tmp_path / "warehouse.duckdb"
    with open_for_writing(path, wait_s=1.0):
        pass
    return path


def left_beside(warehouse: Path) -> set[str]:
    return {path.name for path in warehouse.parent.iterdir()} - {warehouse.name, f"{warehouse.name}.lock"}


def test_what_does_not_fit_lies_in_a_folder_of_the_reader_s_until_it_has_read(warehouse: Path) -> None:
    with open_for_reading(warehouse, bounded=True) as connection:
        connection.execute(_LARGE.format(_STEPS))
        [folder] = left_beside(warehouse)
        spilled = list((warehouse.parent / folder).iterdir())
        [(rows,)] = connection.execute("select count(distinct words) from large").fetchall()

    assert (rows, spilled != []) == (_STEPS, True)
    assert folder.startswith("warehouse.duckdb.spill.")
    assert left_beside(warehouse) == set()


def test_what_a_reader_that_died_put_aside_the_next_writer_removes_but_not_a_living_one_s(warehouse: Path) -> None:
    subprocess.run([sys.executable, "-c", _READER, warehouse], check=True, timeout=60)
    died = left_beside(warehouse)
    assert len(died) == 1

    with open_for_reading(warehouse, bounded=True):
        [living] = left_beside(warehouse) - died
        sweep_spilled(warehouse)
        assert left_beside(warehouse) == {living}


def test_a_limit_that_is_none_or_too_small_is_named_with_the_setting(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("much", "1MB"):
        monkeypatch.setenv(MEMORY_VARIABLE, limit)
        with (
            pytest.raises(ConfigurationError, match=MEMORY_VARIABLE),
            open_for_reading(warehouse, bounded=True) as connection,
        ):
            connection.execute(_LARGE.format(_STEPS))
        assert left_beside(warehouse) == set()


def test_where_no_folder_can_be_made_it_is_read_all_the_same(warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(30, "Read-only file system", os.fspath(path))

    monkeypatch.setattr(Path, "mkdir", refuse)

    with open_for_reading(warehouse, bounded=True) as connection:
        assert connection.execute("select count(*) from runs").fetchall() == [(0,)]
