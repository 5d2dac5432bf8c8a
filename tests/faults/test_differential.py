"""Servers of random habits: what they are synced to is the truth, or the thread that is not is named."""

import pytest

from tests.faults.differential import run_seed


@pytest.mark.parametrize("seed", range(30))
def test_a_sync_of_any_server_is_exact_or_names_what_is_not(seed: int) -> None:
    assert run_seed(seed) == []
