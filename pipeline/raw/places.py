"""Where the raw parts of a data folder are: in its folder `raw`, or in a bucket that the folder remembers."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError
from pipeline.raw.parts import PART_SUFFIX, RawStore
from pipeline.storage.buckets import is_bucket, shown_place
from pipeline.storage.whole_files import write_once

if TYPE_CHECKING:
    from pipeline.raw.bucket_parts import BucketStore
    from pipeline.settings.invocation import Settings

RAW = "raw"
_RECORD = "raw.place"


def raw_store(data_dir: Path) -> RawStore:
    """The raw parts of a data folder."""
    return open_raw(data_dir / RAW)


def open_raw(folder: Path, *, named: str | None = None) -> RawStore:
    """The raw parts that are in this folder, or in the bucket that is named or that its data folder remembers."""
    place = named or read_place(folder.parent)
    return RawStore(folder) if place is None else _open_bucket(folder, place)


def read_place(data_dir: Path) -> str | None:
    """The bucket that a data folder keeps its raw parts in, if it does."""
    path = data_dir / _RECORD
    return path.read_text("utf-8").strip() if path.exists() else None


def holds_parts(data_dir: Path) -> bool:
    """Whether there are raw parts in the data folder itself."""
    return any(data_dir.glob(f"{RAW}/*/*{PART_SUFFIX}"))


def remember_place(data_dir: Path, place: str) -> None:
    """Have a data folder without raw parts of its own keep them in a bucket.

    Raises ConfigurationError, with nothing remembered, if the bucket cannot be used.
    """
    _open_bucket(data_dir / RAW, place).is_empty()
    (data_dir / _RECORD).unlink(missing_ok=True)
    write_once(data_dir / _RECORD, f"{place}\n".encode())


def keep_place(settings: "Settings") -> None:
    """Have the data folder remember the bucket that the settings name.

    Raises ConfigurationError if its raw parts are elsewhere already, or if the place is no bucket that can be used.
    """
    if (named := settings["raw"]) is None:
        return
    place, data_dir, origin = str(named).rstrip("/"), settings.data_dir, settings.settings["raw"].origin
    try:
        inside = is_bucket(place)
    except ConfigurationError as error:
        raise ConfigurationError(f"raw ({origin}): {error}") from error
    where = f"raw = {place} ({origin})"
    if not inside:
        raise ConfigurationError(
            f"raw ({origin}) is not s3://, gs:// or az:// with a bucket: a folder is named with --data-dir"
        )
    known = read_place(data_dir)
    if known == place:
        return
    if known is None and holds_parts(data_dir):
        known = str(data_dir / RAW)
    elif known is not None and _is_empty(data_dir, known, where):
        known = None
    if known is not None:
        raise ConfigurationError(
            f"{where}, but the raw parts of {data_dir} are in {shown_place(known)}: name another --data-dir"
        )
    remember_place(data_dir, place)


def _is_empty(data_dir: Path, known: str, where: str) -> bool:
    try:
        return _open_bucket(data_dir / RAW, known).is_empty()
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{where}, but the raw parts of {data_dir} are in {shown_place(known)}, where nobody can look now ({error})"
            f": name another --data-dir, or remove {data_dir / _RECORD} if that was never their place"
        ) from error


def _open_bucket(folder: Path, place: str) -> "BucketStore":
    # obstore is an extra.
    from pipeline.raw.bucket_parts import BucketStore

    return BucketStore(folder, place)
