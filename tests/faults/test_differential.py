"""Servers of random habits: what they are synced to is the truth, or the thread that is not is named."""

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import combinations

import pytest

from pipeline.protocol.pages import Protocol
from tests.faults.differential import run_seed, run_successors
from tests.faults.odd_servers import Habits, OddServer, draw_server
from tests.faults.odd_successors import draw_successors

# Thirty that have together what hundreds have, which `python -m tests.faults servers` runs.
SEEDS = (*range(14), 20, 23, 47, 51, 57, 129, 133, 152, 161, 180, 208, 234, 235, 262, 276, 300)
SUCCESSOR_SEEDS = (
    *range(10),
    24,
    25,
    38,
    40,
    44,
    63,
    75,
    81,
    88,
    109,
    132,
    152,
    153,
    163,
    193,
    195,
    204,
    227,
    279,
    300,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sync_of_any_server_is_exact_or_names_what_is_not(seed: int) -> None:
    assert run_seed(seed) == []


@pytest.mark.parametrize("protocol", ["responses", "agents"])
def test_a_sync_of_any_conversation_or_session_is_exact_or_names_what_is_not(protocol: Protocol) -> None:
    assert run_successors(SUCCESSOR_SEEDS, protocol) == []


def odd_habits(seed: int, draw: Callable[[int], OddServer]) -> set[object]:
    """The odd habits of a server with their values, and each two that it has together."""
    honest = asdict(Habits())
    habits = asdict(draw(seed).habits)
    odd = {name: value for name, value in habits.items() if value != honest[name]}
    return {*odd.items(), *combinations(odd, 2)}


@pytest.mark.parametrize(
    ("seeds", "draw"),
    [
        (SEEDS, lambda seed: draw_server(random.Random(seed))),
        (SUCCESSOR_SEEDS, partial(draw_successors, protocol="responses")),
        (SUCCESSOR_SEEDS, partial(draw_successors, protocol="agents")),
    ],
    ids=["assistants", "responses", "agents"],
)
def test_these_servers_have_every_odd_habit_and_every_two_together_that_hundreds_have(
    seeds: Sequence[int], draw: Callable[[int], OddServer]
) -> None:
    def all_of(numbers: Sequence[int]) -> set[object]:
        return set[object]().union(*(odd_habits(number, draw) for number in numbers))

    assert all_of(seeds) == all_of(range(400))
