"""Faults of paging: cursors, envelopes, and lists that change while they are read."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.emulator import Corpus, RunningEmulator
from pipeline.emulator.account.corpus import Item, RunRecord
from pipeline.emulator.store import ItemList
from tests.faults.cell import Act, Cell, Ended, Gap, Lists, Outcome, lengthened, with_threads
from tests.faults.http_cells import Rule, Stage, stages
from tests.faults.running import sync
from tests.syncs import wait_until

_WHOLE: dict[str, list[Rule]] = {
    "has_more missing": [{"fault": "missing_has_more"}],
    "has_more missing, first_id and last_id sent": [{"fault": "missing_has_more", "keep_ids": True}],
    "limit ignored": [{"fault": "limit_ignored"}],
    "limit and cursor ignored, has_more missing": [{"fault": "limit_ignored"}, {"fault": "missing_has_more"}],
    "full last page says more": [{"fault": "full_last_page_more"}],
    "pages repeat the last item": [{"fault": "items_repeat", "overlap": 1}],
    "pages repeat the last 5 items": [{"fault": "items_repeat", "overlap": 5}],
    "last_id is not the last item": [{"fault": "last_id_differs"}],
    "order ignored, newest first": [{"fault": "order_ignored"}],
    "every page says that it is the last": [{"fault": "never_more"}],
    "pages of 20, each says that it is the last": [{"fault": "limit_capped"}, {"fault": "never_more"}],
    "cursors of its own in last_id": [{"fault": "cursor_in_last_id"}],
}

# With how many items of the runs and of the steps are kept.
_BROKEN: dict[str, tuple[list[Rule], int, int]] = {
    "A-A: the cursor is ignored": ([{"fault": "cursor_ignored"}], 100, 100),
    "A-B-A: a cycle of two pages": ([{"fault": "cursor_cycle", "length": 2}], 200, 200),
    "a cycle of three pages": ([{"fault": "cursor_cycle", "length": 3}], 300, 300),
    "a cycle of ten pages": ([{"fault": "cursor_cycle", "length": 10}], 1000, 1000),
    "cursor ignored, has_more missing": ([{"fault": "cursor_ignored"}, {"fault": "missing_has_more"}], 100, 100),
    "answers cut at 20, has_more missing": ([{"fault": "answer_cut"}, {"fault": "missing_has_more"}], 20, 20),
    "answers cut at 20 in one order, has_more missing": (
        [{"fault": "answer_cut", "keep_order": True}, {"fault": "missing_has_more"}],
        20,
        20,
    ),
    "empty first page says more": ([{"fault": "empty_page_more"}], 0, 0),
    "empty second page says more": ([{"fault": "empty_page_more", "from_page": 1}], 100, 100),
    "order changes after the first page": ([{"fault": "order_changes"}], 100, 100),
    "an empty page after every cursor": ([{"fault": "cursor_gone_empty"}], 100, 100),
    "cursor compared with ids, not places": ([{"fault": "cursor_compares_id"}], 100, 100),
}

# How many runs or steps the list has where the usual 120 and 300 would not show the fault: all of its pages full, or
# more pages than the cycle has.
_LENGTHS = {
    "full last page says more": 300,
    "A-B-A: a cycle of two pages": 300,
    "a cycle of three pages": 300,
    "a cycle of ten pages": 1050,
}


def cursor_cells(lists: Lists) -> Iterator[Cell]:
    """Every fault of the group, on a list of runs and on a list of steps."""
    _, runs, _, steps, _ = stages(lists)
    for stage in (runs, steps):
        is_runs = stage is runs
        for name, rules in _WHOLE.items():
            yield _faulty(name, stage, rules, Outcome())
        for name, (rules, runs_kept, steps_kept) in _BROKEN.items():
            gap = replace(stage.gap, kept=runs_kept if is_runs else steps_kept)
            outcome = Outcome(exit_code=4, verdict="broken", gap=gap)
            yield _faulty(name, stage, rules, outcome)
        nowhere = Outcome(exit_code=4, verdict="broken", gap=replace(stage.gap, kept=99), rejects=2)
        yield _faulty("has_more without a cursor", stage, [{"fault": "has_more_no_cursor"}], nowhere)
        if is_runs:
            emptied = _AfterSound({"fault": "oldest_only", "length": 0, **stage.match})
            gap = replace(stage.gap, kept=120)
            outcome = Outcome(exit_code=4, verdict="broken", gap=gap, says="120 runs that were listed before")
            yield Cell("Cursors", "a list that had items is empty", stage.name, outcome, act=emptied)
            skipping = Outcome(exit_code=4, verdict="broken", gap=replace(gap, kept=100), says="its cursor skips items")
            for name, count in (("an item", 1), ("three items", 3)):
                yield _faulty(f"the cursor skips {name}", stage, [{"fault": "cursor_skips", "count": count}], skipping)
        yield from _expiring(stage, pages=1 if is_runs else 2)
        for name, (change, expected, limit) in _CHANGES.items():
            yield _changing(name, stage, _ChangeWhilePaging(stage, change), expected, limit=limit)
        found_later = _ChangeWhilePaging(stage, _insert(0), then_full=True)
        yield _changing(
            "an item is inserted before the cursor while paging, then sync --full", stage, found_later, _with_copy(0)
        )
        # A step that was read stays read; the steps of a run that is gone since it was listed cannot be had.
        outcome = Outcome()
        if is_runs:
            gone = next(t for t in lists.corpus.threads if t.item.object_id == lists.long_thread).runs[50]
            gap = Gap(lists.long_thread, gone.item.object_id)
            outcome = Outcome(exit_code=4, verdict="missing", gap=gap)
        act = _ChangeWhilePaging(stage, _delete(50))
        yield Cell("Cursors", "an item before the cursor is deleted while paging", stage.name, outcome, act=act)


def _faulty(name: str, stage: Stage, rules: list[Rule], outcome: Outcome) -> Cell:
    length = _LENGTHS.get(name)
    longer = (lambda lists: lengthened(lists, length)) if length else None
    return Cell("Cursors", name, stage.name, outcome, [{**rule, **stage.match} for rule in rules], lists=longer)


def _expiring(stage: Stage, *, pages: int) -> Iterator[Cell]:
    rule = {"fault": "cursor_expires", "pages": pages, **stage.match}
    once = {**rule, "after_requests": pages, "times": 1}
    yield Cell("Cursors", "the cursor expires once (400)", stage.name, Outcome(), [once])
    outcome = Outcome(exit_code=4, verdict="failed", gap=replace(stage.gap, kept=100 * pages))
    yield Cell("Cursors", "the cursor expires every time (400)", stage.name, outcome, [rule])


@dataclass(frozen=True, slots=True)
class _AfterSound:
    """A sound sync, and one while the server answers otherwise."""

    rule: Rule

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the second sync ended."""
        ended = sync(server, folder)
        assert ended.exit_code == 0, f"the first sync ended with {ended.exit_code}: {ended.output}"
        server.set_faults([self.rule])
        ended = sync(server, folder)
        assert server.struck() != [0], "no answer was changed"
        return ended


