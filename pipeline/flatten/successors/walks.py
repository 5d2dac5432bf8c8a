"""Walks over responses and turns as runs, steps and calls, and a walk over the step of each, as steps have theirs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from pipeline.flatten.items import RejectRows
from pipeline.flatten.salvage import Reject
from pipeline.flatten.successors.calls import read_call
from pipeline.flatten.successors.joining import Item, Joined, Pool, in_order, item_of, join_items
from pipeline.flatten.successors.reading import Contents, FoundRun, raw_shown, read_contents
from pipeline.flatten.successors.runs import Facts, OneStep, run_of_response, run_of_turn, step_of
from pipeline.protocol.pages import Certificate, LandedWalk, Page
from pipeline.protocol.successors import Response, Turn
from pipeline.protocol.wire import TERMINAL_STATUSES, Run

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FlatRun:
    """A response or a turn of a walk, with the walk over its step; `position` is its place in the list."""

    one: OneStep
    walk: LandedWalk
    step_walk: LandedWalk
    page: Page
    position: int | None


def flatten_walk(walk: LandedWalk, rejects: RejectRows) -> list[FlatRun]:
    """The runs of a walk in their order, each joined with what the walk has of it."""
    contents = read_contents(walk, rejects)
    around, of_turns = _share_out(walk, contents)
    flat: list[FlatRun] = []
    numbers: dict[str, int] = {}
    asked_id = walk.certificate.asked_id if len({found.object.id for found in contents.runs}) == 1 else None
    for index, found in enumerate(contents.runs):
        run_id = asked_id or found.object.id
        number = numbers.setdefault(run_id, len(numbers))
        if isinstance(found.object, Response):
            run, facts = run_of_response(found.object, run_id=run_id, batch=found.batch)
            items = list(_items_of(walk, found, rejects))
        else:
            run, facts = run_of_turn(found.object, run_id=run_id, session=contents.session)
            items = list(in_order(of_turns.get(found.object.id, ())))
        one = _one_step(run, facts, found, join_items(items, around))
        position = None if walk.certificate.verdict == "imported" else walk.certificate.first_index + index
        flat.append(FlatRun(one, walk, _step_walk(walk, run, number), found.page, position))
    if walk.certificate.item_order == "desc" and walk.certificate.verdict != "imported":
        last = 2 * walk.certificate.first_index + len(flat) - 1
        flat = [_moved(each, last) for each in flat]
    return flat


def _moved(flat: FlatRun, last: int) -> FlatRun:
    position = None if flat.position is None else last - flat.position
    return FlatRun(flat.one, flat.walk, flat.step_walk, flat.page, position)


def _share_out(walk: LandedWalk, contents: Contents) -> tuple[Pool, dict[str, list[Item]]]:
    """Items of turns by their turn, and all others, which may complete anything."""
    turns = {found.object.id for found in contents.runs if isinstance(found.object, Turn)}
    only = next(iter(turns)) if len(turns) == 1 else None
    of_turns: dict[str, list[Item]] = {}
    around: list[Item] = []
    for item in contents.items:
        turn_id = item.text("turn_id") or only
        if turn_id in turns:
            of_turns.setdefault(turn_id, []).append(item)
        else:
            around.append(item)
    return Pool(in_order(around)), of_turns


def _items_of(walk: LandedWalk, found: FoundRun, rejects: RejectRows) -> Iterator[Item]:
    """The output of a response."""
    assert isinstance(found.object, Response)
    for index, raw in enumerate(found.object.output or ()):
        if (item := item_of(raw)) is not None:
            yield item
        else:
            lost = Reject(f"$.output[{index}]", "no item: it is not kept", raw_shown(raw))
            rejects.add(walk, found.page, 0, found.object.id, [lost])


def _one_step(run: Run, facts: Facts, found: FoundRun, joined: Joined) -> OneStep:
    of_run: dict[str, Raw] = {
        "response_id": Raw(msgspec.json.encode(found.object.id)),
        "turn_id": Raw(msgspec.json.encode(found.object.id)),
    }
    if isinstance(found.object, Response) and isinstance(found.object.agent_reference, Raw):
        of_run["agent_reference"] = found.object.agent_reference
    kind = "response" if isinstance(found.object, Response) else "turn"
    calls = [read_call(call, output, of_run=of_run) for call, output in joined.calls]
    return OneStep(run, step_of(run, kind, joined), facts, calls)


def _step_walk(walk: LandedWalk, run: Run, number: int) -> LandedWalk:
    """The walk over the one step of a run: as complete as what it is made from."""
    whole = walk.certificate
    # A response is an answer by itself, however the list that it stood in ended; the items of a turn are a list.
    is_whole = whole.verdict == "complete" or (whole.protocol == "responses" and whole.verdict != "imported")
    has_ended = run.status in TERMINAL_STATUSES
    is_settled = whole.is_settled if whole.is_settled is not None else run.usage is not None or run.status != "completed"
    certificate = Certificate(
        resource="steps",
        thread_id=whole.thread_id,
        run_id=run.id,
        started_at=whole.started_at,
        ended_at=whole.ended_at,
        verdict="complete" if is_whole else whole.verdict,
        protocol=whole.protocol,
        run_status=run.status if is_whole else None,
        run_ended_at=_instant_of(run.completed_at) if is_whole and has_ended else None,
        is_settled=is_settled if is_whole and has_ended else None,
        settle_s=whole.settle_s,
        pages=1,
        items=1,
        first_id=f"{run.id}#1",
        last_id=f"{run.id}#1",
        ended_by="whole_answer" if is_whole else None,
        error=None if is_whole else whole.error,
    )
    return replace(walk, walk_id=f"{walk.walk_id}.{number}", certificate=certificate, pages=[])


def _instant_of(seconds: float | None) -> datetime | None:
    return _EPOCH + timedelta(microseconds=round(seconds * 1_000_000)) if seconds and seconds > 0 else None


def flatten_walks(walks: Sequence[LandedWalk], rejects: RejectRows) -> list[FlatRun]:
    """The runs of all walks."""
    return [flat for walk in walks for flat in flatten_walk(walk, rejects)]
