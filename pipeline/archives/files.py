"""Archive files on disk: which there are, and their JSON documents one after another in bounded memory."""

import glob
import gzip
import io
import json
import math
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import ijson
import msgspec
from ijson.common import IncompleteJSONError, JSONError, ObjectBuilder
from msgspec import Raw

from pipeline.errors import ConfigurationError
from pipeline.protocol.json_text import MOST_VALUES, has_too_many_values

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# A document up to this size is read whole and kept as it was sent; of a larger one the items are read one by one.
# No line and no item may be larger.
WHOLE_BYTES = 64 * 2**20
_NAMES = tuple(
    kind + packing for kind in (".json", ".jsonl", ".ndjson", ".har") for packing in ("", ".gz", ".zst", ".zstd")
)
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GLOB_SIGNS = frozenset("*?[")
_CHUNK_BYTES = 2**20
_SPACE = re.compile(r"\s*")
# Where large documents have their items: a bare array, a list envelope, an HTTP recording.
_ITEM_PREFIXES = ("item", "data.item", "log.entries.item")
_DAMAGED = (OSError, EOFError, zlib.error, zstd.ZstdError)


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON document, or one item of a document too large to be held; `where` is its place in the file."""

    where: str
    body: bytes
    is_item: bool = False


@dataclass(frozen=True, slots=True)
class Damage:
    """A place where a file cannot be read, and why. Unless more documents follow, the rest of the file is not read."""

    where: str
    reason: str


def find_archives(paths: Sequence[str]) -> list[Path]:
    """Files of the paths, globs and folders named, in the order of their names, each once.

    A folder gives the files in it, at any depth, whose names are those of archives. Raises ConfigurationError for a
    path or a glob that leads to nothing.
    """
    found: dict[Path, Path] = {}
    for named in paths:
        files = _files_of(named)
        if not files:
            raise ConfigurationError(
                f"{named}: there is no archive to import; in a folder these are files named {', '.join(_NAMES)}"
            )
        found.update((path.resolve(), path) for path in files)
    return sorted(found.values(), key=str)


def read_documents(path: Path, *, whole_bytes: int = WHOLE_BYTES) -> Iterator[Document | Damage]:
    """Documents of a file, packed or not: one a line, or documents that each take several lines.

    At most about `whole_bytes` of unpacked content are held at a time; where documents have to be taken apart to tell
    them from each other, up to `MOST_VALUES` of their values beside it.
    """
    try:
        with path.open("rb") as packed, _unpack(packed) as stream:
            yield from _read_stream(stream, whole_bytes)
    except _DAMAGED as error:
        yield Damage("where it breaks off", f"the file cannot be read further ({error})")


def _files_of(named: str) -> list[Path]:
    path = Path(named)
    if path.is_dir():
        return [file for file in path.rglob("*") if file.name.lower().endswith(_NAMES) and file.is_file()]
    if path.exists():
        return [path]
    if not _GLOB_SIGNS.isdisjoint(named):
        matches = [Path(match) for match in glob.glob(named, recursive=True)]  # noqa: PTH207 - Path.glob takes no absolute pattern
        return [file for match in matches for file in (_files_of(str(match)) if match.is_dir() else [match])]
    return []


def _unpack(packed: BinaryIO) -> BinaryIO:
    """The content, unpacked while it is read; the kind of packing is seen from the first bytes."""
    start = packed.read(len(_ZSTD_MAGIC))
    packed.seek(0)
    if start.startswith(_GZIP_MAGIC):
        return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=packed)), _CHUNK_BYTES)
    if start == _ZSTD_MAGIC:
        return io.BufferedReader(cast("io.RawIOBase", zstd.ZstdFile(packed)), _CHUNK_BYTES)
    return packed


def has_lines(stream: BinaryIO, whole_bytes: int) -> bool:
    """Whether the content, at its beginning now, is read line by line: its first line is a whole document."""
    head, _ = _read_head(stream, whole_bytes)
    return head.endswith(b"\n") and _is_document(head)


def read_lines(first: bytes, number: int, stream: BinaryIO, whole_bytes: int) -> Iterator[Document | Damage]:
    """Documents of one line each: of the `first`, which has that `number`, and of those that the stream has yet."""
    line = first
    while line:
        if len(line) > whole_bytes:
            yield Damage(f"line {number}", f"longer than {whole_bytes:,} bytes; the rest of the file was not read")
            return
        if not line.isspace():
            yield Document(f"line {number}", line.strip())
        line = stream.readline(whole_bytes + 1)
        number += 1


def _read_stream(stream: BinaryIO, whole_bytes: int) -> Iterator[Document | Damage]:
    head, number = _read_head(stream, whole_bytes)
    if not head:
        return
    if head.endswith(b"\n") and _is_document(head):
        yield from read_lines(head, number, stream, whole_bytes)
        return
    body = head + stream.read(max(whole_bytes + 1 - len(head), 0))
    if len(body) > whole_bytes:
        yield from _read_large(body, number, stream, whole_bytes)
    elif _is_document(body):
        yield Document("$", body)
    elif has_too_many_values(body):
        yield Damage(f"line {number}", f"more than {MOST_VALUES:,} values: the rest of the file was not read")
    else:
        yield from _read_values(body, number)


def _read_head(stream: BinaryIO, whole_bytes: int) -> tuple[bytes, int]:
    """The first line that is not blank, or how it begins, and its number."""
    head = stream.readline(whole_bytes + 1).removeprefix(BYTE_ORDER_MARK)
    number = 1
    while head.isspace():
        head = stream.readline(whole_bytes + 1)
        number += 1
    return head, number


def _read_large(start: bytes, number: int, stream: BinaryIO, whole_bytes: int) -> Iterator[Document | Damage]:
    first, _, rest = start.partition(b"\n")
    second = rest.partition(b"\n")[0]
    # A log that was cut begins with half a line; a document of several lines begins with one that is to be continued.
    if second.startswith(b"{") and _is_document(second) and not first.rstrip().endswith((b"[", b"{", b",", b":")):
        lines = io.BufferedReader(_Joined(start, stream), _CHUNK_BYTES)
        yield from read_lines(lines.readline(whole_bytes + 1), number, lines, whole_bytes)
    else:
        yield from _read_items(_Joined(start, stream, limit_bytes=whole_bytes), whole_bytes)


def _is_document(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _read_values(body: bytes, number: int) -> Iterator[Document | Damage]:
    """Documents of several lines each, one after another (as `jq .` writes them), or lines with a broken first one.

    The first pass only counts, so that no more than one document is held beside the body.
    """
    text = body.decode("utf-8", errors="replace")
    found = 0
    try:
        for _ in _value_spans(text):
            found += 1
    except (ValueError, RecursionError):
        if sum(_is_document(line) for line in io.BytesIO(body) if not line.isspace()) > found:
            lines = io.BytesIO(body)
            yield from read_lines(lines.readline(), number, lines, len(body))
            return
    lines_of = LineNumbers(text, number)
    end = 0
    try:
        for start, end in _value_spans(text):
            yield Document(f"line {lines_of.at(start)}", text[start:end].encode())
    except (ValueError, RecursionError) as error:
        yield Damage(f"line {lines_of.at(_after_space(text, end))}", f"not JSON ({error})")


def _value_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each document begins and ends. Raises ValueError or RecursionError at the first that is none."""
    decoder = json.JSONDecoder()
    at = _after_space(text, 0)
    while at < len(text):
        _, end = decoder.raw_decode(text, at)
        yield at, end
        at = _after_space(text, end)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


