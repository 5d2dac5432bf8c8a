"""The lake: the warehouse's tables as Delta tables in one folder or bucket, read in one state and written from it."""

import platform
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from pipeline.errors import ConfigurationError
from pipeline.lake.delta_tables import (
    APPLICATION,
    PARTITION,
    LakeConflictError,
    add_missing_columns,
    create_table,
    delta_library,
    find_table,
    key_of,
    naming_place,
    noticing_conflicts,
    shorten_log,
)
from pipeline.lake.table_writes import Change, bring_together, write_change
from pipeline.program import command
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.schema import SCHEMA_VERSION
from pipeline.storage.buckets import is_bucket

if TYPE_CHECKING:
    from deltalake import DeltaTable

_NEWEST_READER = 1
# Any other sign deltalake writes as in a URL (`%20`), and Polars then looks for a file of that name.
_UNLUCKY = re.compile(r"[^\w./~+=,@:;!$&'()*-]", re.ASCII)
_OPENED_AT_ONCE = 8
# In the order of their commits: `walks` says that parts have begun, `loaded_parts` that they are whole.
PART_TABLES = (
    "walks",
    "run_steps",
    "tool_calls",
    "code_interpreter_outputs",
    "file_search_results",
    "rejects",
    "runs",
    "threads",
    "syncs",
    "billed_usage",
    "cost_ledger",
    "loaded_parts",
)
# Their rows say which part they are from.
WITH_PART = ("walks", "billed_usage")
# A transaction of every commit that removes forgotten threads, and the first and the last table that get one.
FORGETTING = f"{APPLICATION}/forgetting"
FORGOTTEN_FIRST = "code_interpreter_outputs"
FORGOTTEN_LAST = "threads"


