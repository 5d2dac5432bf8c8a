"""Every scalar of a JSON value, and every scalar that the rows made of it hold: to prove that nothing got lost."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import polars as pl

# In seconds this would be the year 5138, so it is milliseconds.
_MILLISECONDS_ABOVE = 1e11
_UNSET_INSTANT = -1
Leaf = tuple[str, Any]


def input_leaves(value: Any) -> Counter[Leaf]:
    """Scalars of an object as sent, without those that mean unset: null, an instant of -1, an empty error text."""
    return Counter(_leaf(said) for path, scalar in _walk(value, ()) if (said := _said(path, scalar)) is not None)


def row_leaves(frames: Mapping[str, pl.DataFrame]) -> Counter[Leaf]:
    """Scalars of all rows; a text that is JSON counts with what it holds as well, an instant as its seconds."""
    found: Counter[Leaf] = Counter()
    for frame in frames.values():
        for row in frame.iter_rows():
            for value in row:
                found.update(_cell_leaves(value))
    return found


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _walk(child, (*path, key))
    elif isinstance(value, list):
        for child in value:
            yield from _walk(child, path)
    else:
        yield path, value


def _said(path: tuple[str, ...], scalar: Any) -> Any:
    name = path[-1] if path else ""
    if isinstance(scalar, int | float) and not isinstance(scalar, bool) and len(path) == 1 and name.endswith("_at"):
        if scalar == _UNSET_INSTANT:
            return None
        return scalar / 1000 if scalar > _MILLISECONDS_ABOVE else scalar
    return None if scalar == "" and path[:1] == ("last_error",) else scalar


def _leaf(scalar: Any) -> Leaf:
    if isinstance(scalar, bool):
        return ("bool", scalar)
    return ("number", scalar) if isinstance(scalar, int | float) else ("text", scalar)


def _cell_leaves(value: Any) -> Iterator[Leaf]:
    if isinstance(value, datetime):
        yield ("number", value.timestamp())
    elif value is not None:
        yield _leaf(value)
    if isinstance(value, str):
        try:
            decoded = json.loads(value)
        except ValueError:
            return
        yield from (_leaf(scalar) for _, scalar in _walk(decoded, ()) if scalar is not None)
