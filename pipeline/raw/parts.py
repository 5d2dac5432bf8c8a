"""Raw parts on disk: pages exactly as received, in immutable Parquet files that appear whole or not at all."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import msgspec
import polars as pl

from pipeline.errors import ConfigurationError, DamagedPartError, PipelineError
from pipeline.protocol.pages import ArchiveFile, BilledPage, Certificate, LandedWalk, Page, SyncSummary
from pipeline.raw.digest import digest_rows
from pipeline.storage.private_files import aside_of, make_private_folder, open_private, sync_folder
from pipeline.storage.whole_files import name_once, write_once

# A row of a part: its values in the order of PART_SCHEMA.
PartRow = tuple[Any, ...]
PART_SUFFIX = ".parquet"
# Marks the ids of imports, so that the records of archive files are found without reading every part.
IMPORT_KIND = "import-"
# The columns of a part that make a Page, in its order.
_PAGE_COLUMNS = ("page_index", "cursor", "fetched_at", "request_id", "body", "origin")
_ZSTD_LEVEL = 1
_BODY_BYTES = "body_bytes"
_DIGEST = "sha256"
DAMAGED = ".damaged"
# Polars panics on some files that are not what was written.
_TORN = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


@dataclass(frozen=True, slots=True)
class PartName:
    """A part and the sync it belongs to; names of one source sort in the order of landing."""

    source: str
    name: str

    @property
    def sync_id(self) -> str:
        """The sync that wrote it."""
        return self.name.rsplit("-", 2)[0]


@dataclass(frozen=True, slots=True)
class Part:
    """What one part holds. `source` and `sync_id` are its own, whatever the file is called and wherever it is."""

    part: PartName
    source: str
    sync_id: str
    size_bytes: int
    landed_at: datetime
    walks: list[LandedWalk]
    planned_threads: list[tuple[str, datetime]]
    summaries: list[SyncSummary]
    bills: list[BilledPage] = field(default_factory=list)


def new_sync_id(now: datetime, *, kind: str = "") -> str:
    """An id that sorts by time and that no other process can have."""
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z-{kind}{secrets.token_hex(3)}"


class RawStore:
    """The folder of raw parts: `<folder>/<source>/<sync id>-<number>.parquet`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def place(self) -> str:
        """Where the parts are, for messages."""
        return str(self.folder)

    def list_parts(self) -> list[PartName]:
        """All parts in the order of their syncs."""
        names = (PartName(path.parent.name, path.stem) for path in self.folder.glob(f"*/*{PART_SUFFIX}"))
        return sorted(names, key=lambda part: (part.name, part.source))

    def path(self, part: PartName) -> Path:
        """The part's file."""
        return self.folder / part.source / f"{part.name}{PART_SUFFIX}"

    def where(self, part: PartName) -> str:
        """Where a part is, for messages."""
        return str(self.path(part))

    def has_part(self, part: PartName) -> bool:
        """Whether the part is there."""
        return self.path(part).exists()

    def size_bytes(self, part: PartName) -> int:
        """Of a part as it is stored. Raises OSError."""
        return self.path(part).stat().st_size

    def read_metadata(self, part: PartName) -> dict[str, str]:
        """What the footer of a part says. Raises OSError or an error of Polars."""
        return pl.read_parquet_metadata(self.path(part))

    def check_is_folder(self, what: str) -> None:
        """Raises ConfigurationError if the parts are not files of a folder, which `what` needs."""

    def read_part(self, part: PartName) -> Part:
        """Everything in a part.

        Raises DamagedPartError if it is not what was written, PipelineError if the file cannot be read at all.
        """
        frame = self.read_rows(part)
        try:
            return _part_of(part, self.size_bytes(part), frame)
        except OSError as error:
            raise _unreadable(self.where(part), error) from error
        except (*_TORN, ValueError, KeyError) as error:
            raise _damaged(self.where(part), str(error).partition("\n")[0]) from error

    def read_rows(self, part: PartName) -> pl.DataFrame:
        """The rows of a part as written, in `PART_SCHEMA`. Raises as `read_part`."""
        try:
            source = self._source(part)
            frame = pl.read_parquet(source, glob=False)
            # Parts of earlier versions have no digest.
            digest = pl.read_parquet_metadata(source).get(_DIGEST)
            if digest is not None and digest != digest_rows(frame):
                raise _damaged(self.where(part), "its content is not what was written")
            return frame
        except OSError as error:
            raise _unreadable(self.where(part), error) from error
        except (*_TORN, ValueError, KeyError) as error:
            raise _damaged(self.where(part), str(error).partition("\n")[0]) from error

    def set_aside(self, part: PartName) -> Path | str:
        """Rename a damaged part so that it is no part any more; where it is now."""
        path = self.path(part)
        return path.replace(path.with_name(f"{path.name}{DAMAGED}"))

    def remove_part(self, part: PartName) -> None:
        """Remove a part for good, if it is there."""
        try:
            self.path(part).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot remove {self.path(part)}: {error.strerror or error}") from error

    def read_file(self, part: PartName) -> bytes:
        """A part as it is stored. Raises PipelineError if it cannot be read."""
        try:
            return self.path(part).read_bytes()
        except OSError as error:
            raise _unreadable(self.where(part), error) from error

    def read_digest(self, part: PartName) -> str:
        """What tells its content from any other: its own SHA-256, that of the file where it has none or is damaged."""
        own = None
        with contextlib.suppress(*_TORN, OSError, ValueError):
            own = self.read_metadata(part).get(_DIGEST)
        return own or hashlib.sha256(self.read_file(part)).hexdigest()

    def write_file(self, part: PartName, content: bytes) -> None:
        """Store a part of another store as it is, if its name is free. Raises OSError."""
        write_once(self.path(part), content)

    def read_archives(self, source: str) -> list[ArchiveFile]:
        """Files that imports into this source have read to their end; what a damaged part says does not count."""
        return [archive for part in self._imports(source) for archive in self.read_archives_of(part)]

    def read_archives_of(self, part: PartName) -> list[ArchiveFile]:
        """Files that an import has read to their end when it landed this part; none if it is damaged or no import's."""
        if f"-{IMPORT_KIND}" not in part.name:
            return []
        with contextlib.suppress(*_TORN, ValueError):
            rows = pl.read_parquet(self._source(part), columns=["kind", "body"], glob=False)
            return [msgspec.json.decode(body, type=ArchiveFile) for body in rows.filter(kind="archive")["body"]]
        return []

    def read_body_bytes(self, part: PartName) -> int:
        """Bytes of all bodies in a part, from its footer; those of the file where that is damaged.

        Raises PipelineError if the file cannot be read at all.
        """
        try:
            size_bytes = self.size_bytes(part)
            return int(self.read_metadata(part).get(_BODY_BYTES, size_bytes))
        except OSError as error:
            raise _unreadable(self.where(part), error) from error
        except (*_TORN, ValueError):
            return size_bytes

    def write_part(self, part: PartName, frame: pl.DataFrame, *, replacing: bool = False) -> None:
        """Land a frame of `PART_SCHEMA`: written aside, synced to disk, then given its name.

        The name must be free, unless the part that has it is to go.
        """
        path = self.path(part)
        aside = aside_of(path)
        try:
            make_private_folder(path.parent)
            with os.fdopen(open_private(aside), "wb") as file:
                pack_rows(frame, file)
                file.flush()
                os.fsync(file.fileno())
            if replacing:
                aside.replace(path)
            else:
                name_once(aside, path)
                aside.unlink(missing_ok=True)
            sync_folder(path.parent)
        # Polars wraps some of the system's errors.
        except (OSError, pl.exceptions.ComputeError) as error:
            with contextlib.suppress(OSError):
                aside.unlink()
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            raise ConfigurationError(f"cannot write raw data to {path.parent}: {reason}") from error

    def _source(self, part: PartName) -> Path | IO[bytes]:
        """What Polars reads a part from, also twice."""
        return self.path(part)

    def _imports(self, source: str) -> list[PartName]:
        """Parts of imports into a source, in their order."""
        paths = sorted(self.folder.joinpath(source).glob(f"*-{IMPORT_KIND}*{PART_SUFFIX}"))
        return [PartName(source, path.stem) for path in paths]


