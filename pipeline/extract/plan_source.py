"""What a sync that loads nothing plans from: the warehouse, if there is one, and the parts that are not in it yet."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from pipeline.flatten.cache import FlatStore
from pipeline.flatten.part_frames import Frames, frames_of
from pipeline.raw.parts import Part, PartName, RawStore
from pipeline.sqlfiles.duck import Connection, attached
from pipeline.threads.selection import Shard
from pipeline.warehouse.database import open_new
from pipeline.warehouse.load import find_new_parts, load_flat

# What says which threads there are, how far each is covered and what is sealed of it.
_PLANNED_FROM = ("walks", "runs", "syncs", "plans", "loaded_parts", "tool_calls")
_NEEDLESS = "instructions, tools, metadata, extra"
_BATCH = 64
# The rule of threads.Shard, and threads of connected agents, which any shard may have to visit.
_MINE = """
(cast('0x' || sha256(coalesce(thread_id, ''))[:16] as ubigint) % $count + 1 = $number
    or thread_id in (select child_thread_id from loaded.tool_calls where source = $source))
"""


@dataclass(frozen=True, slots=True)
class PlanSource:
    """Where plans of one source are made from; with a shard, only what concerns its threads is looked at."""

    store: RawStore
    warehouse: Path
    source: str
    shard: Shard | None = None

    @contextmanager
    def open(self) -> Iterator[Path]:
        """A warehouse file to plan from, inside the block.

        It is the warehouse itself (which need not be there) while that holds all parts, else a temporary one with the
        threads, runs and walks of both, and no steps.
        """
        new = [part for part in find_new_parts(self.store, self.warehouse) if part.source == self.source]
        if not new:
            yield self.warehouse
            return
        with tempfile.TemporaryDirectory(prefix="plan-") as folder:
            path = Path(folder) / "warehouse.duckdb"
            with open_new(path, wait_s=0.0) as connection:
                if self.warehouse.exists():
                    self._take_over(connection)
                for start in range(0, len(new), _BATCH):
                    load_flat(connection, self._read(new[start : start + _BATCH]))
            yield path

    def _take_over(self, connection: Connection) -> None:
        """Copy what plans are made from."""
        shard = self.shard or Shard(1, 1)
        parameters = {"source": self.source, "number": shard.number, "count": shard.count}
        with attached(connection, self.warehouse, "loaded"):
            for table, columns, where in (
                ("syncs", "columns(*)", "true"),
                ("threads", "columns(*)", _MINE),
                ("walks", "columns(*)", _MINE),
                ("runs", f"columns(* exclude ({_NEEDLESS}))", _MINE),
                ("tool_calls", "columns(*)", "child_thread_id is not null"),
            ):
                wanted = parameters if where == _MINE else {"source": self.source}
                connection.execute(
                    f"insert into {table} by name select {columns} from loaded.{table}"
                    f" where source = $source and {where}",
                    wanted,
                )

    def _read(self, parts: Iterable[PartName]) -> Iterator[Frames]:
        flat = FlatStore(self.store)
        nothing = {name: frame.clear() for name, frame in frames_of(_empty_part()).items()}
        for part in parts:
            frames = flat.read(part, names=_PLANNED_FROM) or frames_of(self.store.read_part(part))
            kept = {name: frames[name] for name in _PLANNED_FROM}
            kept["tool_calls"] = kept["tool_calls"].filter(pl.col("child_thread_id").is_not_null())
            yield {**nothing, **kept}


def _empty_part() -> Part:
    return Part(PartName("", "--"), "", "", 0, datetime(1970, 1, 1, tzinfo=UTC), [], [], [])
