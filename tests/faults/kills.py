"""`kill -9` at random points: each seed chooses a command, a stage and a moment; then the same command runs again."""

import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.emulator import Truth
from pipeline.raw.parts import PartName
from pipeline.raw.places import raw_store
from pipeline.raw.prune_record import read_pruned
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection
from pipeline.warehouse.database import warehouse_path
from tests.attached import looking_into
from tests.faults.kill_commands import COMMANDS, Command, Site, open_site
from tests.faults.kill_points import Scene, find_orphans, kill_at, started_group
from tests.landed_pairs import asked_pairs, landed_pairs
from tests.measuring import measured
from tests.syncs import environ_for, read_all, run_cli, started_cli

_LEDGER = "select columns(* exclude (sealed_at)) from cost_ledger order by source, thread_id, run_id, step_id"
_REPRICED = "select count(distinct repricing_id), sum(steps) from repricings"
# Runs that do not have what their best complete walk received.
_SHORT_WALKS = """
with held as (select source, thread_id, run_id, count(*) as steps from run_steps group by all),
best as (
    select source, thread_id, run_id, items from walks where resource = 'steps' and verdict = 'complete'
    qualify row_number() over (partition by source, thread_id, run_id order by started_at desc, walk_id desc) = 1
)
select best.run_id from best left join held using (source, thread_id, run_id)
where best.items <> coalesce(held.steps, 0)
"""
_UNSEALED = """
select count(*) from runs where not sealed
    and status in ('completed', 'failed', 'cancelled', 'expired', 'incomplete') and source <> 'archive'
"""
# A measurement in a slow moment of the machine must not put the moments to kill behind the end.
_LONGEST_USUAL_S = 3.0
_CHECKS = (
    "orphan_steps",
    "orphan_tool_calls",
    "orphan_tool_results",
    "sealed_without_ledger",
    "sealed_without_walk",
    "step_order",
)
_MUST_BE_GONE = ("warehouse.duckdb.new", "warehouse.duckdb.new.wal", "warehouse.duckdb.wal", "raw/*/*.damaged")


@dataclass(frozen=True, slots=True)
class Trial:
    """What a seed has chosen; `alone`: only the parent is killed, its children are left to end by themselves."""

    seed: int
    command: Command
    stage: str
    alone: bool

    def __str__(self) -> str:
        whom = ", the parent alone" if self.alone else ""
        return f"{self.command.name}, {self.stage}{whom}"


@dataclass(frozen=True, slots=True)
class Usual:
    """How a command goes that nobody kills: the seconds it takes, its requests, and what is in its warehouse then."""

    seconds: float
    requests: int
    ledger: list[Any]
    repriced: list[Any]
    findings: set[str]
    unsealed: list[Any]
    totals: Truth


@dataclass(frozen=True, slots=True)
class Ended:
    """How a seed's trial ended: whether the command was still running when it was killed, and all that is wrong."""

    seed: int
    killed: bool
    problems: list[str] = field(default_factory=list)

    @property
    def trial(self) -> Trial:
        """What the seed had chosen."""
        return choose_trial(self.seed)

    @property
    def line(self) -> str:
        """One line to read."""
        said = "" if self.killed else ", had ended before"
        return f"seed {self.seed}: {self.trial}{said}: {'WRONG' if self.problems else 'right'}"


def all_trials() -> list[tuple[Command, str, bool]]:
    """Command, stage and whether the parent dies alone, each combination once."""
    return [
        (command, stage, alone)
        for command in COMMANDS
        for stage in command.stages
        for alone in ((False, True) if command.alone else (False,))
    ]


def choose_trial(seed: int) -> Trial:
    """The trial of a seed: seeds take turns, so that every stage is hit; the moment within it is random."""
    trials = all_trials()
    command, stage, alone = trials[seed % len(trials)]
    return Trial(seed, command, stage, alone)


