"""Documents too large to be held, or broken somewhere: their items one by one."""

import io
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import ijson
from ijson.common import IncompleteJSONError, JSONError, ObjectBuilder

from pipeline.archives.unpacking import CHUNK_BYTES
from pipeline.protocol.json_text import MOST_VALUES

# Where large documents have their items: a bare array, a list envelope or another field, an HTTP recording.
_ITEM_PLACE = re.compile(r"(?:[^.]+\.)?item|log\.entries\.item")


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


def read_items(stream: "Joined", whole_bytes: int) -> Iterator[Document | Damage]:
    """Items of documents. They are written anew: the same values, not the same spaces."""
    index = values = 0
    builder: ObjectBuilder | None = None
    events: Iterable[tuple[str, str, Any]] = ijson.parse(
        stream, use_float=True, multiple_values=True, buf_size=CHUNK_BYTES
    )
    prefix = None
    try:
        for place, event, value in events:
            if builder is None and event == "start_map" and _ITEM_PLACE.fullmatch(place):
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


class Joined(io.RawIOBase):
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
