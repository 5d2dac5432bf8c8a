"""A whole account of threads, runs and steps, the same for the same seed, held as encoded JSON."""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from pipeline.emulator.account.assistants import LAST_SECOND, Assistant, BusinessClock, build_assistants
from pipeline.emulator.account.runs import RunDraft, build_run
from pipeline.emulator.account.scenarios import SCENARIOS
from pipeline.emulator.account.texts import make_id
from pipeline.emulator.account.tool_calls import JsonObject
from pipeline.emulator.account.traffic import (
    ChildSlot,
    Desk,
    Office,
    RunHistory,
    draw_details,
    draw_length,
    draw_ordinary_thread,
    draw_run,
    open_desk,
)
from pipeline.emulator.account.truth import Tally, Truth

DEFAULT_SEED: Final = 7
DEFAULT_THREADS: Final = 400
# One thread in twelve is the work of a connected agent; one in forty gets new runs with the advance.
_CHILD_EVERY: Final = 12
_GROWING_EVERY: Final = 40
_GROWTH_PAUSE_S: Final = 1800


@dataclass(frozen=True, slots=True)
class Item:
    """One served object as JSON. `body_with_content` is None when asking for content changes nothing."""

    object_id: str
    body: bytes
    body_with_content: bytes | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run and its steps in the server's ascending order."""

    item: Item
    steps: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class ThreadRecord:
    """A thread and its runs in the server's ascending order."""

    item: Item
    runs: tuple[RunRecord, ...]


@dataclass(frozen=True, slots=True)
class Corpus:
    """All objects of an account in two phases: before and after the open runs went on and new ones came."""

    seed: int
    assistants: tuple[Assistant, ...] = field(repr=False)
    threads: tuple[ThreadRecord, ...] = field(repr=False)
    changed_runs: Mapping[str, RunRecord] = field(repr=False)
    new_runs: Mapping[str, tuple[RunRecord, ...]] = field(repr=False)
    truths: tuple[Truth, Truth] = field(repr=False)

    def truth(self, phase: int = 0) -> Truth:
        """The exact totals of a phase, counted during generation."""
        return self.truths[phase]

    def thread_ids(self) -> list[str]:
        """The ids of all threads, oldest first; the same in both phases."""
        return [thread.item.object_id for thread in self.threads]

    def threads_at(self, phase: int) -> list[ThreadRecord]:
        """The threads as they are in a phase, oldest first."""
        return [self._advance(thread) for thread in self.threads] if phase else list(self.threads)

    def _advance(self, thread: ThreadRecord) -> ThreadRecord:
        runs = tuple(self.changed_runs.get(run.item.object_id, run) for run in thread.runs)
        return ThreadRecord(thread.item, runs + self.new_runs.get(thread.item.object_id, ()))

    def digest(self) -> str:
        """SHA-256 over every object of both phases, in order."""
        digest = hashlib.sha256()
        for phase in (0, 1):
            for item in _list_items(self.threads_at(phase)):
                digest.update(item.body_with_content or item.body)
        return digest.hexdigest()


def _list_items(threads: Sequence[ThreadRecord]) -> list[Item]:
    items = []
    for thread in threads:
        items.append(thread.item)
        for run in thread.runs:
            items += [run.item, *run.steps]
    return items


def generate_corpus(
    *,
    seed: int = DEFAULT_SEED,
    threads: int = DEFAULT_THREADS,
    runs_per_thread: float = 4.8,
    steps_per_run: float = 4.2,
) -> Corpus:
    """An account with exactly `threads` threads; the two means are of ordinary threads and runs.

    The awkward cases come first, so that a small account has most of them (all of them from 27 threads on).
    """
    slots = _reserve_children(seed, threads)
    office = Office(build_assistants(seed), BusinessClock(), runs_per_thread, steps_per_run, list(slots[::-1]))
    builder = _CorpusBuilder(office)
    for index in range(threads - len(slots)):
        desk = open_desk(office, random.Random(f"{seed}:{index}"))
        draw_thread = SCENARIOS[index] if index < len(SCENARIOS) else draw_ordinary_thread
        histories = draw_thread(desk)
        if index % _GROWING_EVERY == _GROWING_EVERY - 1 or index == len(SCENARIOS):
            histories = histories + _draw_growth(desk)
        builder.add_thread(desk, histories)
    for index, slot in enumerate(slots):
        rng = random.Random(f"{seed}:child:{index}")
        desk = Desk(office, rng, slot.thread_id, "internal")
        builder.add_thread(desk, [_draw_child(desk, slot)])
    return builder.finish(seed)


