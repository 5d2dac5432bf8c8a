"""Flattened parts: the frames of a raw part in a file beside it, for whoever loads it. They may go at any time."""

import hashlib
import io
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import polars as pl

from pipeline import __version__
from pipeline.errors import ConfigurationError
from pipeline.flatten.part_frames import Frames, frames_of
from pipeline.raw.parts import PartName, RawStore
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.storage.whole_files import write_once

FLAT_SUFFIX = ".flat"
_MADE_BY = "made_by"
# Of the raw part that it was made from, and of which that is in the metadata under the same name.
_DIGEST = "sha256"
_SCHEMA = {"name": pl.String(), "sha256": pl.String(), "body": pl.Binary()}
# Polars panics on some files that are not what was written.
_TORN = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)


class FlatStore:
    """The folder of flattened parts, beside that of the raw ones: `<folder>/<source>/<part>.flat`.

    Each is a Parquet file of frames by name: Arrow IPC, packed with zstd, and its SHA-256.
    """

    def __init__(self, store: RawStore) -> None:
        self.store = store
        self.folder = store.folder.parent / "flat"

    def path(self, part: PartName) -> Path:
        """The file of a flattened part."""
        return self.folder / part.source / f"{part.name}{FLAT_SUFFIX}"

    def write(self, part: PartName) -> None:
        """Flatten a raw part that has landed; one that is flattened already stays.

        Raises DamagedPartError, or ConfigurationError if the file cannot be written.
        """
        path = self.path(part)
        if path.exists():
            return
        frames = frames_of(self.store.read_part(part))
        bodies = {name: packed_frame(frame) for name, frame in frames.items()}
        rows = [(name, hashlib.sha256(body).hexdigest(), body) for name, body in bodies.items()]
        content = io.BytesIO()
        # A frame in each row group: what is not asked for is not read.
        pl.DataFrame(rows, schema=_SCHEMA, orient="row").write_parquet(
            content, compression="uncompressed", row_group_size=1, metadata=self._metadata(part)
        )
        try:
            write_once(path, content.getbuffer())
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from error

    def read(self, part: PartName, *, names: Collection[str] | None = None) -> Frames | None:
        """The frames of a part (only those `names`), or None where nobody has flattened it or the file is of no use.

        Of no use is what another version made, or from a raw part that was rewritten since, and what is damaged.
        """
        path = self.path(part)
        if not path.exists():
            return None
        try:
            found = pl.read_parquet_metadata(path)
            if any(found.get(name) != value for name, value in self._metadata(part).items()):
                return None
            wanted = pl.lit(True) if names is None else pl.col("name").is_in(list(names))
            return dict(_unpacked(pl.scan_parquet(path, glob=False).filter(wanted).collect()))
        except _TORN:
            return None

    def list_parts(self) -> list[PartName]:
        """Parts that are flattened."""
        return [PartName(path.parent.name, path.stem) for path in self.folder.glob(f"*/*{FLAT_SUFFIX}")]

    def drop(self, parts: Iterable[PartName]) -> None:
        """Remove the files of parts that are loaded or that have changed."""
        for part in parts:
            self.path(part).unlink(missing_ok=True)

    def _metadata(self, part: PartName) -> dict[str, str]:
        """What a file for this part says that is of use now."""
        digest = self.store.read_metadata(part).get(_DIGEST, "")
        return {_MADE_BY: _made_by(), _DIGEST: digest}


def packed_frame(frame: pl.DataFrame) -> bytes:
    """A frame as Arrow IPC, packed with zstd."""
    content = io.BytesIO()
    frame.write_ipc(content, compression="zstd")
    return content.getvalue()


def unpacked_frame(body: bytes) -> pl.DataFrame:
    """The frame that was packed."""
    return pl.read_ipc(io.BytesIO(body), use_pyarrow=False)


def _unpacked(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    for name, digest, body in rows.iter_rows():
        if hashlib.sha256(body).hexdigest() != digest:
            raise ValueError(f"{name} is not what was written")
        yield name, unpacked_frame(body)


def _made_by() -> str:
    """The version and the tables that the frames fit."""
    tables = "".join(table.text for table in read_sql_files("tables").values())
    return f"{__version__} {hashlib.sha256(tables.encode()).hexdigest()}"
