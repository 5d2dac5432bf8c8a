"""Thread ids in files of lines, CSV, JSON or Parquet, or on standard input: read as they come, none of them whole."""

import codecs
import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import msgspec
import polars as pl

from pipeline.errors import ConfigurationError
from pipeline.protocol.endpoint import check_thread_id
from pipeline.threads.selection import COLUMN

STDIN = "-"
_SEPARATORS = (",", ";", "\t")
_COMMENT = "#"
_PARQUET_MAGIC = b"PAR1"
_CHUNK_BYTES = 1 << 16
_BATCH_ROWS = 10_000
# The default of csv is less than a text of a customer may be.
_LONGEST_FIELD = 2**31 - 1

# An id with the number of its line; None where there is none.
_Numbered = Iterator[tuple[int, str | None]]


def read_thread_ids(named: Sequence[str], files: Sequence[str]) -> Iterator[str]:
    """Ids from the command line and then from files, in order.

    Raises ConfigurationError naming the file and the line that cannot be used.
    """
    for thread_id in named:
        yield check_thread_id(thread_id, where="the command line")
    for file in files:
        yield from read_thread_file(file)


def read_thread_file(file: str) -> Iterator[str]:
    """Ids of one file (`-`: standard input).

    The kind is seen from the content: Parquet, JSONL, a JSON array, CSV with a thread_id column, else lines; those that
    are empty or begin with #, after blanks or not, are passed over.
    """
    where = "standard input" if file == STDIN else file
    try:
        with nullcontext(sys.stdin.buffer) if file == STDIN else Path(file).open("rb") as content:
            for number, thread_id in _numbered_ids(content, file, where):
                yield check_thread_id(thread_id or "", where=f"{where}, line {number}")
    except OSError as error:
        raise ConfigurationError(f"{where} cannot be read: {error.strerror}") from error


def _numbered_ids(content: BinaryIO, file: str, where: str) -> _Numbered:
    head = content.read(_CHUNK_BYTES)
    if head.startswith(_PARQUET_MAGIC):
        return _parquet_ids(io.BytesIO(head + content.read()) if file == STDIN else Path(file), where)
    return _text_ids(_read_lines(head, content, where), where)


def _text_ids(lines: Iterator[str], where: str) -> _Numbered:
    numbered: Iterator[tuple[int, str]] = enumerate(lines, 1)
    number, first = next(((number, line) for number, line in numbered if not _says_nothing(line)), (0, ""))
    numbered = chain([(number, first)], numbered)
    if first.lstrip().startswith("{"):
        return _jsonl_ids(numbered, where)
    if first.lstrip().startswith("["):
        return _array_ids("".join(line for _, line in numbered), where)
    separator = next((sign for sign in _SEPARATORS if sign in first), None)
    if separator is not None or first.strip().strip('"') == COLUMN:
        return _csv_ids(_RowLines(numbered), where, separator=separator or ",")
    return ((number, line.strip()) for number, line in numbered if not _says_nothing(line))


def _says_nothing(line: str) -> bool:
    return not line.strip() or _is_comment(line)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(_COMMENT)


class _RowLines:
    """Lines for the rows of a CSV file, without comments; inside a row that goes on over several lines none is one."""

    def __init__(self, lines: Iterable[tuple[int, str]]) -> None:
        self._lines = lines
        self.number = 0
        self.row_begun = False

    def __iter__(self) -> Iterator[str]:
        for number, line in self._lines:
            self.number = number
            if self.row_begun or not _is_comment(line):
                self.row_begun = True
                yield line


def _read_lines(head: bytes, content: BinaryIO, where: str) -> Iterator[str]:
    """Lines with their ends; not split at signs that may stand inside a line of JSON, as splitlines does."""
    decoder, newlines = codecs.getincrementaldecoder("utf-8")(), io.IncrementalNewlineDecoder(None, translate=True)
    position = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    chunk, line = head[position:], [""]
    while True:
        pending = len(decoder.getstate()[0])
        try:
            text = newlines.decode(decoder.decode(chunk, final=not chunk), final=not chunk)
        except UnicodeDecodeError as error:
            raise ConfigurationError(
                f"{where}: byte {position - pending + error.start} is not UTF-8: save it as UTF-8 or as Parquet"
            ) from error
        rest, *begun = text.split("\n")
        line.append(rest)
        for start in begun:
            yield "".join([*line, "\n"])
            line = [start]
        if not chunk:
            break
        position += len(chunk)
        chunk = content.read(_CHUNK_BYTES)
    if last := "".join(line):
        yield last


def _parquet_ids(source: Path | io.BytesIO, where: str) -> _Numbered:
    try:
        frame = pl.scan_parquet(source, glob=False)
        _check_column(frame.collect_schema().names(), where)
        batches = frame.select(COLUMN).collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True)
        values = (value for batch in batches for value in batch[COLUMN].to_list())
        for number, value in enumerate(values, 1):
            yield number, None if value is None else str(value).strip()
    except pl.exceptions.PolarsError as error:
        raise ConfigurationError(f"{where} is not a Parquet file that can be read: {error}") from error


def _csv_ids(lines: _RowLines, where: str, *, separator: str) -> _Numbered:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        header = next(reader)
        _check_column(header, where)
        place = header.index(COLUMN)
        lines.row_begun = False
        for row in reader:
            lines.row_begun = False
            if len(row) > len(header):
                raise csv.Error(f"{len(row)} fields under a header of {len(header)}")
            if row:
                yield lines.number, row[place].strip() if place < len(row) else None
    except csv.Error as error:
        raise ConfigurationError(f"{where} is not a CSV file that can be read: line {lines.number}: {error}") from error


def _check_column(columns: Sequence[str], where: str) -> None:
    if COLUMN not in columns:
        raise ConfigurationError(f"{where} has no column {COLUMN!r}; it has: {', '.join(columns)}")


def _jsonl_ids(lines: Iterable[tuple[int, str]], where: str) -> _Numbered:
    for number, line in lines:
        if _says_nothing(line):
            continue
        try:
            record = msgspec.json.decode(line, type=dict[str, object])
        except msgspec.DecodeError as error:
            raise ConfigurationError(f"{where}, line {number}: not a JSON object ({error})") from error
        value = record.get(COLUMN)
        if not isinstance(value, str):
            raise ConfigurationError(f"{where}, line {number}: no text in {COLUMN!r}")
        yield number, value


def _array_ids(text: str, where: str) -> _Numbered:
    """Ids of one JSON array: of texts, or of objects that have them."""
    try:
        items = msgspec.json.decode(text, type=list[str | dict[str, object]])
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{where}: not a JSON array of thread ids ({error})") from error
    for number, item in enumerate(items, 1):
        value = item if isinstance(item, str) else item.get(COLUMN)
        if not isinstance(value, str):
            raise ConfigurationError(f"{where}, item {number}: no text in {COLUMN!r}")
        yield number, value
