"""Raw parts that the warehouse holds: copies of others, which count once, and those that need not be kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import polars as pl

from pipeline.console.tables import count_of
from pipeline.errors import ConfigurationError, IncompleteError
from pipeline.flatten.cache import FlatStore
from pipeline.flatten.part_frames import Frames
from pipeline.program import command
from pipeline.raw.parts import RawStore
from pipeline.raw.prune_record import PrunedPart, add_pruned, read_pruned
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, attached, read_frame, register, unregister
from pipeline.storage.private_files import sweep
from pipeline.storage.writer_lock import only_writer
from pipeline.warehouse.database import open_for_reading

_NAMED = 3
_HELD = "select walk_id, part as first_part from walks semi join landed_walks using (walk_id)"
_LOADED = "select part, source, size_bytes, landed_at from loaded_parts order by landed_at, part"


@dataclass(frozen=True, slots=True)
class Prunable:
    """Parts older than asked for that are wholly loaded, oldest first; `waiting` are parts that are not loaded."""

    parts: Sequence[PrunedPart]
    waiting: int

    @property
    def size_bytes(self) -> int:
        """Of all parts together, on disk."""
        return sum(part.size_bytes for part in self.parts)


def each_walk_once(connection: Connection, frames: Frames) -> Frames:
    """The frames of parts without walks that the warehouse holds, or that come twice among them.

    No two walks that were made have one id. `copy_of` of a part that brings nothing of its own is the part that has it.
    """
    walks = frames["walks"]
    register(connection, "landed_walks", walks.select("walk_id").unique())
    held = read_frame(connection, _HELD).unique("walk_id")
    unregister(connection, "landed_walks")
    if held.is_empty() and not walks["walk_id"].is_duplicated().any():
        return {**frames, "loaded_parts": frames["loaded_parts"].with_columns(copy_of=pl.lit(None, pl.String))}
    own = {name: _once(name, frame, held) if "walk_id" in frame.columns else frame for name, frame in frames.items()}
    firsts = pl.concat([held, own["walks"].select("walk_id", first_part="part")])
    copies = (
        walks.join(firsts, on="walk_id", how="left")
        .group_by("part")
        .agg(copy_of=pl.col("first_part").min(), is_copy=(pl.col("first_part") != pl.col("part")).all())
        .filter("is_copy")
    )
    return {**own, "loaded_parts": frames["loaded_parts"].join(copies.drop("is_copy"), on="part", how="left")}


def sweep_leftovers(store: RawStore) -> list[Path]:
    """Remove what dead processes of this machine left half written in a data folder; what is gone."""
    return [left for folder in all_folders(store) for left in sweep(folder)]


def all_folders(store: RawStore) -> list[Path]:
    """Every folder of a data folder that files are written in, itself included."""
    below = [path for parent in folders_of(store) for path in (parent, *parent.glob("*"))]
    return [path for path in (store.folder.parent, *below) if path.is_dir()]


def folders_of(store: RawStore) -> tuple[Path, Path]:
    """The folders of raw and of flattened parts, each with a folder for each source."""
    return store.folder, FlatStore(store).folder


def find_prunable(store: RawStore, warehouse: Path, *, before: datetime) -> Prunable:
    """What may go: a load is one transaction, so a part that the warehouse names is in it wholly."""
    present = store.list_parts()
    if not warehouse.exists():
        return Prunable([], len(present))
    with open_for_reading(warehouse) as connection:
        loaded = read_frame(connection, _LOADED)
    names = {(part.source, part.name) for part in present}
    old = loaded.filter(pl.col("landed_at") < before)
    parts = [
        PrunedPart(source=source, part=part, size_bytes=size_bytes, landed_at=landed_at)
        for part, source, size_bytes, landed_at in old.iter_rows()
        if (source, part) in names
    ]
    return Prunable(parts, len(names - set(loaded.select("source", "part").iter_rows())))


def prune_parts(store: RawStore, warehouse: Path, *, before: datetime, now: datetime, wait_s: float) -> Prunable:
    """Remove loaded parts that landed before an instant; what was removed.

    The record is on disk before the first part goes. Raises WarehouseLockedError while another process loads.
    """
    store.check_is_folder("pruning")
    with only_writer(warehouse, wait_s=wait_s):
        prunable = find_prunable(store, warehouse, before=before)
        if not prunable.parts:
            return prunable
        try:
            add_pruned(store, (_recorded(store, part, now) for part in prunable.parts))
            FlatStore(store).drop([part.name for part in prunable.parts])
            for part in prunable.parts:
                store.path(part.name).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot prune {store.folder}: {error.strerror or error}") from error
    return prunable


def _recorded(store: RawStore, part: PrunedPart, now: datetime) -> PrunedPart:
    return msgspec.structs.replace(part, pruned_at=now, archives=store.read_archives_of(part.name))


def refuse_if_pruned(store: RawStore, warehouse: Path) -> None:
    """Raises ConfigurationError if parts were pruned: what is left of the raw parts is not all there was."""
    if pruned := [part.part for part in read_pruned(store)]:
        raise _incomplete(pruned, f"a warehouse at {warehouse} that is made from the raw parts now")


def refuse_if_parts_are_gone(connection: Connection, store: RawStore, old: Path) -> None:
    """Raises ConfigurationError if a warehouse holds parts that are gone, whoever removed them."""
    if not old.exists():
        return
    with attached(connection, old, "before") as tables:
        if "loaded_parts" not in tables:
            return
        loaded = read_frame(connection, "select columns(*) from before.loaded_parts")
    # What a copy of another part has is there without it. Earlier versions did not know of copies.
    held = set((loaded.filter(pl.col("copy_of").is_null()) if "copy_of" in loaded.columns else loaded)["part"])
    if gone := sorted(held - {part.name for part in store.list_parts()}):
        raise _incomplete(gone, "a rebuild")


def refuse_if_missed(others: Sequence[RawStore], warehouse: Path) -> None:
    """Raises IncompleteError if parts were pruned in other folders before this warehouse had them from there."""
    pruned = {part.part for other in others for part in read_pruned(other)}
    if not pruned:
        return
    with open_for_reading(warehouse) as connection:
        held = set(read_frame(connection, "select part from loaded_parts")["part"])
    if missed := sorted(pruned - held):
        raise IncompleteError(
            f"{warehouse} lacks the content of {count_of(len(missed), 'raw parts')} that were pruned in another folder"
            f" before they came here ({_some(missed)}): restore them there and load again. What is there is loaded"
        )


def _once(name: str, frame: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    key = list(dict.fromkeys([*read_sql_files("tables")[name].grain, "walk_id"]))
    return frame.join(held, on="walk_id", how="anti", maintain_order="left").unique(
        key, keep="first", maintain_order=True
    )


def _some(parts: Sequence[str]) -> str:
    return ", ".join(parts[:_NAMED]) + (", ..." if len(parts) > _NAMED else "")


def _incomplete(parts: Sequence[str], what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{what} would lack the content of {count_of(len(parts), 'raw parts')} that were pruned or are gone"
        f" ({_some(parts)}): keep or restore the warehouse that has it, or do without, with"
        f" `{command('load --rebuild --forget-pruned')}`"
    )
