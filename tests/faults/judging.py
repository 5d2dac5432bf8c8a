"""What must be in the warehouse after a cell, counted from the objects that were served, and what is wrong with it."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from pipeline.emulator import Corpus, Truth
from pipeline.emulator.corpus import Item
from pipeline.emulator.truth import Tally
from tests.faults.cell import Cell, Ended, Gap, Json, Outcome
from tests.measuring import measured
from tests.syncs import read_all


def expected_truth(corpus: Corpus, outcome: Outcome) -> Truth:
    """The totals of the corpus without what the outcome says is missing, with its records as it says they become."""
    if outcome.gap is None and outcome.patch is None:
        return corpus.truth(0)
    tally = Tally()
    for thread in corpus.threads_at(0):
        thread_id = thread.item.object_id
        tally.threads += not (outcome.gap and outcome.gap.thread_id in (None, thread_id))
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
            tally.count_run(body, steps)
    return tally.freeze(0)


def find_problems(cell: Cell, corpus: Corpus, ended: Ended) -> Iterator[str]:
    """Everything that is not as the cell says it must be."""
    outcome = cell.outcome
    if ended.exit_code != outcome.exit_code:
        yield f"exit code {ended.exit_code} in place of {outcome.exit_code}"
    if "Traceback" in ended.output or "This is a bug" in ended.output:
        yield "it reports a bug of ours"
    if outcome.says not in ended.output:
        yield f"it does not say {outcome.says!r}"
    yield from (f"it does not name {name}" for name in _names(cell, corpus) if name not in ended.output)
    if (ended.data_dir / "warehouse.duckdb").exists():
        yield from _compare(outcome, corpus, ended)
    elif cell.stage != "list of threads" or outcome.gap != Gap():
        yield "there is no warehouse"


def _names(cell: Cell, corpus: Corpus) -> list[str]:
    """What the command has to name: threads of which anything is missing, or the list that nobody could get."""
    gap = cell.outcome.gap
    if gap is None:
        return []
    if gap.thread_id is not None:
        return [gap.thread_id]
    if cell.stage == "list of threads":
        return ["/threads"]
    # Who is refused altogether is told so once, at the first request.
    return [] if cell.outcome.verdict == "refused" else corpus.thread_ids()


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
    sql = """
        select distinct verdict, thread_id, run_id from walks
        qualify row_number() over (partition by thread_id, run_id order by started_at desc, walk_id desc) = 1
    """
    walks = {tuple(row) for row in read_all(ended.data_dir, sql)}
    broken = {walk for walk in walks if walk[0] != "complete"}
    gap = outcome.gap
    if gap is not None and gap.thread_id is None:
        if {verdict for verdict, *_ in walks} - {outcome.verdict}:
            yield f"walks are {sorted(map(str, walks))}"
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
