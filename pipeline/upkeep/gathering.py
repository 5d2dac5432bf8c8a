"""Parts of other data folders, brought into this one: what shards have landed, for the one process that loads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.flatten.cache import FlatStore
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.places import RAW, holds_parts, open_raw, raw_store, read_place, remember_place
from pipeline.storage.buckets import is_bucket
from pipeline.storage.whole_files import share_once
from pipeline.warehouse.load import find_new_parts


@dataclass(frozen=True, slots=True)
class _Shard:
    """A data folder to take parts from, with those that are there."""

    folder: Path
    store: RawStore
    parts: Sequence[PartName]


def gathering_store(data_dir: Path, folders: Sequence[Path]) -> RawStore:
    """The raw parts of a data folder that others are to be brought into.

    One that has none yet takes the bucket of the others for its own, where all have the same: nothing is copied then.
    """
    places = {read_place(raw_folder(folder).parent) for folder in folders}
    place = places.pop() if len(places) == 1 else None
    if place is not None and read_place(data_dir) is None and not holds_parts(data_dir):
        remember_place(data_dir, place)
    return raw_store(data_dir)


def gather_parts(store: RawStore, folders: Sequence[Path], warehouse: Path) -> int:
    """Take the parts of data folders (or of their `raw` folders) that are not here yet; how many there were.

    They stay where they are, and so does what is flattened of them: a shard without a warehouse plans from it. What is
    in one bucket with ours is here, and only what the shards have flattened for the warehouse is taken. Raises
    ConfigurationError for a folder without parts, and where two different parts have one name.
    """
    shards = _find_shards(folders)
    here = set(store.list_parts()) if shards else set()
    beside = [shard for shard in shards if shard.store.place == store.place]
    new = find_new_parts(store, warehouse) if beside else []
    for shard in beside:
        _take_flat(store, shard.store, new)
    count = 0
    for shard in shards:
        if shard in beside:
            continue
        for part in shard.parts:
            if part in here:
                _check_same(store, shard.store, part)
                continue
            _take(store, shard.store, part)
            here.add(part)
            count += 1
    return count


def raw_folder(folder: Path) -> Path:
    """Where the raw parts of a data folder are; one may name that folder itself."""
    return folder / RAW if (folder / RAW).is_dir() or read_place(folder) else folder


def _find_shards(folders: Sequence[Path]) -> list[_Shard]:
    shards: list[_Shard] = []
    listed: dict[str, list[PartName]] = {}
    for folder in folders:
        store = open_raw(raw_folder(folder))
        # Shards may share one bucket.
        parts = listed.setdefault(store.place, []) or store.list_parts()
        if not parts:
            raise ConfigurationError(
                f"{folder} holds no raw parts: name the data folder of a sync, where they are in {RAW}/SOURCE/*.parquet"
                " or in the bucket that it remembers"
            )
        listed[store.place] = parts
        shards.append(_Shard(folder, store, parts))
    return shards


def _take(store: RawStore, other: RawStore, part: PartName) -> None:
    _take_flat(store, other, [part])
    try:
        # After it: whoever sees the part may load it at once.
        if is_bucket(store.place) or is_bucket(other.place):
            store.write_file(part, other.read_file(part))
        else:
            share_once(other.path(part), store.path(part))
    except OSError as error:
        raise _cannot_bring(store, other.where(part), error) from error


def _take_flat(store: RawStore, other: RawStore, parts: Iterable[PartName]) -> None:
    ours, theirs = FlatStore(store), FlatStore(other)
    for part in parts:
        try:
            if theirs.path(part).exists():
                share_once(theirs.path(part), ours.path(part))
        except OSError as error:
            raise _cannot_bring(store, str(theirs.path(part)), error) from error


def _cannot_bring(store: RawStore, what: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"cannot bring {what} to {store.place}: {error.strerror or error}")


def _check_same(store: RawStore, other: RawStore, part: PartName) -> None:
    in_folders = not is_bucket(store.place) and not is_bucket(other.place)
    if in_folders and store.path(part).samefile(other.path(part)):
        return
    if store.read_digest(part) != other.read_digest(part):
        raise ConfigurationError(
            f"{store.where(part)} and {other.where(part)} have one name and different content: one of them was changed."
            " If a thread was forgotten in one data folder, forget it in the other; else move the wrong one away"
        )
