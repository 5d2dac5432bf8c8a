"""One GET over libcurl: asked once, its answer whole when it is small, as it arrives when it is large."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pycurl

from pipeline.http.connection_faults import CurlFailure, Unanswered, explain_curl

# A larger body than this is handed on before its end, and waits for whoever reads it.
MOST_HELD_BYTES = 2**20
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?!\d)")


class NoAnswerError(httpx.TransportError):
    """There is no answer, or it broke off; `failure` says why, without the URL."""

    def __init__(self, failure: Unanswered) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Exchange(httpx.AsyncByteStream):
    """A request under way on one of libcurl's handles, and the body of its answer: what is packed stays packed.

    `proxy` is the scheme of the proxy, if there is one.
    `release` is called once the handle is free for another request; after a request that was given up it is not.
    """

    def __init__(self, multi: Any, curl: Any, *, proxy: str, release: Callable[[], None]) -> None:
        self._multi = multi
        self._curl = curl
        self._proxy = proxy
        self._release = release
        self._lines: list[bytes] = []
        self._chunks: list[bytes] = []
        self._held_bytes = 0
        self._paused = False
        self._asked = False
        self._failure: Unanswered | None = None
        curl.setopt(pycurl.HEADERFUNCTION, self._lines.append)
        curl.setopt(pycurl.WRITEFUNCTION, self._take)
        curl.setopt(pycurl.PREREQFUNCTION, self._ask)
        self._news = asyncio.get_running_loop().create_future()
        self._ended = multi.add_handle(curl)
        self._ended.add_done_callback(self._end)

    async def read_head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Status and headers, once the body is whole or more than is held back. Raises NoAnswerError."""
        await self._wait()
        try:
            return _read_head(self._lines)
        except NoAnswerError:
            await self.aclose()
            raise

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            chunks, self._chunks, self._held_bytes = self._chunks, [], 0
            for chunk in chunks:
                yield chunk
            if not self._paused:
                break
            self._paused = False
            self._news = asyncio.get_running_loop().create_future()
            if not self._ended.done():
                self._curl.pause(pycurl.PAUSE_CONT)
            await self._wait()
        if self._failure is not None:
            raise NoAnswerError(self._failure)

    async def aclose(self) -> None:
        self._chunks = []
        if not self._ended.done():
            # That closes the connection too, as the rest of the answer would still come.
            self._multi.remove_handle(self._curl)
            self._curl.close()

    async def _wait(self) -> None:
        """Until the answer has ended or pauses."""
        try:
            await self._news
        except asyncio.CancelledError:
            await self.aclose()
            raise
        if self._failure is not None:
            raise NoAnswerError(self._failure)

    def _ask(self, *_: object) -> Any:
        """libcurl would ask once more by itself where a connection ends: uncounted, at once, past the pacer."""
        if self._asked:
            return pycurl.PREREQFUNC_ABORT
        self._asked = True
        return pycurl.PREREQFUNC_OK

    def _take(self, chunk: bytes) -> Any:
        if self._held_bytes >= MOST_HELD_BYTES:
            self._paused = True
            self._tell()
            return pycurl.WRITEFUNC_PAUSE
        self._held_bytes += len(chunk)
        self._chunks.append(chunk)
        return None

    def _end(self, ended: asyncio.Future[Any]) -> None:
        self._paused = False
        if ended.cancelled():
            self._failure = Unanswered("answer", "no answer (the request was given up)")
        else:
            if (error := ended.exception()) is not None:
                self._failure = self._explain(error)
            self._release()
        if self._failure is not None:
            self._chunks = []
        self._tell()

    def _explain(self, error: BaseException) -> Unanswered:
        match error.args:
            case (int() as code, str() as text):
                return explain_curl(self._describe(code, text))
        # Not of this request, but of what all of them run in.
        return Unanswered("answer", f"no answer ({type(error).__name__} in libcurl)")

    def _describe(self, code: int, text: str) -> CurlFailure:
        return CurlFailure(
            code=code,
            text=text,
            errno=self._curl.getinfo(pycurl.OS_ERRNO),
            proxy_status=self._curl.getinfo(pycurl.HTTP_CONNECTCODE),
            asked=self._asked,
            proxy=self._proxy,
        )

    def _tell(self) -> None:
        if not self._news.done():
            self._news.set_result(None)


def _read_head(lines: list[bytes]) -> tuple[int, list[tuple[bytes, bytes]]]:
    """Of the last head only: those before it are a proxy's, or announce this one. After it come trailers.

    Raises NoAnswerError if there is none, or one without an end: libcurl takes one that breaks off for an answer.
    """
    status, first = 0, 0
    for number, line in enumerate(lines):
        # Headers and trailers may look like it, only a head begins with it.
        if (found := _STATUS_LINE.match(line)) and not (number and lines[number - 1].strip()):
            status, first = int(found[1]), number
    if not status:
        raise NoAnswerError(Unanswered("answer", "no answer (what came is no HTTP)"))
    headers: list[tuple[bytes, bytes]] = []
    for line in lines[first + 1 :]:
        name, colon, value = line.partition(b":")
        if not line.strip():
            return status, headers
        if colon:
            headers.append((name, value.strip()))
    raise NoAnswerError(Unanswered("answer", "no answer (it broke off in its head)"))
