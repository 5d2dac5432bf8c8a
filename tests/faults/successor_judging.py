"""What must be in the warehouse after a cell of conversations, responses or sessions: each run, beside the truth."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.cell import Cell, Ended, Gap
from tests.faults.judging import find_misended
from tests.faults.successor_account import Row, SyncSuccessors, make_account, rows_of
from tests.syncs import read_all

_NAMES = ("prompt", "completion", "total", "cached", "cache_write", "reasoning")
_TOKENS = ", ".join(f"coalesce({name}_tokens, 0)" for name in _NAMES)
_SQL = f"""
with calls as (
    select source, run_id, list(type order by type) as types,
        count(*) filter (where type = 'function' and coalesce(output, error) is not null) as answered
    from tool_calls group by all
), code as (
    select source, run_id, count(*) as outputs from code_interpreter_outputs group by all
), found as (
    select source, run_id, count(*) as results from file_search_results group by all
)
select run_id, thread_id, status, {_TOKENS}, coalesce(types, []), coalesce(answered, 0), coalesce(outputs, 0),
    coalesce(results, 0)
from runs
left join calls using (source, run_id)
left join code using (source, run_id)
left join found using (source, run_id)
"""
_VERDICTS = """
select distinct thread_id, arg_max(verdict, (started_at, walk_id)) from walks group by all
"""
# How many of those that differ are shown.
_SHOWN = 2


@dataclass(frozen=True, slots=True)
class SuccessorJudge:
    """Judges what one sync of the account left: all is exact but, where the outcome has a gap, one thread or run.

    Of that thread so many runs are there as the gap keeps, each with at most what the server has of it; so many as are
    `twisted` are what it said under their ids, which is not what it has.
    """

    synced: SyncSuccessors
    twisted: int = 0

    def __call__(self, cell: Cell, ended: Ended) -> Iterator[str]:
        """Everything that is not as the cell says it must be."""
        outcome, gap = cell.outcome, cell.outcome.gap
        yield from find_misended(outcome, ended)
        if gap is not None and str(gap.thread_id) not in ended.output:
            yield f"it does not name {gap.thread_id}"
        if not (ended.data_dir / "warehouse.duckdb").exists():
            yield "there is no warehouse"
            return
        yield from self._compare(gap, ended)
        found = {name: verdict for name, verdict in read_all(ended.data_dir, _VERDICTS) if verdict != "complete"}
        wanted = {gap.thread_id: outcome.verdict} if gap and outcome.verdict != "complete" else {}
        if found != wanted:
            yield f"walks that are not complete: {found} in place of {wanted}"
        [(rejects,)] = read_all(ended.data_dir, "select count(*) from rejects")
        if rejects != outcome.rejects:
            yield f"{rejects} rejects in place of {outcome.rejects}"

    def _compare(self, gap: Gap | None, ended: Ended) -> Iterator[str]:
        truth, found = self._truth(), read_rows(ended)
        if len(found) != len(read_all(ended.data_dir, "select run_id from runs")):
            yield "a run is there twice"
        wrong = [run_id for run_id in truth.keys() | found.keys() if found.get(run_id) != truth.get(run_id)]
        if gap is not None:
            struck = {run_id for run_id, row in truth.items() if row.thread_id == gap.thread_id}
            if len(struck & found.keys()) != gap.kept:
                yield f"{len(struck & found.keys())} runs of {gap.thread_id} in place of {gap.kept}"
            partial = {gap.run_id} if gap.run_id else struck
            missing = struck - found.keys()
            parts = {run_id for run_id in partial & found.keys() if _is_part(found[run_id], truth[run_id])}
            twisted = (struck & set(wrong)) - missing - parts
            if len(twisted) == self.twisted:
                parts |= twisted
            wrong = [run_id for run_id in wrong if run_id not in missing | parts]
        if wrong:
            some = [f"{run_id}: {found.get(run_id)} in place of {truth.get(run_id)}" for run_id in sorted(wrong)]
            yield f"{len(wrong)} runs differ: {'; '.join(some[:_SHOWN])}"

    def _truth(self) -> dict[str, Row]:
        synced = set(self.synced.thread_ids())
        rows = rows_of(make_account(), self.synced.way)
        return {run_id: row for run_id, row in rows.items() if row.thread_id in synced}

    def describe(self, cell: Cell) -> str:
        """A right cell in a few words."""
        outcome, gap = cell.outcome, cell.outcome.gap
        words = [f"exit {outcome.exit_code}"] if outcome.exit_code else []
        if gap is None:
            words.append("whole")
        else:
            runs = sum(row.thread_id == gap.thread_id for row in self._truth().values())
            kept = f"first {gap.kept:,} kept" if gap.kept else "list missing"
            words += [
                *([outcome.verdict] if outcome.verdict != "complete" else []),
                kept if gap.kept < runs else "items in doubt",
            ]
        return ", ".join([*words, *([f"{outcome.rejects:,} rejects"] if outcome.rejects else [])])


def read_rows(ended: Ended) -> dict[str, Row]:
    """Each run as the warehouse has it."""
    return {
        run_id: Row(thread_id, tuple(said), tuple(types), answered, (outputs, results))
        for run_id, thread_id, *said, types, answered, outputs, results in read_all(ended.data_dir, _SQL)
    }


def _is_part(row: Row, whole: Row) -> bool:
    """Whether a run has nothing that the server does not have of it."""
    if (row.thread_id, row.said) != (whole.thread_id, whole.said):
        return False
    fewer = all(row.calls.count(kind) <= whole.calls.count(kind) for kind in row.calls)
    return fewer and row.answered <= whole.answered and all(map(int.__le__, row.contents, whole.contents))
