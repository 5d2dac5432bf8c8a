"""A wall clock that jumps: while a sync runs, between syncs, and against the clocks of the server and of the tokens."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus
from pipeline.errors import PipelineError
from pipeline.extract.fetching import ExtractOptions, Progress
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Clock, Pacer
from pipeline.http.retrying import RetryPolicy
from pipeline.http.tokens import Token, TokenSource
from pipeline.protocol.endpoint import Endpoint
from pipeline.verbs.sync.flow import SyncOptions, SyncResult, run_sync
from tests.faults.cell import Act, Cell, Ended, Lists, Outcome
from tests.syncs import SOURCE, read_all

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_NONE = timedelta()
_LONGEST_S = 300.0
# Clocks that jump while a sync runs do so at this look at them.
_JUMPS_AT = 100
_ALIKE = """
select count(*) from (
    select started_at, lag(started_at) over (order by started_at) as before from walks
) as stamps where started_at = before
"""
# How far the clock is off, by how often it was looked at.
Error = Callable[[int], timedelta]


@dataclass(slots=True)
class WrongClock:
    """The machine's clock with an error; `sleeps` counts the waits, so that whoever spins is seen."""

    error: Error
    looks: int = 0
    sleeps: int = 0

    def now(self) -> datetime:
        """The wrong time."""
        self.looks += 1
        return datetime.now(UTC) + self.error(self.looks)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        self.sleeps += 1
        await asyncio.sleep(seconds)

    def clock(self) -> Clock:
        """What the client is given."""
        return Clock(now=self.now, sleep=self.sleep)


@dataclass(slots=True)
class IssuedTokens:
    """Tokens good for an hour by the true clock; `issued` counts them."""

    value: str
    issued: int = 0
    source: TokenSource = field(init=False)

    def __post_init__(self) -> None:
        self.source = TokenSource(self._issue)

    def _issue(self, _now: datetime) -> Token:
        self.issued += 1
        return Token(self.value, datetime.now(UTC) + HOUR)


def clock_cells() -> Iterator[Cell]:
    """Every fault of the clock."""
    for name, error in _ERRORS.items():
        yield _cell(f"the clock jumps {name}", "sync", _DuringSync(error))
    for name, before, after in (("an hour back", _NONE, -HOUR), ("a day back", DAY, _NONE), ("a day on", _NONE, DAY)):
        act = _BetweenSyncs(before, after)
        yield _grown(_cell(f"the clock is set {name} while runs go on", "between syncs", act))
        interrupted = _AfterInterruption(before, after)
        yield _grown(_cell(f"the clock is set {name} after an interruption", "between syncs", interrupted))
    for name, error_of_clock in (("ahead", DAY), ("behind", -DAY)):
        yield _cell(f"Retry-After is a date, the clock a day {name}", "sync", _DatedWait(error_of_clock))
        yield _cell(f"tokens end, the clock a day {name}", "sync", _EndingTokens(error_of_clock))


_ERRORS: dict[str, Error] = {
    "an hour back": lambda looks: -HOUR if looks > _JUMPS_AT else _NONE,
    "a day on": lambda looks: DAY if looks > _JUMPS_AT else _NONE,
    "a day on and back, again and again": lambda looks: DAY if looks // 20 % 2 else _NONE,
}


def _cell(fault: str, stage: str, act: Act) -> Cell:
    return Cell("Machine", fault, stage, Outcome(), act=act)


def _grown(cell: Cell) -> Cell:
    """The cell on an account in which runs go on; what has to come of it is the account as it is then."""
    return replace(cell, corpus=lambda _lists: _growing(), expected=lambda _lists: _as_grown(_growing()))


def _growing() -> Corpus:
    return generate_corpus(threads=30, seed=7)


def _as_grown(corpus: Corpus) -> Corpus:
    after = replace(corpus.truths[1], phase=0)
    return replace(corpus, truths=(after, after))


