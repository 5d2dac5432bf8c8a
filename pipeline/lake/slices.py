"""What a batch of parts touches of a lake: brought into a warehouse in memory, where a load's statements change it."""

from dataclasses import dataclass

import polars as pl

from pipeline.flatten.part_frames import Frames
from pipeline.lake.delta_tables import key_of
from pipeline.lake.store import PART_TABLES, WITH_PART, Snapshot
from pipeline.lake.table_writes import Change
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, has_rows, read_frame, register, unregister

_RUN = ["source", "thread_id", "run_id"]
_OF_THREADS = ("walks", "runs", "rejects", "threads")
_OF_RUNS = ("run_steps", "tool_calls", "code_interpreter_outputs", "file_search_results", "cost_ledger")
_OF_STEPS = ("tool_calls", "code_interpreter_outputs", "file_search_results")

# Of parts that somebody has begun to publish and not ended: they are made anew from the parts themselves.
_FORGET_BEGUN = (
    "create or replace temp table begun_walks as select walk_id from walks"
    " where part in (select part from new_loaded_parts)",
    "delete from walks where walk_id in (select walk_id from begun_walks)",
    "delete from run_steps where walk_id in (select walk_id from begun_walks)",
    "delete from runs where walk_id in (select walk_id from begun_walks)",
    "delete from rejects where walk_id in (select walk_id from begun_walks)",
    *(
        f"delete from {table} where (source, thread_id, run_id, step_id)"
        " not in (select (source, thread_id, run_id, step_id) from run_steps)"
        for table in _OF_STEPS
    ),
    "delete from billed_usage where part in (select part from new_loaded_parts)",
)


@dataclass(frozen=True, slots=True)
class Touched:
    """Threads (source, thread_id), their runs (and run_id) and sources that a batch says anything about.

    Rows of `syncs` and of bills belong to a source as a whole.
    """

    threads: pl.DataFrame
    runs: pl.DataFrame
    sources: pl.Series
    has_syncs: bool
    has_bills: bool

    def overlaps(self, other: "Touched") -> bool:
        """Whether what becomes of one batch may depend on the other."""
        if self._is_of_sources and other._is_of_sources and not set(self.sources).isdisjoint(other.sources):
            return True
        return not self.threads.join(other.threads, on=self.threads.columns, how="semi").is_empty()

    @property
    def _is_of_sources(self) -> bool:
        return self.has_syncs or self.has_bills


def touched_by(batch: Frames) -> Touched:
    """What the frames of a batch (as `frames_of` gives them) name."""
    threads = [batch[name].select("source", "thread_id") for name in ("walks", "plans")]
    runs = [batch[name].select(*_RUN) for name in ("walks", "runs", "run_steps")]
    return Touched(
        pl.concat(threads).drop_nulls().unique(),
        pl.concat(runs).drop_nulls().unique(),
        pl.concat([batch[name]["source"] for name in ("loaded_parts", "syncs", "billed_usage")]).unique(),
        has_syncs=not batch["syncs"].is_empty(),
        has_bills=not batch["billed_usage"].is_empty(),
    )


def read_slices(snapshot: Snapshot, touched: Touched) -> Frames:
    """The rows of each table of parts that the load of such a batch reads or changes."""
    slices = {name: _read_of(snapshot.scan(name), touched.threads) for name in _OF_THREADS}
    known = pl.concat([slices[name].select(*_RUN) for name in ("walks", "runs")]).drop_nulls().unique()
    runs = touched.runs.join(known, on=_RUN, how="semi")
    for name in _OF_RUNS:
        # Of new runs there is nothing to find; to look for it would read all ids.
        slices[name] = snapshot.scan(name).head(0).collect() if runs.is_empty() else _read_of(snapshot.scan(name), runs)
    # Whether one of a step still speaks of something is seen from its run's rows.
    of_steps = pl.col("resource") == "steps"
    rejects = slices["rejects"]
    slices["rejects"] = pl.concat([rejects.filter(~of_steps), rejects.filter(of_steps).join(runs, on=_RUN, how="semi")])
    of_source = pl.col("source").is_in(touched.sources.to_list())
    slices["syncs"] = snapshot.scan("syncs").filter(of_source).collect()
    slices["billed_usage"] = snapshot.scan("billed_usage").filter(of_source & touched.has_bills).collect()
    slices["loaded_parts"] = snapshot.scan("loaded_parts").head(0).collect()
    return slices


def put_slices(connection: Connection, slices: Frames, batch: Frames) -> None:
    """Fill a warehouse in memory with slices, without what they have of the batch itself; `lake_TABLE` keeps them."""
    for name, frame in slices.items():
        _copy(connection, f"lake_{name}", frame)
        if not frame.is_empty():
            connection.execute(f"insert into {name} by name select columns(*) from lake_{name}")
    parts = batch["loaded_parts"].select("part")
    if all(slices[name].join(parts, on="part", how="semi").is_empty() for name in WITH_PART):
        return
    _copy(connection, "new_loaded_parts", parts)
    for statement in _FORGET_BEGUN:
        connection.execute(statement)
    connection.execute("drop table temp.new_loaded_parts")


def read_changes(connection: Connection) -> dict[str, Change]:
    """What has become other in the warehouse in memory than the lake has it, by table in the order of commits."""
    return {name: read_change(connection, name) for name in PART_TABLES}


def read_change(connection: Connection, name: str) -> Change:
    """The difference between a table and `lake_TABLE`."""
    table = read_sql_files("tables")[name]
    # As the lake has it: JSON is text there.
    columns = ", ".join(
        f"cast({column} as varchar) as {column}" if sql == "json" else column for column, sql in table.columns.items()
    )
    key = ", ".join(key_of(table))
    is_same = " and ".join(f"before.{column} is not distinct from now.{column}" for column in key_of(table))
    is_there = f"exists (select 1 from lake_{name} as before where {is_same})"
    if not has_rows(connection, f"lake_{name}"):
        everything = read_frame(connection, f"select {columns} from main.{name}")
        return Change(everything, everything.select(key_of(table)).clear(), only_new=True)
    rows = f"select {columns} from main.{name} as now where"
    # Only rows whose key the lake has are compared: of long texts that takes as long as loading them.
    changed = read_frame(connection, f"{rows} {is_there} except all select {columns} from lake_{name}")
    new = read_frame(connection, f"{rows} not {is_there}")
    deletes = read_frame(connection, f"select {key} from lake_{name} except select {key} from main.{name}")
    return Change(pl.concat([changed, new]), deletes, only_new=deletes.is_empty() and changed.is_empty())


def put_whole(connection: Connection, name: str, frame: pl.DataFrame) -> None:
    """Keep a whole table of the lake as `lake_TABLE`, to be compared."""
    _copy(connection, f"lake_{name}", frame)


def _copy(connection: Connection, name: str, frame: pl.DataFrame) -> None:
    register(connection, "copied", frame)
    connection.execute(f"create or replace temp table {name} as select columns(*) from copied")
    unregister(connection, "copied")


def _read_of(rows: pl.LazyFrame, owners: pl.DataFrame) -> pl.DataFrame:
    """Rows of these owners.

    First by value: Parquet is then read column by column and only the rows that pass are made. Of a join Polars 2.1
    makes every row, also in its streaming engine.
    """
    near = [pl.col(name).is_in(owners[name].unique().to_list()) for name in owners.columns]
    return rows.filter(near).collect(engine="streaming").join(owners, on=owners.columns, how="semi")
