"""Ways to run the emulator: beside the caller in a thread, or as a process of its own."""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pipeline.emulator.account.corpus import DEFAULT_SEED, DEFAULT_THREADS, Corpus, generate_corpus
from pipeline.emulator.account.truth import Truth
from pipeline.emulator.dialects import AuthStyle, DialectName
from pipeline.emulator.faults.applying import read_rules
from pipeline.emulator.server import DEFAULT_API_KEY, DEFAULT_BASE_PATH, create_app, serve
from pipeline.emulator.state import DEFAULT_CONVERSATIONS, EMULATION, Emulation
from pipeline.emulator.successors.truth import ProtocolTruth, count_successors

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 60.0

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class RunningEmulator:
    """A server that listens on loopback; its methods may be called from any thread."""

    base_url: str
    control_url: str
    port: int
    api_key: str = field(repr=False)
    corpus: Corpus = field(repr=False)
    emulation: Emulation = field(repr=False)
    loop: asyncio.AbstractEventLoop = field(repr=False)

    def set_faults(self, rules: Sequence[Mapping[str, object]]) -> None:
        """Replace all fault rules; a ValueError says what is wrong with a rule."""
        parsed = read_rules(list(rules))
        self._call(lambda: setattr(self.emulation, "rules", parsed))

    def clear_faults(self) -> None:
        """Answer honestly again."""
        self.set_faults([])

    def struck(self) -> list[int]:
        """How many answers each fault rule has really changed, in the order of the rules."""
        return self._call(lambda: [rule.struck for rule in self.emulation.rules])

    def advance(self) -> int:
        """Go on to phase 1."""
        return self._call(self.emulation.advance)

    def truth(self) -> Truth:
        """The exact totals of the phase that is being served."""
        return self.corpus.truth(self.emulation.store.phase)

    def successor_truth(self) -> dict[str, ProtocolTruth]:
        """The same of conversations, chains and sessions."""
        return count_successors(self.emulation.successors, self.emulation.store.phase)

    def requests(self) -> list[dict[str, Any]]:
        """The request log, oldest first."""
        return self._call(lambda: [entry.as_dict() for entry in self.emulation.log.entries])

    def clear_requests(self) -> None:
        """Forget all requests."""
        self._call(self.emulation.log.clear)

    def peak_in_flight(self) -> int:
        """The largest number of requests that were in flight at once."""
        return self._call(lambda: self.emulation.log.peak_in_flight)

    def _call(self, function: Callable[[], Value]) -> Value:
        async def call() -> Value:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(STOP_TIMEOUT_S)


@contextmanager
def running_emulator(
    corpus: Corpus | None = None,
    *,
    seed: int = DEFAULT_SEED,
    threads: int = DEFAULT_THREADS,
    phase: int = 0,
    api_key: str = DEFAULT_API_KEY,
    dialect: DialectName = "plain",
    auth: AuthStyle = "bearer",
    base_path: str = DEFAULT_BASE_PATH,
    conversations: int = DEFAULT_CONVERSATIONS,
    moves: bool = False,
) -> Iterator[RunningEmulator]:
    """A server on a free port of 127.0.0.1 in a thread of its own, stopped and joined at the end."""
    corpus = corpus or generate_corpus(seed=seed, threads=threads)
    app = create_app(corpus, api_key=api_key, dialect=dialect, auth=auth, base_path=base_path, phase=phase)
    app[EMULATION].conversations, app[EMULATION].moves = conversations, moves
    started: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def main() -> None:
        stop = asyncio.Event()
        runner, port = await serve(app)
        started.set_result((port, asyncio.get_running_loop(), stop))
        await stop.wait()
        await runner.cleanup()

    def run_loop() -> None:
        try:
            asyncio.run(main())
        except OSError as error:
            started.set_exception(error)

    thread = threading.Thread(target=run_loop, name="emulator", daemon=True)
    thread.start()
    port, loop, stop = started.result(START_TIMEOUT_S)
    root = f"http://127.0.0.1:{port}"
    try:
        yield RunningEmulator(
            base_url=root + base_path.rstrip("/"),
            control_url=f"{root}/_emulator",
            port=port,
            api_key=api_key,
            corpus=corpus,
            emulation=app[EMULATION],
            loop=loop,
        )
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(STOP_TIMEOUT_S)


def run_emulator(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = DEFAULT_SEED,
    threads: int = DEFAULT_THREADS,
    phase: int = 0,
    api_key: str = DEFAULT_API_KEY,
    dialect: DialectName = "plain",
    auth: AuthStyle = "bearer",
    base_path: str = DEFAULT_BASE_PATH,
    corpus: Corpus | None = None,
    moves: bool = False,
    ready: Callable[[str], None] | None = None,
    stop_on_stdin_eof: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM, or until stdin ends when asked to.

    Once it listens, one JSON line with base_url, port and pid goes to stdout and base_url to `ready`.
    """
    app = create_app(
        corpus or generate_corpus(seed=seed, threads=threads),
        api_key=api_key,
        dialect=dialect,
        auth=auth,
        base_path=base_path,
        phase=phase,
    )
    app[EMULATION].moves = moves

    async def main() -> None:
        stop = asyncio.Event()
        runner, bound_port = await serve(app, host=host, port=port)
        _stop_on_signals(stop)
        if stop_on_stdin_eof:
            _stop_with_stdin(stop)
        base_url = f"http://{_write_host(host)}:{bound_port}{base_path.rstrip('/')}"
        print(json.dumps({"base_url": base_url, "port": bound_port, "pid": os.getpid()}), flush=True)
        if ready is not None:
            ready(base_url)
        await stop.wait()
        await runner.cleanup()

    asyncio.run(main())


def _write_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not every platform and only the main thread has signal handlers in the loop.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)


def _stop_with_stdin(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def wait_for_end() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait_for_end, name="emulator-stdin", daemon=True).start()
