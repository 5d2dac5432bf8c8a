"""Where the raw parts of a data folder are: in its folder `raw`, or in a bucket that the folder remembers."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError
from pipeline.landing import PART_SUFFIX, RawStore
from pipeline.objects import is_bucket
from pipeline.whole_files import write_once

if TYPE_CHECKING:
    from pipeline.config import Settings

RAW = "raw"
_RECORD = "raw.place"


def raw_store(data_dir: Path) -> RawStore:
    """The raw parts of a data folder."""
    return open_raw(data_dir / RAW)


def open_raw(folder: Path, *, named: str | None = None) -> RawStore:
    """The raw parts that are in this folder, or in the bucket that is named or that its data folder remembers."""
    place = named or read_place(folder.parent)
    if place is None:
        return RawStore(folder)
    # obstore is an extra.
    from pipeline.bucket_store import BucketStore

    return BucketStore(folder, place)


def read_place(data_dir: Path) -> str | None:
    """The bucket that a data folder keeps its raw parts in, if it does."""
    path = data_dir / _RECORD
    return path.read_text("utf-8").strip() if path.exists() else None


def keep_place(settings: "Settings") -> None:
    """Have the data folder remember the bucket that the settings name.

    Raises ConfigurationError if its raw parts are elsewhere already, or if the place is no bucket.
    """
    if (named := settings["raw"]) is None:
        return
    place, data_dir = str(named).rstrip("/"), settings.data_dir
    where = f"raw = {place} ({settings.settings['raw'].origin})"
    if not is_bucket(place):
        raise ConfigurationError(
            f"{where} is not s3://, gs:// or az:// with a bucket: a folder is named with --data-dir"
        )
    known = read_place(data_dir)
    if known is None and any(data_dir.glob(f"{RAW}/*/*{PART_SUFFIX}")):
        known = str(data_dir / RAW)
    if known is None:
        write_once(data_dir / _RECORD, f"{place}\n".encode())
    elif known != place:
        raise ConfigurationError(f"{where}, but the raw parts of {data_dir} are in {known}: name another --data-dir")
