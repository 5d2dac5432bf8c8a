"""Archive files on disk: which there are, and their JSON documents one after another in bounded memory."""

import glob
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from pipeline.archives.agent_stores import SQLITE_MAGIC, is_store, read_store
from pipeline.archives.large import Damage, Document, Joined, read_items
from pipeline.archives.shapes.cassettes import CASSETTE_SIGNS, YAML_ENDINGS, read_yaml
from pipeline.archives.shapes.event_streams import is_end, is_stream_line, read_stream_lines
from pipeline.archives.shapes.foreign import is_json, is_python, why_not_json
from pipeline.archives.shapes.log_lines import is_log_line
from pipeline.archives.unpacking import CHUNK_BYTES, DAMAGED, ForeignFileError, unpack
from pipeline.errors import ConfigurationError
from pipeline.protocol.json_text import MOST_VALUES, has_too_many_values, mask_numbers, repair_numbers

# A document up to this size is read whole and kept as it was sent; of a larger one the items are read one by one.
# No line and no item may be larger.
WHOLE_BYTES = 64 * 2**20
_NAMES = tuple(
    kind + packing for kind in (".json", ".jsonl", ".ndjson", ".har") for packing in ("", ".gz", ".zst", ".zstd")
)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GLOB_SIGNS = frozenset("*?[")
_SPACE = re.compile(r"\s*")
# Of a file in a folder that is not named as an archive.
_LOOKED_AT_BYTES = 16_384
_PACKED = (".zip", ".7z", ".bz2", ".xz", ".tar", ".tgz", ".gz", ".zst", ".zstd", ".parquet", ".arrow", ".feather")
_OBJECT = re.compile(rb"object[\\\"']*\s*:\s*[\\\"']*(?:thread\.run|response[\\\"'\s]|agent\.session)")


def find_archives(paths: Sequence[str]) -> list[Path]:
    """Files of the paths, globs and folders named, in the order of their names, each once.

    A folder gives the files in it, at any depth, whose names are those of archives. Raises ConfigurationError for a
    path or a glob that leads to nothing.
    """
    found: dict[Path, Path] = {}
    for named in paths:
        files = _files_of(named)
        if not files and not Path(named).exists() and _GLOB_SIGNS.isdisjoint(named):
            raise ConfigurationError(f"{named}: there is no such file or folder")
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
        if _is_store(path):
            yield from read_store(path)
            return
        damages: list[Exception] = []
        with path.open("rb") as packed, unpack(packed, damages) as stream:
            read = _read_yaml if path.suffix.lower() in YAML_ENDINGS else _read_stream
            yield from read(stream, whole_bytes)
        for damage in damages:
            yield Damage("where it breaks off", f"the file cannot be read further ({damage})")
    except ForeignFileError as error:
        yield Damage("the file", f"{error}; nothing of it was read")
    except DAMAGED as error:
        yield Damage("where it breaks off", f"the file cannot be read further ({error})")


