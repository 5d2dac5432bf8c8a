"""A cluster of threads in this process that has the ways of Ray: for what needs no other process to be tested."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What an actor's method gives: a task awaits it, who started the actor gets it."""

    value: Any

    def __await__(self) -> Generator[None, None, Any]:
        yield
        return self.value


@dataclass(frozen=True)
class Method:
    """A method of an actor."""

    call: Callable[..., Any]

    def remote(self, *arguments: Any) -> Answer:
        return Answer(self.call(*arguments))


@dataclass(frozen=True)
class Actor:
    """An object whose methods are called as those of an actor."""

    owner: Any

    def __getattr__(self, name: str) -> Method:
        return Method(getattr(self.owner, name))


@dataclass
class ThreadCluster:
    """Runs tasks as threads; `most_inside` is how many threads used it at the same time."""

    workers: int = 2
    actors: list[Actor] = field(default_factory=list)
    most_inside: int = 0
    waiting: threading.Event = field(default_factory=threading.Event)
    _inside: int = 0
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4))

    def start(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self._pool.submit(work, *arguments)

    def start_actor(self, kind: type, *arguments: Any) -> Actor:
        self.actors.append(Actor(kind(*arguments)))
        return self.actors[-1]

    def wait(self, tickets: Sequence[Future[Any]], *, timeout_s: float, count: int = 1) -> list[Future[Any]]:
        with self._used():
            self.waiting.set()
            if count < 2:
                return list(wait_for(tickets, timeout_s, FIRST_COMPLETED).done)[:count]
            return list(wait_for(tickets, timeout_s).done)

    def get(self, ticket: Any) -> Any:
        with self._used():
            return ticket.value if isinstance(ticket, Answer) else ticket.result()

    def run(self, work: Callable[..., Any], jobs: Iterable[Any]) -> Iterator[Any]:
        return map(work, jobs)

    def close(self) -> None:
        self._pool.shutdown()

    @contextmanager
    def _used(self) -> Iterator[None]:
        self._inside += 1
        self.most_inside = max(self.most_inside, self._inside)
        try:
            yield
        finally:
            self._inside -= 1
