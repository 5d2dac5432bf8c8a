"""Thread ids that a person names: on the command line, or in a file of lines, CSV, JSONL or Parquet."""

import hashlib
import io
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl

from pipeline.decay import DECAY, is_age, parse_age
from pipeline.endpoint import check_id
from pipeline.errors import ConfigurationError

COLUMN = "thread_id"
STDIN = "-"
_SEPARATORS = (",", ";", "\t")
_COMMENT = "#"
_PARQUET_MAGIC = b"PAR1"
_SHARD = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_HASHED_BYTES = 8


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts of all threads, `number` from 1.

    A thread belongs to the shard 1 + (h modulo count), where h are the first 8 bytes of the SHA-256 of its id in UTF-8,
    read as a big-endian number. This never changes, on any machine.
    """

    number: int
    count: int

    def takes(self, thread_id: str) -> bool:
        """Whether the thread belongs to this shard."""
        digest = hashlib.sha256(thread_id.encode()).digest()
        return int.from_bytes(digest[:_HASHED_BYTES], "big") % self.count + 1 == self.number


def parse_shard(text: str) -> Shard:
    """The shard that `i/n` names. Raises ConfigurationError unless 1 <= i <= n."""
    match = _SHARD.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(f"--shard {text!r} is not i/n, for example 1/4")
    shard = Shard(int(match[1]), int(match[2]))
    if not 1 <= shard.number <= shard.count:
        raise ConfigurationError(f"--shard {text!r}: the shards of n are numbered 1/n to n/n")
    return shard


def parse_since(text: str, *, now: datetime) -> datetime:
    """The instant that an age (12h, 30d, 4w) before `now` or a date (2026-01-31, midnight UTC) names."""
    if is_age(text):
        try:
            return now - parse_age(text, where="--since")
        except OverflowError as error:
            raise ConfigurationError(f"--since {text!r} is before all time") from error
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ConfigurationError(
            f"--since {text!r} is neither an age like 30d, 12h or 4w nor a date nor the word {DECAY}"
        ) from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def read_thread_ids(named: Sequence[str], files: Sequence[str]) -> list[str]:
    """Ids from the command line and then from files, in order, each once.

    Raises ConfigurationError naming the file and the line that cannot be used.
    """
    found = [check_id(thread_id, where="the command line") for thread_id in named]
    for file in files:
        found += read_thread_file(file)
    return list(dict.fromkeys(found))


def read_thread_file(file: str) -> list[str]:
    """Ids of one file (`-`: standard input).

    The kind is seen from the content: Parquet, JSONL, CSV with a thread_id column, else lines; those that are empty or
    begin with # are passed over.
    """
    where = "standard input" if file == STDIN else file
    try:
        content = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{where} cannot be read: {error.strerror}") from error
    if content.startswith(_PARQUET_MAGIC):
        return _checked(_parquet_ids(content, where), where)
    try:
        # Not splitlines, which also splits at signs that may stand inside a line of JSON.
        lines = list(io.StringIO(content.decode("utf-8-sig"), newline=None))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{where}: byte {error.start} is not UTF-8: save it as UTF-8 or as Parquet") from error
    first = next((line for line in lines if line.strip()), "")
    if first.lstrip().startswith("{"):
        return _checked(_jsonl_ids(lines, where), where)
    separator = next((sign for sign in _SEPARATORS if sign in first), None)
    if separator is not None or first.strip().strip('"') == COLUMN:
        return _checked(_csv_ids(content, where, separator=separator or ","), where)
    named = ((number, line.strip()) for number, line in enumerate(lines, 1) if not line.startswith(_COMMENT))
    return _checked(((number, thread_id) for number, thread_id in named if thread_id), where)


def _checked(ids: Iterable[tuple[int, str | None]], where: str) -> list[str]:
    return [check_id(thread_id or "", where=f"{where}, line {number}") for number, thread_id in ids]


def _parquet_ids(content: bytes, where: str) -> Iterable[tuple[int, str | None]]:
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError as error:
        raise ConfigurationError(f"{where} is not a Parquet file that can be read: {error}") from error
    return enumerate(_column(frame, where), 1)


def _csv_ids(content: bytes, where: str, *, separator: str) -> Iterable[tuple[int, str | None]]:
    try:
        frame = pl.read_csv(io.BytesIO(content), infer_schema=False, separator=separator)
    except pl.exceptions.PolarsError as error:
        raise ConfigurationError(f"{where} is not a CSV file that can be read: {error}") from error
    return enumerate(_column(frame, where), 2)


def _column(frame: pl.DataFrame, where: str) -> list[str | None]:
    if COLUMN not in frame.columns:
        raise ConfigurationError(f"{where} has no column {COLUMN!r}; it has: {', '.join(frame.columns)}")
    return [value if value is None else str(value).strip() for value in frame[COLUMN].to_list()]


def _jsonl_ids(lines: Sequence[str], where: str) -> Iterable[tuple[int, str | None]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = msgspec.json.decode(line, type=dict[str, object])
        except msgspec.DecodeError as error:
            raise ConfigurationError(f"{where}, line {number}: not a JSON object ({error})") from error
        value = record.get(COLUMN)
        if not isinstance(value, str):
            raise ConfigurationError(f"{where}, line {number}: no text in {COLUMN!r}")
        yield number, value
