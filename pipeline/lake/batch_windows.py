"""Which batches of parts may be worked out beside each other, and in what order they are begun."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest

from pipeline.raw.parts import PartName

Batch = list[PartName]


def windows_of(batches: Iterable[Batch], *, most: int) -> Iterator[list[Batch]]:
    """The batches in their order, those together that are all from the middle of one sync, at most so many.

    Prices go by what the newest sync of a source has said: where one begins, all before has to be there, and its
    beginning before all that follows.
    """
    window: list[Batch] = []
    before: str | None = None
    for batch in batches:
        is_within = {part.sync_id for part in batch} == {before}
        if window and (not is_within or len(window) == most):
            yield window
            window = []
        if is_within:
            window.append(batch)
        else:
            yield [batch]
        before = batch[-1].sync_id
    if window:
        yield window


def spread(window: Sequence[Batch], ways: int) -> list[Batch]:
    """The batches of a window so that so many, begun one after another, are far apart.

    Neighbours often have a thread in common, and then one of the two is worked out twice.
    """
    length = -(-len(window) // ways) or 1
    stretches = [window[start : start + length] for start in range(0, len(window), length)]
    return [batch for batch in chain.from_iterable(zip_longest(*stretches)) if batch is not None]
