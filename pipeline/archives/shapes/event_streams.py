"""Event streams as they were saved: `event:` and `data:` lines, of which the data is JSON."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from pipeline.archives.shapes.content import Context, Within

_FIELD = re.compile(rb"(?:event|data|id|retry):|:")
_END = b"[DONE]"


def is_stream_line(line: bytes) -> bool:
    """Whether a line is one of an event stream."""
    return _FIELD.match(line) is not None


def read_stream_lines(lines: Iterable[bytes], first: int = 1) -> Iterator[tuple[int, bytes]]:
    """The data of each event, which may take several lines, with the number of the first of them."""
    data: list[bytes] = []
    start = first
    for number, line in enumerate(lines, first):
        text = line.rstrip(b"\r\n")
        if text.startswith(b"data:"):
            start = start if data else number
            data.append(text.removeprefix(b"data:").removeprefix(b" "))
        elif data and not text.strip():
            yield start, b"\n".join(data)
            data = []
    if data:
        yield start, b"\n".join(data)


def read_stream(body: bytes, context: Context) -> Iterator[Within]:
    """The data of each event of a stream that something holds."""
    for number, data in read_stream_lines(body.splitlines()):
        if data.strip() != _END:
            yield Within(data, replace(context, where=f"{context.where} line {number}"))


def is_end(data: bytes) -> bool:
    """Whether this is the sign at the end of a stream, and no data."""
    return data.strip() == _END
