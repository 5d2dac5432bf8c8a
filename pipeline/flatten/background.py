"""Flattening in the background of a sync that loads nothing, so that who loads its parts only has to insert them."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

from pipeline.errors import PipelineError
from pipeline.flatten.cache import FlatStore
from pipeline.flatten.part_frames import Frames, frames_of
from pipeline.raw.parts import PartName


class Flattener(threading.Thread):
    """Flattens the parts that `find` gives as they land; what it cannot flatten is left to the load, which names it."""

    def __init__(self, flat: FlatStore, find: Callable[[], Sequence[PartName]]) -> None:
        super().__init__(name="flattener", daemon=True)
        self._flat = flat
        self._find = find
        self._done: set[PartName] = set()
        self._woken = threading.Event()
        self._stopping = False

    def wake(self) -> None:
        """Say that a part has landed."""
        self._woken.set()

    def stop(self) -> None:
        """End after the part that is under way."""
        self._stopping = True
        self._woken.set()

    def run(self) -> None:
        """Flatten whenever woken."""
        while self._woken.wait() and not self._stopping:
            self._woken.clear()
            self.finish()

    def finish(self) -> None:
        """Flatten what has landed so far."""
        for part in list(self._find()):
            if part not in self._done:
                with contextlib.suppress(PipelineError):
                    self._flat.write(part)
                self._done.add(part)

    @property
    def parts_done(self) -> int:
        """Parts that have been seen to."""
        return len(self._done)

    def count_walks(self) -> int:
        """Walks in all of the parts. Raises DamagedPartError for one that nobody can flatten."""
        return sum(found["walks"].height for found in self.read_frames(("walks",)))

    def read_frames(self, names: Sequence[str]) -> Iterator[Frames]:
        """Frames of all of the parts, by these names. Raises DamagedPartError."""
        for part in self._find():
            found = self._flat.read(part, names=names)
            # A load that has taken the part meanwhile has removed what was flattened.
            yield frames_of(self._flat.store.read_part(part)) if found is None else found


@contextlib.contextmanager
def flattening(flat: FlatStore, find: Callable[[], Sequence[PartName]]) -> Iterator[Flattener]:
    """A flattener that works during the block; at its end it stops after the part that is under way."""
    flattener = Flattener(flat, find)
    flattener.start()
    try:
        yield flattener
    finally:
        flattener.stop()
