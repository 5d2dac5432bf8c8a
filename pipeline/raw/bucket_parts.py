"""Raw parts in a bucket: `<place>/<source>/<part>.parquet`, each put there once, if its name is free."""

import contextlib
import io
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import polars as pl

from pipeline.errors import ConfigurationError
from pipeline.raw.parts import DAMAGED, IMPORT_KIND, PART_SUFFIX, PartName, RawStore, pack_rows
from pipeline.storage.buckets import hint_at, library_errors, object_library, open_store, tell_cause

# Of its end, where Parquet has its footer. Parts have few columns and few row groups.
_FOOTER_BYTES = 64 * 1024


class BucketStore(RawStore):
    """Parts of a data folder that are kept in a bucket; what goes with them is beside `folder`, as for all parts.

    Raises ConfigurationError where the bucket does not answer or refuses.
    """

    def __init__(self, folder: Path, place: str) -> None:
        super().__init__(folder)
        self._place = place

    @property
    def place(self) -> str:
        """Where the parts are."""
        return self._place

    def list_parts(self) -> list[PartName]:
        """All parts in the order of their syncs; one listing, whatever their number."""
        paths = (tuple(entry["path"].split("/")) for entry in self._list())
        names = (
            PartName(path[0], path[1].removesuffix(PART_SUFFIX))
            for path in paths
            if len(path) == 2 and path[1].endswith(PART_SUFFIX)
        )
        return sorted(names, key=lambda part: (part.name, part.source))

    def path(self, part: PartName) -> Path:
        """There is none. Raises ConfigurationError."""
        raise ConfigurationError(
            f"this works on raw parts in a folder, and {self.where(part)} is in a bucket:"
            " `load DATA_DIR --data-dir OTHER` copies parts from a bucket into another data folder"
        )

    def where(self, part: PartName) -> str:
        """Its address, for messages."""
        return f"{self._place}/{_key(part)}"

    def has_part(self, part: PartName) -> bool:
        """Whether the bucket has it."""
        with self._naming():
            try:
                object_library().head(self._bucket, _key(part))
            except FileNotFoundError:
                return False
        return True

    def size_bytes(self, part: PartName) -> int:
        """Its size in the bucket."""
        with self._naming():
            return int(object_library().head(self._bucket, _key(part))["size"])

    def read_metadata(self, part: PartName) -> dict[str, str]:
        """What its footer says, of which only the end of the object is fetched."""
        size_bytes = self.size_bytes(part)
        start = max(0, size_bytes - _FOOTER_BYTES)
        with self._naming():
            end = object_library().get_range(self._bucket, _key(part), start=start, end=size_bytes)
        return pl.read_parquet_metadata(io.BytesIO(bytes(end)))

    def set_aside(self, part: PartName) -> str:
        """Give a damaged part a name that is no part's; where it is now."""
        with self._naming():
            object_library().copy(self._bucket, _key(part), f"{_key(part)}{DAMAGED}")
            object_library().delete(self._bucket, _key(part))
        return f"{self.where(part)}{DAMAGED}"

    def remove_part(self, part: PartName) -> None:
        """Remove a part, of which the bucket may keep an earlier version."""
        with self._naming():
            object_library().delete(self._bucket, _key(part))

    def write_part(self, part: PartName, frame: pl.DataFrame, *, replacing: bool = False) -> None:
        """Put a frame of `PART_SCHEMA` under its name, which must be free, unless the part that has it is to go."""
        content = io.BytesIO()
        pack_rows(frame, content)
        self._put(part, content.getvalue(), mode="overwrite" if replacing else "create")

    def read_file(self, part: PartName) -> bytes:
        """A part as it is stored."""
        return self._get(part)

    def write_file(self, part: PartName, content: bytes) -> None:
        """Put a part of another store as it is under its name, which must be free."""
        self._put(part, content, mode="create")

    def is_empty(self) -> bool:
        """Whether there is nothing at its place, of which only the beginning is listed."""
        return next(self._list(), None) is None

    def check_is_folder(self, what: str) -> None:
        """Raises ConfigurationError."""
        raise ConfigurationError(
            f"{what} works on raw parts in a folder, these are in {self._place}:"
            " use the bucket's own rules for old objects"
        )

    @cached_property
    def _bucket(self) -> Any:
        return open_store(self._place)

    def _source(self, part: PartName) -> IO[bytes]:
        return io.BytesIO(self._get(part))

    def _put(self, part: PartName, body: bytes, *, mode: str) -> None:
        with self._naming():
            try:
                object_library().put(self._bucket, _key(part), body, mode=mode)
            except object_library("exceptions").AlreadyExistsError as error:
                # An answer that got lost is asked for again, and then it is our own part that is there.
                if self._get(part) != body:
                    raise ConfigurationError(f"{self.where(part)} is there already and is another part") from error

    def _get(self, part: PartName) -> bytes:
        with self._naming():
            return bytes(object_library().get(self._bucket, _key(part)).bytes())

    def _imports(self, source: str) -> list[PartName]:
        return [part for part in self.list_parts() if part.source == source and f"-{IMPORT_KIND}" in part.name]

    def _list(self) -> Iterator[Any]:
        with self._naming():
            for entries in object_library().list(self._bucket):
                yield from entries

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except (library_errors(), OSError) as error:
            raise ConfigurationError(
                f"the bucket of {self._place} cannot be used: {tell_cause(error)}{hint_at(self._place)}"
            ) from error


def _key(part: PartName) -> str:
    return f"{part.source}/{part.name}{PART_SUFFIX}"
