"""A few seeds of `python -m tests.faults kills`, one for each kind of command; hundreds are run by `make faults`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.kill_commands import COMMANDS, open_site
from tests.faults.kills import Executions, all_trials, choose_trial


@pytest.fixture(scope="module")
def executions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executions]:
    folder: Path = tmp_path_factory.mktemp("kills")
    with open_site(folder) as site:
        yield Executions(site, folder)


# sync while it lands, a parent without its workers, a second sync, a rebuild and a repricing while they write, a prune
# and a forgetting while they remove, a lake while it is written.
@pytest.mark.parametrize("seed", [3, 15, 22, 31, 34, 41, 44, 49])
def test_killed_at_any_moment_a_command_goes_on_where_it_stood(executions: Executions, seed: int) -> None:
    assert executions.run(choose_trial(seed)).problems == []


def test_two_hundred_seeds_hit_every_stage_of_every_command() -> None:
    chosen = {(trial.command.name, trial.stage, trial.alone) for trial in map(choose_trial, range(200))}

    assert chosen == {(command.name, stage, alone) for command, stage, alone in all_trials()}
    assert {name for name, *_ in chosen} == {command.name for command in COMMANDS}
