"""The content of an archive file: unpacked while it is read, in UTF-8 whatever it was written in."""

import codecs
import gzip
import io
import sys
import zlib
from typing import Any, BinaryIO, cast

from pipeline.archives.shapes.foreign import MAGIC_BYTES, name_file

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZstdError = zstd.ZstdError
DAMAGED = (OSError, EOFError, zlib.error, ZstdError, UnicodeDecodeError)
CHUNK_BYTES = 2**20
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# The longer marks first: that of UTF-32 begins like that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# JSON begins with two signs of ASCII: of two bytes each, where nothing marks the encoding.
_TWO_BYTES = 2


class ForeignFileError(ValueError):
    """The file is of a kind that is known and not read; the message says which."""


def unpack(packed: BinaryIO, damages: list[Exception]) -> BinaryIO:
    """The content in UTF-8; the kinds of packing and encoding are seen from the first bytes.

    Where what is packed breaks off the content ends, and `damages` has why.

    Raises ForeignFileError for a file of another kind.
    """
    stream = _unpacked(packed, damages)
    start = stream.peek(MAGIC_BYTES)[:MAGIC_BYTES]
    if (name := name_file(start)) is not None:
        raise ForeignFileError(name)
    encoding = _encoding_of(start)
    return stream if encoding is None else io.BufferedReader(_Recoded(stream, encoding, damages), CHUNK_BYTES)


def _unpacked(packed: BinaryIO, damages: list[Exception]) -> io.BufferedReader:
    start = packed.read(len(_ZSTD_MAGIC))
    packed.seek(0)
    if start.startswith(_GZIP_MAGIC):
        return io.BufferedReader(_UpToDamage(gzip.GzipFile(fileobj=packed), damages), CHUNK_BYTES)
    if start == _ZSTD_MAGIC:
        return io.BufferedReader(_UpToDamage(zstd.ZstdFile(packed), damages), CHUNK_BYTES)
    return packed if isinstance(packed, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", packed))


def _encoding_of(start: bytes) -> str | None:
    """The encoding of a text that is not in UTF-8 (PowerShell writes UTF-16), or None."""
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    head = start[: 2 * _TWO_BYTES]
    if len(head) == 2 * _TWO_BYTES and head.count(0) == _TWO_BYTES:
        return "utf-16-le" if head[1] == 0 == head[3] else "utf-16-be" if head[0] == 0 == head[2] else None
    return None


class _UpToDamage(io.RawIOBase):
    """What a packed stream holds up to where it breaks off; why it does is added to `damages`."""

    def __init__(self, stream: Any, damages: list[Exception]) -> None:
        super().__init__()
        self._stream = stream
        self._damages = damages

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, or a part of it."""
        if self._damages:
            return 0
        try:
            data = self._stream.read1(len(buffer))
        except DAMAGED as error:
            self._damages.append(error)
            return 0
        buffer[: len(data)] = data
        return len(data)


class _Recoded(io.RawIOBase):
    """A text of another encoding in UTF-8, up to where it is none of that encoding."""

    def __init__(self, stream: BinaryIO, encoding: str, damages: list[Exception]) -> None:
        super().__init__()
        self._damages = damages
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._left = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer."""
        while not self._left:
            data = self._stream.read(CHUNK_BYTES)
            try:
                self._left = self._decoder.decode(data, final=not data).encode("utf-8", errors="replace")
            except UnicodeDecodeError as error:
                if not self._damages:
                    self._damages.append(error)
                data = b""
            if not data:
                break
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size
