"""Batches of parts as frames: whoever flattens them, in which process."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.errors import DamagedPartError
from pipeline.flatten.cache import FlatStore
from pipeline.flatten.part_frames import Frames, frames_of_each
from pipeline.raw.parts import Part, PartName, RawStore


@dataclass(frozen=True, slots=True)
class FlatBatch:
    """The frames of those of some parts that are what was written; `damaged` are the others, with what is wrong."""

    parts: Sequence[PartName]
    frames: list[Frames]
    damaged: list[tuple[PartName, str]] = field(default_factory=list)


class Flattener(Protocol):
    """Who flattens batches, `at_once` of them at a time."""

    at_once: int

    def flatten(self, store: RawStore, parts: Sequence[PartName], *, anew: bool) -> FlatBatch:
        """The frames of parts; of those that are flattened already these, unless that is to be done `anew`."""


class InThread:
    """Flattens in the thread that asks."""

    at_once = 1

    def flatten(self, store: RawStore, parts: Sequence[PartName], *, anew: bool) -> FlatBatch:
        """The frames of parts."""
        return flatten_batch(store, parts, anew=anew)


def flatten_batch(store: RawStore, parts: Iterable[PartName], *, anew: bool) -> FlatBatch:
    """The frames of parts; of those that are flattened already these, unless that is to be done `anew`.

    Raises PipelineError where one cannot be read at all.
    """
    flat = FlatStore(store)
    found = FlatBatch(list(parts), [])
    read: list[Part] = []
    for part in found.parts:
        if not anew and (frames := flat.read(part)) is not None:
            found.frames.append(frames)
            continue
        try:
            read.append(store.read_part(part))
        except DamagedPartError as error:
            found.damaged.append((part, str(error)))
    # All at once: each expression of Polars waits for a thread of its pool.
    found.frames.extend(frames_of_each(read) if read else ())
    return found