def _is_store(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC and is_store(path)


def _files_of(named: str) -> list[Path]:
    path = Path(named)
    if path.is_dir():
        return [file for file in _walk(path) if file.is_file() and _is_archive(file)]
    if path.exists():
        return [path]
    if not _GLOB_SIGNS.isdisjoint(named):
        matches = [Path(match) for match in glob.glob(named, recursive=True)]  # noqa: PTH207 - Path.glob takes no absolute pattern
        return [file for match in matches for file in (_files_of(str(match)) if match.is_dir() else [match])]
    return []


def _walk(folder: Path) -> Iterator[Path]:
    """All files of a folder at any depth, also behind links, each folder once."""
    seen: set[Path] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        seen.add(Path(place).resolve())
        folders[:] = [name for name in folders if (Path(place) / name).resolve() not in seen]
        yield from (Path(place) / name for name in files)


def _is_archive(file: Path) -> bool:
    """By its name, or by how it begins: logs and exports have any. What is packed is named where it cannot be read."""
    name = file.name.lower()
    if name.endswith((*_NAMES, *_PACKED)):
        return True
    try:
        with file.open("rb") as content:
            start = b"\n" + content.read(_LOOKED_AT_BYTES)
    except OSError:
        return False
    # Half of the bytes of UTF-16 are none.
    has_object = _OBJECT.search(start.replace(b"\0", b"")) is not None
    return has_object or any(b"\n" + sign in start for sign in CASSETTE_SIGNS)


def read_beside(path: Path, name: str) -> bytes | None:
    """The content of a file that an archive names, which must be in its folder; None if there is none or it is huge."""
    folder = path.parent.resolve()
    beside = (folder / name).resolve()
    try:
        if beside.is_relative_to(folder) and beside.is_file() and beside.stat().st_size <= WHOLE_BYTES:
            return beside.read_bytes()
    except (OSError, ValueError):
        pass
    return None


def has_lines(stream: BinaryIO, whole_bytes: int) -> bool:
    """Whether the content, at its beginning now, is read line by line: its first line is a whole document, or has one
    behind other words.
    """
    head, _ = _read_head(stream, whole_bytes)
    return head.endswith(b"\n") and not is_stream_line(head) and _holds_document(head)


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
    if is_stream_line(head):
        yield from _read_events(Joined(head, stream), number, whole_bytes)
        return
    if head.endswith(b"\n") and _holds_document(head):
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


def _read_events(stream: Joined, first: int, whole_bytes: int) -> Iterator[Document | Damage]:
    """The data of the events of a saved stream."""
    reader = io.BufferedReader(stream, CHUNK_BYTES)
    lines = iter(lambda: reader.readline(whole_bytes + 1), b"")
    for number, data in read_stream_lines(lines, first):
        if len(data) > whole_bytes:
            yield Damage(f"line {number}", f"longer than {whole_bytes:,} bytes; the rest of the file was not read")
            return
        if not is_end(data):
            yield Document(f"line {number}", data)


def _read_yaml(stream: BinaryIO, whole_bytes: int) -> Iterator[Document | Damage]:
    body = stream.read(whole_bytes + 1)
    if len(body) > whole_bytes:
        yield Damage("the file", f"YAML of more than {whole_bytes:,} bytes; nothing of it was read")
        return
    try:
        for document in read_yaml(body):
            yield Document("$", document)
    except ValueError as error:
        yield Damage("the file", str(error))


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
    if (
        _holds_document(second)
        and not second.startswith(b"[")
        and not first.rstrip().endswith((b"[", b"{", b",", b":"))
    ):
        lines = io.BufferedReader(Joined(start, stream), CHUNK_BYTES)
        yield from read_lines(lines.readline(whole_bytes + 1), number, lines, whole_bytes)
    else:
        yield from read_items(Joined(start, stream, limit_bytes=whole_bytes), whole_bytes)


def _is_document(body: bytes) -> bool:
    return is_json(body) or ((masked := mask_numbers(body)) is not body and is_json(masked))


def _holds_document(line: bytes) -> bool:
    return _is_document(line) or is_log_line(line)


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
        if sum(_holds_document(line) for line in io.BytesIO(body) if not line.isspace()) > found:
            lines = io.BytesIO(body)
            yield from read_lines(lines.readline(), number, lines, len(body))
            return
        if not found and not is_python(body):
            # One document that is broken somewhere: its items up to there.
            items = list(read_items(Joined(repair_numbers(body), io.BytesIO()), len(body)))
            if len(items) > 1:
                yield from items
                return
    lines_of = LineNumbers(text, number)
    end = 0
    try:
        for start, end in _value_spans(text):
            yield Document(f"line {lines_of.at(start)}", text[start:end].encode())
    except (ValueError, RecursionError) as error:
        at = _after_space(text, end)
        yield Damage(f"line {lines_of.at(at)}", f"{_why(text[at:], error)}; the rest of the file was not read")


def _why(text: str, error: Exception) -> str:
    return why_not_json(text.encode()) if isinstance(error, ValueError) else f"not JSON ({error})"


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
