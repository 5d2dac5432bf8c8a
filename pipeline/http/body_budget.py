"""What large answers under way may take of the memory together: every request has its own bound, and all have this."""

from dataclasses import dataclass

# Of every body, uncounted: whole pages are well below it.
ORDINARY_BYTES = 8 * 2**20
_STEP_BYTES = 16 * 2**20


@dataclass(slots=True)
class BodyBudget:
    """The bytes of all bodies under way in a process, beyond the ordinary first ones of each.

    Only for one event loop: nothing is locked.
    """

    limit_bytes: int = 2**30
    ordinary_bytes: int = ORDINARY_BYTES
    step_bytes: int = _STEP_BYTES
    held_bytes: int = 0

    def grow(self, held_bytes: int, size_bytes: int) -> int | None:
        """What a body holds now that it is larger than it held; None, with nothing changed, if that is too much."""
        more = size_bytes - self.ordinary_bytes - held_bytes
        granted = min(max(more, self.step_bytes), self.limit_bytes - self.held_bytes)
        if granted < more:
            return None
        self.held_bytes += granted
        return held_bytes + granted

    def give_back(self, held_bytes: int) -> None:
        """A body has ended."""
        self.held_bytes -= held_bytes
