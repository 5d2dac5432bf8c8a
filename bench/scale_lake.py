"""What publishing takes beside all that a lake holds already: an account that is new to it, a day of a known one."""

import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bench.measure import Measurement
from bench.publishing import Parts, publish_in_parts
from bench.scale_runs import FEW_THREADS, REPEATS, Pair, emulated, pair_of_runs, run, size_of_lake, sync

# Copies of the small account that the lake holds beside it, under ids of their own.
FEW_COPIES, MANY_COPIES = 20, 400
_COPIES_PER_FILE = 20
_COPIED = ("runs", "walks", "run_steps", "tool_calls", "cost_ledger")
_IDS = ("thread_id", "run_id", "step_id", "walk_id", "tool_call_id", "part")
_TURNS = 20
_COMMAND = ("publish", "delta", "lake", "--data-dir")
# Of the emulator: what is published beside it has other threads.
_OTHER_SEED = 11


@dataclass(frozen=True)
class Publishing:
    """Publishing one account into lakes of two sizes: as a command, and in its parts."""

    command: Pair
    few: Parts
    many: Parts

    def each(self, name: str) -> float:
        """Seconds that each further step of the lake adds."""
        before, after = getattr(self.few, name), getattr(self.many, name)
        return max(0.0, float(after - before)) / (self.command.sizes[1] - self.command.sizes[0])


def measure_publishing() -> dict[str, Publishing]:
    """An account that the lake has nothing of, and what one sync of one that it has has changed.

    The lakes have so many steps of other accounts.
    """
    sizes: list[int] = []
    taken: dict[str, list[tuple[Measurement, Parts]]] = {"new": [], "known": []}
    for copies in (FEW_COPIES, MANY_COPIES):
        with tempfile.TemporaryDirectory(prefix="bench-lake-") as name:
            folder = Path(name)
            with emulated(FEW_THREADS, phase=0) as base_url:
                sync(folder, "known", base_url)
            with emulated(FEW_THREADS, seed=_OTHER_SEED) as base_url:
                sync(folder, "new", base_url)
            run(folder, [*_COMMAND, "known"])
            _grow(folder / "lake", copies)
            sizes.append(size_of_lake(folder / "lake"))
            taken["new"].append(_publish(folder, "new"))
            with emulated(FEW_THREADS, phase=1) as base_url:
                sync(folder, "known", base_url)
            taken["known"].append(_publish(folder, "known"))
    return {
        name: Publishing(
            pair_of_runs([*_COMMAND, name], (sizes[0], sizes[1]), [few[0], many[0]]), few=few[1], many=many[1]
        )
        for name, (few, many) in taken.items()
    }


def _publish(folder: Path, data_dir: str) -> tuple[Measurement, Parts]:
    """What the command takes, and what its parts take into other lakes that are the same (median of three)."""
    taken = []
    for _ in range(REPEATS):
        shutil.copytree(folder / "lake", folder / "copy")
        taken.append(publish_in_parts(folder / data_dir, folder / "copy"))
        shutil.rmtree(folder / "copy")
    parts = Parts(
        statistics.median(each.change_s for each in taken),
        statistics.median(each.commit_s for each in taken),
        taken[0].body_bytes,
    )
    return run(folder, [*_COMMAND, data_dir]), parts


def _grow(lake: Path, copies: int) -> None:
    """Append so many copies of the lake's own rows; under ids of their own."""
    from deltalake import DeltaTable, write_deltalake

    for table in _COPIED:
        rows = pl.scan_delta(str(lake / table)).collect()
        ids = [name for name in _IDS if name in rows.columns and rows[name].null_count() < rows.height]
        for start in range(0, copies, _COPIES_PER_FILE):
            numbers = range(start, min(copies, start + _COPIES_PER_FILE))
            more = pl.concat([rows.with_columns(_renamed(name, number) for name in ids) for number in numbers])
            write_deltalake(DeltaTable(str(lake / table)), more, mode="append")


def _renamed(name: str, number: int) -> pl.Expr:
    """Another id of the same kind: its signs turned round, so that files overlap in what ids they have."""
    kind = pl.col(name).str.extract("^(.*_)").fill_null("")
    drawn = pl.col(name).str.strip_prefix(kind)
    turns = 1 + number % (_TURNS - 1)
    turned = pl.concat_str(kind, drawn.str.slice(turns), drawn.str.slice(0, turns), pl.lit(str(number)))
    return turned.alias(name)