Change = Callable[[RunningEmulator, ItemList], object]
Expected = Callable[[list[Item]], list[Item]]


def _insert(position: int | None) -> Change:
    return lambda server, items: server.emulation.store.insert_copy(items, position)


def _delete(position: int) -> Change:
    def delete(_server: RunningEmulator, items: ItemList) -> None:
        assert items.delete(items.copy_item(position).object_id), "there is nothing to delete"

    return delete


def _with_copy(position: int | None) -> Expected:
    def expected(items: list[Item]) -> list[Item]:
        template = items[-1]
        new_id = f"{template.object_id.partition('_')[0]}_inserted{1:016d}"
        copy = Item(new_id, template.body.replace(template.object_id.encode(), new_id.encode()))
        at = len(items) if position is None else position
        return [*items[:at], copy, *items[at:]]

    return expected


def _as_before(items: list[Item]) -> list[Item]:
    return items


# What is done once the first page is out, and what of the list must come of it.
_CHANGES: dict[str, tuple[Change, Expected, str]] = {
    "an item is added at the end while paging": (_insert(None), _with_copy(None), ""),
    "an item is inserted after the cursor while paging": (_insert(110), _with_copy(110), ""),
    "an item is inserted before the cursor while paging": (
        _insert(0),
        _as_before,
        "all is there but this item, which is on no page that was still to come; no cursor API can show it."
        " `sync --full` finds it. Servers of this protocol append, so that an open run or thread gets its new items at"
        " the end",
    ),
    "the item of the cursor is deleted while paging": (_delete(99), lambda items: [*items[:99], *items[100:]], ""),
    "an item after the cursor is deleted while paging": (_delete(110), lambda items: [*items[:110], *items[111:]], ""),
}


@dataclass(frozen=True, slots=True)
class _ChangeWhilePaging:
    """A sync during which a list changes between its first and its second page."""

    stage: Stage
    change: Change
    then_full: bool = False

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the sync ended, or the `sync --full` that follows it."""
        held = {"fault": "status", "status": 503, "headers": {"retry-after-ms": "20"}}
        server.set_faults([{**held, **self.stage.match, "after_requests": 1}])
        ended: list[Ended] = []
        cell = Cell("Cursors", "", self.stage.name, Outcome(), settings={"attempts": 1000})
        running = threading.Thread(target=lambda: ended.append(sync(server, folder, cell=cell)))
        running.start()
        wait_until(lambda: any(entry["after"] and entry["status"] == 503 for entry in server.requests()), what="page 2")
        store, gap = server.emulation.store, self.stage.gap
        items = store.list_steps(gap.run_id) if gap.run_id else store.runs[gap.thread_id or ""]
        self.change(server, items)
        server.clear_faults()
        running.join()
        return sync(server, folder, cell=cell, more=["--full"]) if self.then_full else ended[0]


def _changing(name: str, stage: Stage, act: Act, expected: Expected, *, limit: str = "") -> Cell:
    def expect(lists: Lists) -> Corpus:
        return change_list(lists.corpus, stage.gap, expected)

    return Cell("Cursors", name, stage.name, Outcome(), act=act, expected=expect, limit=limit)


def change_list(corpus: Corpus, gap: Gap, change: Expected, *, counted: bool = True) -> Corpus:
    """The corpus with another list of runs or steps (a run that is new has no steps), its truth counted anew or not."""
    threads = []
    for thread in corpus.threads:
        if thread.item.object_id == gap.thread_id and gap.run_id is None:
            steps = {run.item.object_id: run.steps for run in thread.runs}
            items = change([run.item for run in thread.runs])
            thread = replace(thread, runs=tuple(RunRecord(item, steps.get(item.object_id, ())) for item in items))
        elif thread.item.object_id == gap.thread_id:
            runs = [
                replace(run, steps=tuple(change(list(run.steps)))) if run.item.object_id == gap.run_id else run
                for run in thread.runs
            ]
            thread = replace(thread, runs=tuple(runs))
        threads.append(thread)
    return with_threads(corpus, threads, counted=counted)