class LineNumbers:
    """Numbers of a text's lines, asked for from its start to its end: no sign is looked at twice."""

    def __init__(self, text: str, first: int = 1) -> None:
        self._text = text
        self._number = first
        self._counted_to = 0

    def at(self, position: int) -> int:
        """The number of the line that a position is in; not before the one asked for last."""
        self._number += self._text.count("\n", self._counted_to, position)
        self._counted_to = position
        return self._number


def _read_items(stream: "_Joined", whole_bytes: int) -> Iterator[Document | Damage]:
    """Items of documents too large to be held. They are written anew: the same values, not the same spaces."""
    index = values = 0
    builder: ObjectBuilder | None = None
    events: Iterable[tuple[str, str, Any]] = ijson.parse(
        stream, use_float=True, multiple_values=True, buf_size=_CHUNK_BYTES
    )
    prefix = None
    try:
        for place, event, value in events:
            if builder is None and event == "start_map" and place in _ITEM_PREFIXES:
                builder, prefix, values = ObjectBuilder(), place, 0
            if builder is not None:
                values += 1
                if values > MOST_VALUES:
                    raise ValueError(f"one item has more than {MOST_VALUES:,} values")
                builder.event(event, value)
                if event == "end_map" and place == prefix:
                    yield Document(f"{_json_path(place)}[{index}]", _encode(builder.value), is_item=True)
                    stream.grant()
                    builder, index = None, index + 1
    except (IncompleteJSONError, JSONError, ValueError) as error:
        reason = str(error).splitlines()[0]
        yield Damage(f"after item {index}", f"not JSON ({reason}); the rest of the file was not read")
        return
    if not index:
        yield Damage("$", f"a document of more than {whole_bytes:,} bytes that is no list of objects")


def _encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", errors="surrogatepass")


def _json_path(prefix: str) -> str:
    return "$." + prefix.removesuffix(".item") if "." in prefix else "$"


class _Joined(io.RawIOBase):
    """What was read already and then the rest of its stream; not more than the limit (and a chunk) at one grant."""

    def __init__(self, start: bytes, rest: BinaryIO, *, limit_bytes: float = math.inf) -> None:
        super().__init__()
        self._start: BinaryIO = io.BytesIO(start)
        self._rest = rest
        self._limit_bytes = limit_bytes
        self._left_bytes = limit_bytes

    def grant(self) -> None:
        """Allow for as much again: what was read has been used."""
        self._left_bytes = self._limit_bytes

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the start, and when that is used up from the rest."""
        if self._left_bytes <= 0:
            raise ValueError(f"one item is larger than {self._limit_bytes:,} bytes")
        data = self._start.read(len(buffer)) or self._rest.read(len(buffer))
        self._left_bytes -= len(data)
        buffer[: len(data)] = data
        return len(data)
