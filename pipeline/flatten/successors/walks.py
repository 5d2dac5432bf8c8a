"""Walks over responses and turns as runs, steps and calls, and a walk over the step of each, as steps have theirs."""

from collections import Counter
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
from pipeline.protocol.item_types import ASKED_FOR
from pipeline.protocol.pages import Certificate, LandedWalk, Page
from pipeline.protocol.successors import Response, Turn
from pipeline.protocol.wire import TERMINAL_STATUSES, Run

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FlatRun:
    """A response or a turn of a walk, with the walk over its step; `position` is its place in the list.

    There is no walk over the step of a run that was known to be whole before: nothing that it did is here.
    """

    one: OneStep
    walk: LandedWalk
    step_walk: LandedWalk | None
    page: Page
    position: int | None


def flatten_walk(walk: LandedWalk, rejects: RejectRows) -> list[FlatRun]:
    """The runs of a walk in their order, each joined with what the walk has of it."""
    contents = read_contents(walk, rejects)
    around, of_turns = _share_out(contents)
    flat: list[FlatRun] = []
    # One that a list has is there once more where it was asked for by its id, for what the list leaves out.
    newest = {found.object.id: index for index, found in enumerate(contents.runs)}
    known = frozenset(walk.certificate.known_ids)
    places: dict[str, int] = {}
    asked_id = walk.certificate.asked_id if len({found.object.id for found in contents.runs}) == 1 else None
    for index, found in enumerate(contents.runs):
        place = places.setdefault(found.object.id, len(places))
        if newest[found.object.id] != index:
            continue
        run_id = asked_id or found.object.id
        if isinstance(found.object, Response):
            run, facts = run_of_response(found.object, run_id=run_id, batch=found.batch)
            items = list(_items_of(walk, found, rejects))
        else:
            run, facts = run_of_turn(found.object, run_id=run_id, session=contents.session)
            items = list(in_order(of_turns.get(found.object.id, ())))
        joined = join_items(items, around)
        one = _one_step(run, facts, found, joined)
        is_placed = walk.certificate.verdict != "imported" and walk.certificate.first_index >= 0
        position = walk.certificate.first_index + place if is_placed else None
        step_walk = None if run_id in known else _step_walk(walk, run, place, is_answered=_is_answered(joined))
        flat.append(FlatRun(one, walk, step_walk, found.page, position))
    if walk.certificate.item_order == "desc" and walk.certificate.verdict != "imported":
        last = 2 * walk.certificate.first_index + len(flat) - 1
        return [_moved(each, None if each.position is None else last - each.position) for each in flat]
    if walk.certificate.protocol == "agents" and walk.certificate.verdict != "imported":
        # Those of subagents are in lists of their own.
        begun = sorted(range(len(flat)), key=lambda index: (flat[index].one.run.created_at or 0, index))
        return [_moved(flat[index], place) for place, index in enumerate(begun)]
    return flat


def _moved(flat: FlatRun, position: int | None) -> FlatRun:
    return FlatRun(flat.one, flat.walk, flat.step_walk, flat.page, position)


def _share_out(contents: Contents) -> tuple[Pool, dict[str, list[Item]]]:
    """Items of turns by their turn, and all others, which may complete anything."""
    turns = {found.object.id for found in contents.runs if isinstance(found.object, Turn)}
    only = next(iter(turns)) if len(turns) == 1 else None
    of_turns: dict[str, list[Item]] = {}
    around: list[Item] = []
    pages = Counter(turn_id for turn_id, _ in {(item.turn_id or only, item.page_index) for item in contents.items})
    seen: dict[tuple[str | None, bytes], int] = {}
    for item in contents.items:
        turn_id = item.turn_id or only
        # Some servers begin a page with the last items of the one before it.
        may_repeat = pages[turn_id] > 1 and item.text("id") is not None
        if may_repeat and seen.setdefault((turn_id, item.body), item.page_index) != item.page_index:
            continue
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


def _is_answered(joined: Joined) -> bool:
    """Whether all calls that somebody has to answer have their outputs."""
    return all(output is not None or call.type not in ASKED_FOR for call, output in joined.calls)


def _is_settled(whole: Certificate, run: Run, *, is_answered: bool) -> bool:
    """Whether an ended run says all that it will. The usage of a turn may change for some time."""
    if whole.is_settled is not None:
        return whole.is_settled
    if not is_answered or (run.usage is None and run.status == "completed"):
        return False
    ended_at = _instant_of(run.completed_at)
    if whole.protocol != "agents" or ended_at is None:
        return True
    return whole.started_at - ended_at >= timedelta(seconds=whole.settle_s or 0.0)


def _step_walk(walk: LandedWalk, run: Run, number: int, *, is_answered: bool) -> LandedWalk:
    """The walk over the one step of a run: as complete as what it is made from."""
    whole = walk.certificate
    is_whole = whole.verdict == "complete"
    has_ended = run.status in TERMINAL_STATUSES
    is_settled = _is_settled(whole, run, is_answered=is_answered)
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
