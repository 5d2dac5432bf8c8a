"""Batches of parts that are flattened while DuckDB takes those before them."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from pipeline.flatten.batches import FlatBatch, Flattener
from pipeline.raw.parts import PartName, RawStore

_Numbered = tuple[int, FlatBatch | None]


def flatten_ahead(
    store: RawStore, batches: Iterable[list[PartName]], flattener: Flattener, *, anew: bool = False
) -> Iterator[FlatBatch]:
    """The frames of batches in their order; as many of the next ones are flattened meanwhile as `flattener` can.

    Which batch is next, one thread at a time asks, and may wait for.
    """
    waiting = enumerate(batches)
    taking = threading.Lock()

    def flatten_next() -> _Numbered:
        with taking:
            number, parts = next(waiting, (-1, None))
        return number, None if parts is None else flattener.flatten(store, parts, anew=anew)

    with ThreadPoolExecutor(flattener.at_once, "flatten") as threads:
        following: deque[Future[_Numbered]] = deque(threads.submit(flatten_next) for _ in range(flattener.at_once))
        early: dict[int, FlatBatch] = {}
        given = 0
        while following:
            number, found = following.popleft().result()
            if found is None:
                continue
            following.append(threads.submit(flatten_next))
            early[number] = found
            while given in early:
                yield early.pop(given)
                given += 1