def _reserve_children(seed: int, threads: int) -> list[ChildSlot]:
    rng = random.Random(f"{seed}:children")
    count = max(threads // _CHILD_EVERY, 1 if threads > 2 else 0)
    return [ChildSlot(make_id(rng, "thread_"), make_id(rng, "run_")) for _ in range(count)]


def _draw_child(desk: Desk, slot: ChildSlot) -> RunHistory:
    assistant = desk.office.find_assistant("Research Desk")
    created_at = desk.office.called_at.get(slot.thread_id) or desk.office.clock.draw(desk.rng)
    details = list(draw_details(desk, assistant, max(2, draw_length(desk))))
    draft = build_run(desk.rng, replace(desk.plan(assistant, created_at, details), run_id=slot.run_id))
    return RunHistory(draft, draft)


def _draw_growth(desk: Desk) -> list[RunHistory]:
    assistant = desk.office.find_assistant("Support Concierge")
    instant = LAST_SECOND + desk.rng.randint(3600, 30_000)
    drafts = []
    for _ in range(desk.rng.randint(1, 2)):
        drafts.append(draw_run(desk, assistant, instant, "completed"))
        instant += _GROWTH_PAUSE_S
    return [RunHistory(None, draft) for draft in drafts]


class _CorpusBuilder:
    """Encodes and counts threads one by one, so that no generated object outlives its thread."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._threads: list[tuple[int, ThreadRecord]] = []
        self._changed_runs: dict[str, RunRecord] = {}
        self._new_runs: dict[str, tuple[RunRecord, ...]] = {}
        self._tallies = (Tally(), Tally())

    def add_thread(self, desk: Desk, histories: Sequence[RunHistory]) -> None:
        """Take in one thread with its runs, oldest first."""
        runs = []
        new_runs = []
        for history in histories:
            after = _encode_run(history.after, history.escaped)
            self._tallies[1].count_run(history.after.run, history.after.steps)
            if history.before is None:
                new_runs.append(after)
                continue
            before = after if history.before is history.after else _encode_run(history.before, history.escaped)
            self._tallies[0].count_run(history.before.run, history.before.steps)
            runs.append(before)
            if before is not after:
                self._changed_runs[after.item.object_id] = after
        if new_runs:
            self._new_runs[desk.thread_id] = tuple(new_runs)
        for tally in self._tallies:
            tally.threads += 1
        created_at = _date_thread(desk, histories)
        self._threads.append((created_at, ThreadRecord(_encode_thread(desk, created_at), tuple(runs))))

    def finish(self, seed: int) -> Corpus:
        """The corpus of all threads taken in so far, oldest first."""
        self._threads.sort(key=lambda pair: pair[0])
        return Corpus(
            seed=seed,
            assistants=tuple(self._office.assistants),
            threads=tuple(record for _, record in self._threads),
            changed_runs=self._changed_runs,
            new_runs=self._new_runs,
            truths=(self._tallies[0].freeze(0), self._tallies[1].freeze(1)),
        )


def _date_thread(desk: Desk, histories: Sequence[RunHistory]) -> int:
    if histories and histories[0].before is not None:
        return int(histories[0].after.run["created_at"]) - desk.rng.randint(1, 30)
    return desk.office.clock.draw(desk.rng)


def _encode_thread(desk: Desk, created_at: int) -> Item:
    body = {
        "id": desk.thread_id,
        "object": "thread",
        "created_at": created_at,
        "metadata": {"customer": desk.customer},
        "tool_resources": {},
    }
    return Item(desk.thread_id, msgspec.json.encode(body))


def _encode_run(draft: RunDraft, escaped: bool) -> RunRecord:
    item = Item(draft.run["id"], _encode(draft.run, escaped))
    return RunRecord(item, tuple(_encode_step(step, escaped) for step in draft.steps))


def _encode_step(step: JsonObject, escaped: bool) -> Item:
    bare = _strip_content(step)
    if bare is step:
        return Item(step["id"], _encode(step, escaped))
    return Item(step["id"], _encode(bare, escaped), _encode(step, escaped))


def _encode(value: JsonObject, escaped: bool) -> bytes:
    return json.dumps(value).encode() if escaped else msgspec.json.encode(value)


def _strip_content(step: JsonObject) -> JsonObject:
    details = step["step_details"]
    calls = [_strip_call(call) for call in details.get("tool_calls", ())]
    if all(bare is call for bare, call in zip(calls, details.get("tool_calls", ()), strict=True)):
        return step
    return step | {"step_details": details | {"tool_calls": calls}}


def _strip_call(call: JsonObject) -> JsonObject:
    search = call.get("file_search")
    if not isinstance(search, dict) or not any("content" in hit for hit in search.get("results", ())):
        return call
    results = [{key: hit[key] for key in hit if key != "content"} for hit in search["results"]]
    return call | {"file_search": search | {"results": results}}
