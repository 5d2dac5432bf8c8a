"""How often Python looks for reference cycles."""

import gc

# Flattening makes hundreds of thousands of objects without a cycle, and every look at them is for nothing. Off would
# not do: httpx's requests and responses are cycles, and a long sync would keep them all.
_THRESHOLDS = (50_000, 10, 10)


def tune_garbage_collector() -> None:
    """Look seldom. For the start of a process that fetches or loads."""
    gc.set_threshold(*_THRESHOLDS)
