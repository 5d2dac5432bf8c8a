"""What must be in the warehouse after a cell, counted from the objects that were served, and what is wrong with it."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from pipeline.emulator import Corpus, Truth
from pipeline.emulator.account.corpus import Item
from pipeline.emulator.account.truth import Tally
from tests.faults.cell import Cell, Ended, Gap, Json, Outcome
from tests.measuring import measured
from tests.syncs import read_all

_INSTANTS = {
    "runs": ("created_at", "started_at", "completed_at", "cancelled_at", "failed_at", "expires_at"),
    "run_steps": ("created_at", "completed_at", "cancelled_at", "failed_at", "expired_at"),
}


def expected_truth(corpus: Corpus, outcome: Outcome) -> Truth:
    """The totals of the corpus without what the outcome says is missing, with its records as it says they become."""
    if outcome.gap is None and outcome.patch is None:
        return corpus.truth(0)
    tally = Tally()
    for thread in corpus.threads_at(0):
        tally.threads += not (outcome.gap and outcome.gap.thread_id in (None, thread.item.object_id))
    for run, steps in _expected_runs(corpus, outcome):
        tally.count_run(run, steps)
    return tally.freeze(0)


def _expected_runs(corpus: Corpus, outcome: Outcome) -> Iterator[tuple[Json, list[Json]]]:
    """Each run that is expected, with its steps."""
    for thread in corpus.threads_at(0):
        thread_id = thread.item.object_id
        for index, run in enumerate(thread.runs):
            if _is_missing(outcome.gap, thread_id, None, index):
                continue
            body = _patched(outcome, run.item, thread_id, index)
            if body is None:
                continue
            steps = [
                step
                for position, item in enumerate(run.steps)
                if not _is_missing(outcome.gap, thread_id, run.item.object_id, position)
                and (step := _patched(outcome, item, run.item.object_id, position)) is not None
            ]
            yield body, steps


def expected_contents(corpus: Corpus, outcome: Outcome) -> dict[str, tuple[int, ...]]:
    """Bytes of all logs; of each instant of runs and steps how many there are, the first, the last and their sum."""
    runs, steps = [], []
    for run, own in _expected_runs(corpus, outcome):
        runs.append(run)
        steps.extend(own)
    found: dict[str, tuple[int, ...]] = {
        "bytes of logs": (sum(len(text.encode()) for step in steps for text in _logs_of(step)),)
    }
    for table, records in (("runs", runs), ("run_steps", steps)):
        for name in _INSTANTS[table]:
            instants = [at * 1_000_000 for record in records if (at := _instant(record, name)) is not None]
            found[f"{name} of {table}"] = (
                len(instants),
                min(instants, default=0),
                max(instants, default=0),
                sum(instants),
            )
    return found


def _instant(record: Json, name: str) -> int | None:
    at: int | None = record.get(name)
    # Some servers name the end of an expired step otherwise.
    expired = at is None and name == "expired_at" and record["status"] == "expired"
    return record.get("expires_at") if expired else at


def _logs_of(step: Json) -> Iterator[str]:
    for call in step["step_details"].get("tool_calls", ()):
        if call["type"] == "code_interpreter":
            yield from (output["logs"] for output in call["code_interpreter"]["outputs"] if "logs" in output)


def _found_contents(data_dir: Path) -> dict[str, tuple[int, ...]]:
    found = {"bytes of logs": "select coalesce(sum(strlen(logs)), 0)::bigint from code_interpreter_outputs"}
    for table, names in _INSTANTS.items():
        for name in names:
            least, most, total = (f"coalesce({f}(epoch_us({name})), 0)::hugeint" for f in ("min", "max", "sum"))
            found[f"{name} of {table}"] = f"select count({name}), {least}, {most}, {total} from {table}"
    return {name: tuple(map(int, read_all(data_dir, sql)[0])) for name, sql in found.items()}


def find_misended(outcome: Outcome, ended: Ended) -> Iterator[str]:
    """What is wrong with how a command ended and with what it printed."""
    if ended.exit_code != outcome.exit_code:
        yield f"exit code {ended.exit_code} in place of {outcome.exit_code}"
    if "Traceback" in ended.output or "This is a bug" in ended.output:
        yield "it reports a bug of ours"
    if outcome.says not in ended.output:
        yield f"it does not say {outcome.says!r}"


def find_problems(cell: Cell, corpus: Corpus, ended: Ended) -> Iterator[str]:
    """Everything that is not as the cell says it must be."""
    outcome = cell.outcome
    yield from find_misended(outcome, ended)
    yield from (f"it does not name {name}" for name in _names(cell, corpus) if name not in ended.output)
    if (ended.data_dir / "warehouse.duckdb").exists():
        yield from _compare(outcome, corpus, ended)
        yield from _compare_walks(cell, corpus, ended)
        if outcome.patch is not None:
            yield from _compare_contents(outcome, corpus, ended)
    elif cell.stage != "list of threads" or outcome.gap != Gap():
        yield "there is no warehouse"


def _names(cell: Cell, corpus: Corpus) -> list[str]:
    """What the command has to name: threads of which anything is missing, or the list that nobody could get."""
    gap = cell.outcome.gap
    if gap is None:
        return []
    if gap.thread_id is not None:
        return [gap.thread_id]
    # Who is refused altogether, or answered by nobody, is told so once, at the first request.
    if cell.outcome.verdict == "refused":
        return []
    return ["/threads"] if cell.stage == "list of threads" else corpus.thread_ids()


def _compare(outcome: Outcome, corpus: Corpus, ended: Ended) -> Iterator[str]:
    wanted, found = asdict(expected_truth(corpus, outcome)), asdict(measured(ended.data_dir, 0))
    # The tally cannot sort null among texts.
    found["steps_by_details_type"] = {kind or "": count for kind, count in found["steps_by_details_type"].items()}
    for name in wanted:
        if wanted[name] != found[name]:
            yield f"{name}: {found[name]} in place of {wanted[name]}"
    [(rejects,)] = read_all(ended.data_dir, "select count(*) from rejects")
    if rejects != outcome.rejects:
        yield f"{rejects} rejects in place of {outcome.rejects}"


def _compare_contents(outcome: Outcome, corpus: Corpus, ended: Ended) -> Iterator[str]:
    wanted, found = expected_contents(corpus, outcome), _found_contents(ended.data_dir)
    for name in wanted:
        if wanted[name] != found[name]:
            yield f"{name}: {found[name]} in place of {wanted[name]}"


def _compare_walks(cell: Cell, corpus: Corpus, ended: Ended) -> Iterator[str]:
    outcome = cell.outcome
    sql = """
        select distinct verdict, thread_id, run_id from walks
        qualify row_number() over (partition by thread_id, run_id order by started_at desc, walk_id desc) = 1
    """
    walks = {tuple(row) for row in read_all(ended.data_dir, sql)}
    broken = {walk for walk in walks if walk[0] != "complete"}
    gap = outcome.gap
    if gap is not None and gap.thread_id is None:
        # Who is refused, or got no list of threads, has begun none.
        begun = outcome.verdict != "refused" and cell.stage != "list of threads"
        wanted = {(outcome.verdict, thread_id, None) for thread_id in corpus.thread_ids()} if begun else set()
        if wanted != walks:
            yield f"walks that are not as they should be: {sorted(map(str, wanted ^ walks))}"
    elif broken != ({(outcome.verdict, gap.thread_id, gap.run_id)} if gap else set()):
        yield f"walks that are not complete: {sorted(map(str, broken))}"


def _is_missing(gap: Gap | None, thread_id: str, run_id: str | None, position: int) -> bool:
    if gap is None:
        return False
    if gap.thread_id is None:
        return True
    return (gap.thread_id, gap.run_id) == (thread_id, run_id) and position >= gap.kept


def _patched(outcome: Outcome, item: Item, list_id: str, position: int) -> Json | None:
    record: Json = json.loads(item.body_with_content or item.body)
    if outcome.patch is None or outcome.patched != list_id:
        return record
    return outcome.patch(record, position)
