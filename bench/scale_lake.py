"""What publishing one day takes beside all that a lake already holds."""

import tempfile
from pathlib import Path

import polars as pl

from bench.scale_runs import FEW_THREADS, Pair, emulated, pair_of_runs, run, size_of_lake, sync

# Copies of the small account that the lake holds beside it, under ids of their own.
FEW_COPIES, MANY_COPIES = 20, 400
_COPIES_PER_FILE = 20
_COPIED = ("runs", "walks", "run_steps", "tool_calls", "cost_ledger")
_IDS = ("thread_id", "run_id", "step_id", "walk_id", "tool_call_id", "part")
_TURNS = 20
_COMMAND = ("publish", "delta", "lake", "--data-dir", "data")


def measure_publishing() -> Pair:
    """Publishing what one sync of an account has changed, into lakes with so many steps of other accounts."""
    sizes, taken = [], []
    for copies in (FEW_COPIES, MANY_COPIES):
        with tempfile.TemporaryDirectory(prefix="bench-lake-") as name:
            folder = Path(name)
            with emulated(FEW_THREADS, phase=0) as base_url:
                sync(folder, "data", base_url)
            run(folder, _COMMAND)
            _grow(folder / "lake", copies)
            sizes.append(size_of_lake(folder / "lake"))
            with emulated(FEW_THREADS, phase=1) as base_url:
                sync(folder, "data", base_url)
            taken.append(run(folder, _COMMAND))
    return pair_of_runs(_COMMAND, (sizes[0], sizes[1]), taken)


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
