"""Work on a lake that is done again, from its reading on, whenever somebody else has written meanwhile."""

from collections.abc import Callable
from typing import TypeVar

import tenacity

from pipeline.errors import IncompleteError
from pipeline.lake.delta_tables import LakeConflictError, naming_place

ATTEMPTS = 40
_LONGEST_WAIT_S = 5.0
_Done = TypeVar("_Done")


def retry_conflicts(work: Callable[[int], _Done], *, place: str, attempts: int = ATTEMPTS) -> _Done:
    """What the work gives, which hears the number of the attempt, from 1.

    Raises IncompleteError if others come between every time, ConfigurationError if the lake cannot be used.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(LakeConflictError),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=_LONGEST_WAIT_S),
        stop=tenacity.stop_after_attempt(attempts),
        reraise=True,
    )
    numbers = iter(range(1, attempts + 1))
    try:
        with naming_place(place):
            return retrying(lambda: work(next(numbers)))
    except LakeConflictError as error:
        raise IncompleteError(
            f"the lake {place} did not let us write ({error}): run the same command again later"
        ) from error