def pack_rows(frame: pl.DataFrame, file: IO[bytes]) -> None:
    """Write the rows of a part as the file that a store keeps."""
    size_bytes = frame["body"].bin.size("b").sum()
    frame.write_parquet(
        file,
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        statistics=False,
        metadata={_BODY_BYTES: str(size_bytes), _DIGEST: digest_rows(frame)},
    )


def _part_of(part: PartName, size_bytes: int, frame: pl.DataFrame) -> Part:
    if frame.is_empty():
        raise ValueError("it has no rows")
    pages: dict[str, list[Page]] = {}
    # Most rows by far are pages: no dictionary is made for each of them.
    for walk_id, *columns in frame.filter(kind="page").select("walk_id", *_PAGE_COLUMNS).iter_rows():
        pages.setdefault(walk_id, []).append(Page(*columns))
    walks: list[LandedWalk] = []
    planned: list[tuple[str, datetime]] = []
    summaries: list[SyncSummary] = []
    bills: list[BilledPage] = []
    for row in frame.filter(pl.col("kind") != "page").iter_rows(named=True):
        match row["kind"]:
            case "walk":
                certificate = msgspec.json.decode(row["body"], type=Certificate)
                found = pages.pop(row["walk_id"], [])
                walks.append(LandedWalk(row["source"], row["sync_id"], row["walk_id"], part.name, certificate, found))
            case "plan":
                planned += [(thread_id, row["fetched_at"]) for thread_id in msgspec.json.decode(row["body"])]
            case "bill":
                bills.append(_bill_of(row, part))
            case "sync":
                summaries.append(msgspec.json.decode(row["body"], type=SyncSummary))
    landed_at = frame.select(pl.col("fetched_at").max()).item()
    source, sync_id = frame.select("source", "sync_id").row(0)
    return Part(part, source, sync_id, size_bytes, landed_at, walks, planned, summaries, bills)


def _bill_of(row: dict[str, Any], part: PartName) -> BilledPage:
    return BilledPage(
        row["source"], part.name, row["page_index"], row["resource"], row["fetched_at"], row["origin"], row["body"]
    )


def _damaged(path: str, reason: str) -> DamagedPartError:
    return DamagedPartError(
        f"the raw part {path} cannot be read ({reason}): move it away, then run `sync --full` for its threads"
    )


def _unreadable(path: str, error: OSError) -> PipelineError:
    return PipelineError(
        f"the raw part {path} cannot be read ({error.strerror or error}): make it readable for this user"
    )


def batches_of(store: RawStore, parts: Sequence[PartName], *, body_bytes: int) -> Iterator[list[PartName]]:
    """Parts grouped so that the bodies of a group are about that many bytes together."""
    batch: list[PartName] = []
    size = 0
    for part in parts:
        batch.append(part)
        size += store.read_body_bytes(part)
        if size >= body_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
