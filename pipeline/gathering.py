"""Parts of other data folders, brought into this one: what shards have landed, for the one process that loads."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.flat_parts import FlatStore
from pipeline.landing import PartName, RawStore
from pipeline.raw_places import RAW, open_raw, read_place
from pipeline.whole_files import share_once


def gather_parts(store: RawStore, folders: Sequence[Path]) -> int:
    """Take the parts of data folders (or of their `raw` folders) that are not here yet; how many there were.

    They stay where they are. Raises ConfigurationError for a folder without parts, and where two different parts
    have one name.
    """
    found = [(open_raw(raw_folder(folder)), folder) for folder in folders]
    for other, folder in found:
        if not other.list_parts():
            raise ConfigurationError(
                f"{folder} holds no raw parts: name the data folder of a sync, where they are in {RAW}/SOURCE/*.parquet"
            )
    here = set(store.list_parts())
    count = 0
    for other, _ in found:
        for part in other.list_parts():
            if part in here:
                _check_same(store, other, part)
                continue
            _take(store, other, part)
            here.add(part)
            count += 1
    return count


def raw_folder(folder: Path) -> Path:
    """Where the raw parts of a data folder are; one may name that folder itself."""
    return folder / RAW if (folder / RAW).is_dir() or read_place(folder) else folder


def _take(store: RawStore, other: RawStore, part: PartName) -> None:
    ours, theirs = FlatStore(store).path(part), FlatStore(other).path(part)
    try:
        if theirs.exists():
            share_once(theirs, ours)
        # After it: whoever sees the part may load it at once.
        share_once(other.path(part), store.path(part))
    except OSError as error:
        raise ConfigurationError(
            f"cannot bring {other.path(part)} to {store.folder}: {error.strerror or error}"
        ) from error


def _check_same(store: RawStore, other: RawStore, part: PartName) -> None:
    ours, theirs = store.path(part), other.path(part)
    if ours.stat().st_size != theirs.stat().st_size:
        raise ConfigurationError(
            f"{ours} and {theirs} have one name and different content: one of them was changed; move it away"
        )