# By table its id, which no other table has, and its version.
LakeState = Mapping[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class LakeFile:
    """A live Parquet file of a table: its full path and the source that all its rows have (None: they say it)."""

    path: str
    source: str | None


class Lake:
    """A place with one Delta table for each table of the warehouse: a folder, or s3://, gs:// or az:// with a prefix.

    Raises ConfigurationError if the place makes no sense or deltalake is not installed.
    """

    def __init__(self, place: str) -> None:
        delta_library()
        self.is_remote = is_bucket(place)
        self.place = place.rstrip("/") if self.is_remote else str(Path(place).absolute())
        if found := _UNLUCKY.search(self.place):
            raise ConfigurationError(
                f"the lake {self.place} cannot be there: with {found[0]!r} in a path, readers of Delta tables"
                " do not find the files. Name a place whose path has only plain letters, digits and ._-~+=,@:;!$&'()*"
            )

    def open(self) -> "Snapshot":
        """The tables as they are now. Raises ConfigurationError if there is no lake, or none of this version."""
        with naming_place(self.place):
            found = self._find()
            if missing := [name for name, table in found.items() if table is None]:
                self._refuse_file()
                raise ConfigurationError(
                    f"there is no lake at {self.place} (no table {missing[0]}):"
                    f" `{command(f'publish delta {self.place}')}` makes one"
                )
            return Snapshot(self.place, {name: table for name, table in found.items() if table is not None})

    def open_present(self) -> "Snapshot":
        """The tables that there are, perhaps none, without columns that were declared since."""
        with naming_place(self.place):
            return Snapshot(self.place, {name: table for name, table in self._find().items() if table is not None})

    def open_for_writing(self) -> "Snapshot":
        """The same, with tables and columns added that are not there yet. Raises LakeConflictError."""
        self._refuse_file()
        with naming_place(self.place), noticing_conflicts():
            return Snapshot(self.place, {name: self._prepare(name, table) for name, table in self._find().items()})

    def open_at(self, state: LakeState) -> "Snapshot":
        """The tables as somebody else has read them. Raises ConfigurationError if this is another lake."""
        with naming_place(self.place), ThreadPoolExecutor(_OPENED_AT_ONCE) as pool:
            tables = pool.map(lambda name: find_table(self._uri(name), state[name][1]), state)
            found = dict(zip(state, tables, strict=True))
        snapshot = Snapshot(self.place, {name: table for name, table in found.items() if table is not None})
        if None in found.values() or snapshot.state != state:
            raise ConfigurationError(
                f"{platform.node()} does not see the lake {self.place}: all machines of the cluster must see it under"
                " the same path"
            )
        return snapshot

    def optimize(self) -> dict[str, int]:
        """Bring small files together; how many files each table has left. Raises LakeConflictError."""
        snapshot = self.open()
        with naming_place(self.place), noticing_conflicts():
            for name, table in snapshot.tables.items():
                bring_together(table, key_of(read_sql_files("tables")[name]))
        return {name: len(table.file_uris()) for name, table in snapshot.tables.items()}

    def vacuum(self, *, days: float) -> int:
        """Remove files, and the log of versions, that none younger than that needs; how many files.

        Raises LakeConflictError.
        """
        snapshot = self.open()
        with naming_place(self.place), noticing_conflicts():
            removed, hours = 0, round(days * 24)
            for table in snapshot.tables.values():
                removed += len(
                    table.vacuum(
                        retention_hours=hours,
                        dry_run=False,
                        enforce_retention_duration=False,
                        # Also those that no version names: their publisher was killed before he named them.
                        full=True,
                    )
                )
                shorten_log(table, hours=hours)
        return removed

    def _refuse_file(self) -> None:
        if not self.is_remote and (
            file := next((p for p in (Path(self.place), *Path(self.place).parents) if p.is_file()), None)
        ):
            raise ConfigurationError(f"the lake {self.place} cannot be there, {file} is a file: name a folder")

    def _uri(self, name: str) -> str:
        return f"{self.place}/{name}"

    def _find(self) -> "dict[str, DeltaTable | None]":
        """The tables that there are. Raises ConfigurationError if they are of another version."""
        names = list(read_sql_files("tables"))
        with ThreadPoolExecutor(_OPENED_AT_ONCE) as pool:
            found = dict(zip(names, pool.map(find_table, map(self._uri, names)), strict=True))
        if (table := found["schema_version"]) is not None:
            version = pl.scan_delta(table).select(pl.col("version").max()).collect().item()
            if version not in (None, SCHEMA_VERSION):
                raise ConfigurationError(
                    f"the lake {self.place} has schema version {version}, this program works with {SCHEMA_VERSION}:"
                    f" `{command('publish delta OTHER_PLACE')}` makes a new one of all raw parts"
                )
        return found

    def _prepare(self, name: str, table: "DeltaTable | None") -> "DeltaTable":
        declared = read_sql_files("tables")[name]
        if table is None:
            return create_table(self._uri(name), declared)
        add_missing_columns(table, declared)
        return table


@dataclass(frozen=True)
class Snapshot:
    """All tables of a lake, each in one version: what is written is written only if it still is the newest."""

    place: str
    tables: Mapping[str, "DeltaTable"]

    @cached_property
    def epochs(self) -> dict[str, int]:
        """The number of the last batch of parts that each table has taken in; 0 before the first."""
        return {name: table.transaction_version(APPLICATION) or 0 for name, table in self.tables.items()}

    @property
    def state(self) -> LakeState:
        """What tells the tables that parts change from any others."""
        return {name: (str(self.tables[name].metadata().id), self.tables[name].version()) for name in PART_TABLES}

    def moved_on(self) -> "Snapshot":
        """The tables as they are after one's own commits: had anybody else written, these would have been refused."""
        return type(self)(self.place, self.tables)

    @property
    def is_torn(self) -> bool:
        """Whether the newest batch of parts is in some tables and not in others."""
        return len({self.epochs[name] for name in PART_TABLES}) > 1

    def has_halves(self) -> bool:
        """Whether any batch, also one before the newest, is in some tables and not in others.

        A publisher is at work, or was killed: between two tables, while he removed forgotten threads, or before all
        parts of rows that lacked a column were in again. Reads the column `part` of the tables that have one.
        """
        if self.is_torn or self._forgotten_in(FORGOTTEN_FIRST) != self._forgotten_in(FORGOTTEN_LAST):
            return True
        with naming_place(self.place):
            whole = self._parts_of("loaded_parts")
            return any(not self._parts_of(name) <= whole for name in WITH_PART)

    def _forgotten_in(self, name: str) -> int | None:
        return self.tables[name].transaction_version(FORGETTING)

    def _parts_of(self, name: str) -> set[str]:
        parts = pl.scan_delta(self.tables[name]).select("part").unique()
        return set(parts.collect(engine="streaming")["part"])

    def has_begun(self, part: str) -> bool:
        """Whether a part is in the newest batch that a publisher has begun to write."""
        first = PART_TABLES[0]
        return self.tables[first].transaction_version(part) == self.epochs[first]

    def scan(self, name: str) -> pl.LazyFrame:
        """A table's rows, in declared columns."""
        return pl.scan_delta(self.tables[name]).select(list(read_sql_files("tables")[name].columns))

    def files(self, name: str) -> list[LakeFile]:
        """A table's live files. Raises ConfigurationError if they alone do not tell its rows: others wrote it so."""
        table = self.tables[name]
        if (version := table.protocol().min_reader_version) > _NEWEST_READER:
            raise ConfigurationError(
                f"the table {name} of this lake needs a Delta reader of version {version} (deletion vectors, renamed"
                " columns): read it with another engine, or make a new one of all raw parts with"
                f" `{command('publish delta OTHER_PLACE')}`"
            )
        actions = pl.DataFrame(table.get_add_actions(flatten=True))
        sources = actions[f"partition.{PARTITION}"] if f"partition.{PARTITION}" in actions.columns else None
        return [
            LakeFile(path, None if sources is None else sources[row])
            for row, path in enumerate(_full_paths(table, actions["path"]))
        ]

    def commit(self, name: str, change: Change, *, epoch: int, parts: Sequence[str] = ()) -> None:
        """Write a change, and that these parts are in it.

        Raises LakeConflictError: then nothing is written, of many rows of a large table perhaps the first ones.
        """
        if self.epochs[name] > epoch:
            raise LakeConflictError(name)
        with naming_place(self.place), noticing_conflicts():
            write_change(self.tables[name], change, key_of(read_sql_files("tables")[name]), epoch=epoch, parts=parts)


def _full_paths(table: "DeltaTable", paths: pl.Series) -> list[str]:
    root = table.table_uri.removeprefix("file://").rstrip("/")
    return [path if path.startswith("/") or "://" in path else f"{root}/{path}" for path in paths]
