"""Archive files by their content: the SHA-256 of each, and of a large one read by lines the ranges it is cut into."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.archives.files import BYTE_ORDER_MARK, WHOLE_BYTES, has_lines, read_lines
from pipeline.archives.large import Damage, Document
from pipeline.archives.shapes.content import Context, Found
from pipeline.archives.shapes.objects import read_content
from pipeline.errors import ConfigurationError

# A range ends at the first line from here on that goes on with no run; it is cut in any case at twice as much.
RANGE_BYTES = 32 * 2**20
_CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Range:
    """Whole lines of a file: from which byte, how many bytes, the number of the first line, the SHA-256 of all."""

    start: int
    size_bytes: int
    first_line: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """The SHA-256 of a file as it lies there, in hex, and the ranges it is cut into: none if it is read in one go."""

    sha256: str
    ranges: tuple[Range, ...] = ()


def hash_file(path: Path) -> str:
    """SHA-256 of the file as it lies there, in hex. Raises ConfigurationError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def scan_file(path: Path, *, range_bytes: int = RANGE_BYTES, whole_bytes: int = WHOLE_BYTES) -> Scanned:
    """The SHA-256 of the file and its ranges, which together are all of it. Raises ConfigurationError.

    Cut is what is larger than a range, not packed, and has a whole document in its first line and no line longer than
    `whole_bytes`. Steps of one run that stand together stay together, up to the bytes of two ranges.
    """
    try:
        if path.stat().st_size <= range_bytes:
            return Scanned(hash_file(path))
        with path.open("rb") as file:
            is_cut = has_lines(file, whole_bytes)
            file.seek(0)
            if is_cut:
                return _scan(file, range_bytes, whole_bytes)
            return Scanned(hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise _unreadable(path, error) from error


def read_range(path: Path, place: Range) -> bytes | None:
    """The bytes of a range, or None if they are not what was scanned. Raises ConfigurationError."""
    try:
        with path.open("rb") as file:
            file.seek(place.start)
            lines = file.read(place.size_bytes)
    except OSError as error:
        raise _unreadable(path, error) from error
    return lines if hashlib.sha256(lines).hexdigest() == place.sha256 else None


def read_range_documents(lines: bytes, place: Range) -> Iterator[Document | Damage]:
    """Documents of a range, as the whole file has them: the same places, in the same order."""
    stream = io.BytesIO(lines)
    first = stream.readline()
    # No line is longer than may be: such a file has no ranges.
    yield from read_lines(
        first if place.start else first.removeprefix(BYTE_ORDER_MARK), place.first_line, stream, len(lines)
    )


def _unreadable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{path} cannot be read: {error.strerror}")


def _scan(file: BinaryIO, range_bytes: int, whole_bytes: int) -> Scanned:
    whole, own = hashlib.sha256(), hashlib.sha256()
    ranges: list[Range] = []
    start = at = line_bytes = 0
    first_line = line = 1
    has_long_line = False
    for data, is_first in _pieces(file, range_bytes, min(range_bytes, whole_bytes, _CHUNK_BYTES), whole_bytes):
        if is_first:
            ranges.append(Range(start, at - start, first_line, own.hexdigest()))
            start, first_line, own = at, line, hashlib.sha256()
        whole.update(data)
        own.update(data)
        at += len(data)
        line += data.count(b"\n")
        # A piece is no longer than a line may be: only the line that it goes on with may be too long.
        has_long_line |= line_bytes + (data.find(b"\n") + 1 or len(data)) > whole_bytes
        line_bytes = len(data) - data.rfind(b"\n") - 1 + (0 if b"\n" in data else line_bytes)
    if has_long_line or not ranges:
        return Scanned(whole.hexdigest())
    return Scanned(whole.hexdigest(), (*ranges, Range(start, at - start, first_line, own.hexdigest())))


def _pieces(file: BinaryIO, range_bytes: int, chunk_bytes: int, whole_bytes: int) -> Iterator[tuple[bytes, bool]]:
    """All of a file in pieces, and of each whether a further range begins with it."""
    size = 0
    while data := file.read(min(chunk_bytes, range_bytes - size)):
        yield data, False
        size += len(data)
        while size >= range_bytes:
            # What is left of a line, or nothing more than a line break of the next, is no line to judge by.
            yield (rest := file.readline(whole_bytes + 1)), False
            size += len(rest)
            last: list[str | None] = []
            while line := file.readline(whole_bytes + 1):
                runs = _runs_of(line)
                is_first = size >= 2 * range_bytes or bool(last and runs and (runs[0] is None or runs[0] != last[0]))
                yield line, is_first
                if is_first:
                    size = len(line)
                    break
                size += len(line)
                last = runs[-1:] or last
            else:
                return


def _runs_of(line: bytes) -> list[str | None]:
    """The run of each run's step in a line, None for what is a run itself."""
    return [found.run_id for found in read_content(line.strip(), Context("")) if isinstance(found, Found)]