# --- acts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _DuringSync:
    """One sync whose clock jumps; its records have to be in order all the same."""

    error: Error

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the sync with the clock that jumps ended."""
        wrong = WrongClock(self.error)
        result = _sync(server, folder / "data", wrong.clock())
        assert wrong.looks > 2 * _JUMPS_AT, f"nobody looked at the clock once it had jumped ({wrong.looks} looks)"
        assert wrong.sleeps < 100, f"it slept {wrong.sleeps} times"
        assert 0 <= result.seconds < _LONGEST_S, f"it says that it took {result.seconds} s"
        assert read_all(folder / "data", _ALIKE) == [(0,)], "records have the same instant"
        assert read_all(folder / "data", "select count(*) from walks where ended_at <= started_at") == [(0,)]
        return _ended(result, folder)


@dataclass(frozen=True, slots=True)
class _BetweenSyncs:
    """Two syncs with clocks that are differently wrong; in between the open runs go on and new ones come."""

    before: timedelta
    after: timedelta

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the second sync ended."""
        _sync(server, folder / "data", WrongClock(lambda _: self.before).clock())
        server.advance()
        return _ended(_sync(server, folder / "data", WrongClock(lambda _: self.after).clock()), folder)


@dataclass(frozen=True, slots=True)
class _AfterInterruption:
    """A sync that is interrupted, a whole one with another clock, and one more when the open runs have gone on."""

    before: timedelta
    after: timedelta

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the last sync ended."""
        first = _sync(server, folder / "data", WrongClock(lambda _: self.before).clock(), requests=60)
        assert first.verdict == "interrupted", f"it was not interrupted but {first.verdict}"
        _sync(server, folder / "data", WrongClock(lambda _: self.after).clock())
        server.advance()
        return _ended(_sync(server, folder / "data", WrongClock(lambda _: self.after + HOUR).clock()), folder)


@dataclass(frozen=True, slots=True)
class _DatedWait:
    """The server asks once to come again at a date that is a second away by its own clock."""

    error: timedelta

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the sync that waited ended."""
        soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
        refused = {"fault": "status", "status": 429, "headers": {"retry-after": soon}}
        server.set_faults([{**refused, "after_requests": 20, "times": 1}])
        wrong = WrongClock(lambda _: self.error)
        ended = _ended(_sync(server, folder / "data", wrong.clock()), folder)
        assert server.struck() == [1], "nobody was asked to wait"
        # Each start of a request wakes all that wait for theirs.
        assert wrong.sleeps < 5_000, f"it slept {wrong.sleeps} times"
        return ended


@dataclass(frozen=True, slots=True)
class _EndingTokens:
    """Tokens that by our clock have ended when they are issued, or are good for a day longer than they are."""

    error: timedelta

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the sync with two tokens ended."""
        # By a clock that is behind the first token looks good for long; the server refuses it after a while.
        refused = {"fault": "status", "status": 401, "after_requests": 20, "times": 1}
        server.set_faults([refused])
        tokens = IssuedTokens(server.api_key)
        result = _sync(server, folder / "data", WrongClock(lambda _: self.error).clock(), tokens=tokens)
        assert server.struck() == [1], "no token was refused"
        assert tokens.issued == 2, f"{tokens.issued} tokens were asked for"
        return _ended(result, folder)


def _ended(result: SyncResult, folder: Path) -> Ended:
    code = 0 if result.verdict == "complete" else 4
    return Ended(code, str(result.error or ""), folder / "data")


def _sync(
    server: RunningEmulator,
    data_dir: Path,
    clock: Clock,
    *,
    requests: int | None = None,
    tokens: IssuedTokens | None = None,
) -> SyncResult:
    """A sync of all threads in this process; interrupted after so many requests."""
    headers = {} if tokens else {"Authorization": f"Bearer {server.api_key}"}
    endpoint = Endpoint(base_url=server.base_url, headers=headers)
    policy = RetryPolicy(attempts=3, longest_retry_after_s=5.0)
    client = ApiClient(
        endpoint,
        Pacer(concurrency=8, clock=clock),
        policy=policy,
        clock=clock,
        tokens=tokens.source if tokens else None,
    )
    options = SyncOptions(
        SOURCE, data_dir, server.corpus.thread_ids(), lock_wait_s=100.0, extract=ExtractOptions(concurrency=8)
    )

    async def run() -> SyncResult:
        async with asyncio.timeout(_LONGEST_S), client:
            sync = asyncio.create_task(run_sync(client, options, progress=Progress()))
            while requests is not None and client.traffic.requests < requests:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            if requests is not None:
                sync.cancel()
            return await sync

    try:
        return asyncio.run(run())
    except TimeoutError:
        raise AssertionError("it hangs") from None
    except PipelineError as error:
        raise AssertionError(str(error)) from None
