"""A server on loopback that answers from a script, byte for byte, and notes what was asked and when."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.fake_clock import FakeClock

# Scripted in place of an answer: the connection ends, or nothing ever comes.
CUT = b""
SILENCE = b"(silence)"


@dataclass(frozen=True)
class Seen:
    """One request: the target as it was on the wire, header names in lower case, time by the fake clock."""

    target: str
    headers: dict[str, str]
    at_s: float


def reply(status: int = 200, body: bytes | str = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """An answer with its right length, after which the connection closes."""
    content = body.encode() if isinstance(body, str) else body
    names = {"Content-Length": str(len(content)), "Connection": "close", **(headers or {})}
    head = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in names.items())]
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + content


def list_body(*ids: str, has_more: bool = False) -> str:
    """A list envelope."""
    data = [{"id": item_id, "status": "completed"} for item_id in ids]
    return json.dumps({"object": "list", "data": data, "has_more": has_more})


def error_body(*, kind: str | None = None, code: str | None = None, message: str = "no luck") -> str:
    """An error as OpenAI shapes it."""
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


OK = reply(200, list_body("run_1"))


@dataclass
class ScriptedServer:
    """Answers in the order of the script, the last one for ever; an async context manager."""

    script: Sequence[bytes]
    clock: FakeClock = field(default_factory=FakeClock)
    seen: list[Seen] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        """The base URL, of the kind that people configure."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> "ScriptedServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            answer = self.script[min(len(self.seen), len(self.script) - 1)]
            fields = (line.partition(":") for line in head[1:] if line)
            headers: dict[str, str] = {}
            for name, _, value in fields:
                # What is sent twice shows.
                headers[name.lower()] = ", ".join(filter(None, (headers.get(name.lower()), value.strip())))
            self.seen.append(Seen(head[0].split(" ")[1], headers, self.clock.time_s))
            if answer == SILENCE:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