class Executions:
    """Trials on one site, one at a time."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._folder = folder
        self._usual: dict[str, Usual] = {}

    def run(self, trial: Trial) -> Ended:
        """Prepare, kill, run again, judge."""
        usual = self._usual.get(trial.command.name) or self._measure(trial.command)
        folder = self._folder / f"seed-{trial.seed}"
        trial.command.prepare(self._site, folder)
        try:
            return self._run_in(folder, trial, usual)
        except AssertionError as error:
            return Ended(trial.seed, killed=False, problems=[str(error)])
        finally:
            shutil.rmtree(folder)

    def _run_in(self, folder: Path, trial: Trial, usual: Usual) -> Ended:
        command, data_dir = trial.command, folder / "data"
        slow, fast = self._site.slow[command.phase], self._site.fast[command.phase]
        slow.clear_requests()
        fast.clear_requests()
        before = set(raw_store(data_dir).list_parts())
        held = warehouse_path(data_dir).read_bytes() if command.keeps_warehouse else b""
        rng = random.Random(trial.seed)
        scene = Scene(data_dir, slow, min(usual.seconds, _LONGEST_USUAL_S), usual.requests)
        with started_group(folder, *command.line(self._site), environ=environ_for(slow)) as process:
            moment = command.stages[trial.stage](rng, scene)
            killed = kill_at(moment, process, whole_group=not trial.alone)
            # Workers of a dead parent may still be there: going on at once must not mind them.
            landed = landed_pairs(data_dir, without=before)
            lost = before - _kept_or_pruned(data_dir)
            again = run_cli(folder, *command.line(self._site), environ=environ_for(fast))
            orphans = find_orphans(process.pid)
        problems = [f"orphans: {orphans}"] if orphans else []
        problems += _find_losses(data_dir, lost, held)
        if again.returncode != 0 or "Traceback" in again.stderr:
            problems.append(f"exit code {again.returncode} of the second run: {again.stderr[-600:]}")
        else:
            problems += self._judge(data_dir, command, usual)
            problems += [f"fetched again: {pair}" for pair in landed & asked_pairs(fast)]
        return Ended(trial.seed, killed, problems)

    def _judge(self, data_dir: Path, command: Command, usual: Usual) -> Iterator[str]:
        truth = usual.totals if command.name == "forget" else self._site.corpus.truth(command.phase)
        yield from _compare(truth, measured(data_dir, command.phase), archived=command.name == "import")
        found = _read_usual(data_dir, seconds=0.0, requests=0)
        for name in ("ledger", "repriced", "unsealed"):
            if getattr(found, name) != getattr(usual, name):
                yield f"{name} is not what it is without a kill"
        yield from sorted(found.findings - usual.findings)
        for run_id, *_ in read_all(data_dir, _SHORT_WALKS):
            yield f"{run_id} has other steps than its complete walk"
        loaded = {name for (name,) in read_all(data_dir, "select part from loaded_parts")}
        if loaded != {part.name for part in _kept_or_pruned(data_dir)}:
            yield "not every raw part is loaded"
        yield from command.judge(self._site, data_dir)
        yield from (f"{path.name} is left" for pattern in _MUST_BE_GONE for path in data_dir.glob(pattern))

    def _measure(self, command: Command) -> Usual:
        folder = self._folder / "usual"
        command.prepare(self._site, folder)
        server = self._site.slow[command.phase]
        server.clear_requests()
        started_s = time.monotonic()
        # From its very start, as those that are killed.
        with started_cli(folder, *command.line(self._site), environ=environ_for(server)) as process:
            _, errors = process.communicate()
        seconds = time.monotonic() - started_s
        assert process.returncode == 0, errors
        usual = _read_usual(folder / "data", seconds=seconds, requests=len(server.requests()))
        shutil.rmtree(folder)
        return self._usual.setdefault(command.name, usual)


def _kept_or_pruned(data_dir: Path) -> set[PartName]:
    """The raw parts that are there, and those that are on record as removed on purpose."""
    store = raw_store(data_dir)
    return {*store.list_parts(), *(part.name for part in read_pruned(store))}


def _find_losses(data_dir: Path, lost: set[PartName], held: bytes) -> Iterator[str]:
    """Parts that went without a record, and a warehouse that has changed, if what it was is given."""
    yield from (f"{part.name} is gone and not recorded as pruned" for part in sorted(lost, key=str))
    if held and warehouse_path(data_dir).read_bytes() != held:
        yield "the warehouse is not what it was"


def _read_usual(data_dir: Path, *, seconds: float, requests: int) -> Usual:
    with looking_into(warehouse_path(data_dir)) as connection:
        return Usual(
            seconds,
            requests,
            ledger=connection.execute(_LEDGER).fetchall(),
            repriced=connection.execute(_REPRICED).fetchall(),
            unsealed=connection.execute(_UNSEALED).fetchall(),
            findings=set(_find_doubles(connection)),
            totals=measured(data_dir, 0),
        )


def _find_doubles(connection: Connection) -> Iterator[str]:
    """Rows that are there twice, and what the checks of the product find."""
    for table in read_sql_files("tables").values():
        grain = ", ".join(table.grain)
        rows = connection.execute(f"select {grain} from {table.name} group by {grain} having count(*) > 1").fetchall()
        yield from (f"twice in {table.name}: {row}" for row in rows)
    for name in _CHECKS:
        rows = connection.execute(read_sql_files("checks")[name].text).fetchall()
        yield from (f"{name}: {row}" for row in rows)


def _compare(truth: Truth, found: Truth, *, archived: bool) -> Iterator[str]:
    wanted, had = asdict(truth), asdict(found)
    for name in wanted:
        # Threads of archives are known, not synced.
        if wanted[name] != had[name] and not (archived and name == "threads"):
            yield f"{name}: {had[name]} in place of {wanted[name]}"


def run_seeds(seeds: Sequence[int], *, jobs: int) -> list[Ended]:
    """The trials of all seeds, so many at a time, each job a process; each is told on stderr as it ends."""
    shares = [seeds[number::jobs] for number in range(jobs)]
    if jobs == 1:
        return _run_share(seeds)
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return sorted(
            (ended for share in pool.map(_run_share, shares) for ended in share), key=lambda ended: ended.seed
        )


def _run_share(seeds: Sequence[int]) -> list[Ended]:
    results = []
    with tempfile.TemporaryDirectory(prefix="kills-") as name, open_site(Path(name)) as site:
        executions = Executions(site, Path(name))
        for seed in seeds:
            ended = executions.run(choose_trial(seed))
            results.append(ended)
            print("\n    ".join([ended.line, *ended.problems]), file=sys.stderr, flush=True)
    return results
