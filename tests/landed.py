"""Walks as if they had landed, from the objects of a test."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.protocol.list_heads import ItemOrder
from pipeline.protocol.pages import Certificate, LandedWalk, Page, SyncSummary, Verdict, Walk
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.writer import PartWriter

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
Json = dict[str, Any]


def landed_walk(items: Sequence[Json], *, walk_id: str = "walk_1") -> LandedWalk:
    """A complete walk that found these runs or steps in one page, of the thread and run that the first one names."""
    return landed_bodies([json.dumps({"object": "list", "data": items}).encode()], first=items[0], walk_id=walk_id)


def landed_bodies(bodies: Sequence[bytes], *, first: Json, walk_id: str = "walk_1") -> LandedWalk:
    """A complete walk with these bodies as its pages, over the list that `first` belongs to."""
    is_step = first.get("object") == "thread.run.step"
    certificate = Certificate(
        resource="steps" if is_step else "runs",
        thread_id=first["thread_id"],
        run_id=first["run_id"] if is_step else None,
        run_status="completed" if is_step else None,
        started_at=NOON,
        ended_at=NOON,
        verdict="complete",
        pages=len(bodies),
        ended_by="has_more_false",
    )
    pages = [Page(index, None, NOON, None, body) for index, body in enumerate(bodies)]
    return LandedWalk("main", "sync_1", walk_id, "part_1", certificate, pages)


@dataclass(frozen=True, slots=True)
class Listing:
    """One observation of a list: `minute` is when the walk over it began and ended."""

    minute: int
    items: Sequence[Json]
    thread_id: str = "thread_1"
    run_id: str | None = None
    run_status: str | None = "completed"
    verdict: Verdict = "complete"
    first_index: int = 0
    after_id: str | None = None
    item_order: ItemOrder | None = "asc"
    is_settled: bool | None = None
    run_ended_at: datetime | None = None

    def walk(self) -> Walk:
        """The walk with its certificate, its page if it found anything."""
        at = instant(self.minute)
        certificate = Certificate(
            resource="runs" if self.run_id is None else "steps",
            thread_id=self.thread_id,
            run_id=self.run_id,
            run_status=self.run_status if self.run_id is not None else None,
            started_at=at,
            ended_at=at,
            verdict=self.verdict,
            item_order=self.item_order,
            is_settled=self.is_settled,
            run_ended_at=self.run_ended_at,
            after_id=self.after_id,
            first_index=self.first_index,
            pages=1 if self.items else 0,
            items=len(self.items),
            ended_by="has_more_false" if self.verdict == "complete" else None,
            error=None if self.verdict == "complete" else f"it was {self.verdict}",
        )
        items = [{**item, "thread_id": self.thread_id} if "thread_id" in item else item for item in self.items]
        body = json.dumps({"object": "list", "data": items, "has_more": False}).encode()
        return Walk(certificate, [Page(0, self.after_id, at, "req_1", body)] if self.items else [])


def instant(minute: int) -> datetime:
    """That many minutes after noon."""
    return NOON + timedelta(minutes=minute)


def run_of(run_id: str, status: str = "completed", **fields: Any) -> Json:
    """A run of thread_1 as a server sends it."""
    return {"id": run_id, "object": "thread.run", "thread_id": "thread_1", "status": status, **fields}


def step_of(step_id: str, *, calls: int = 1, **fields: Any) -> Json:
    """A step with that many function calls as a server sends it."""
    tool_calls = [{"id": f"call_{n}", "type": "function", "function": {"name": "look_up"}} for n in range(calls)]
    details = {"type": "tool_calls", "tool_calls": tool_calls}
    return {"id": step_id, "object": "thread.run.step", "status": "completed", "step_details": details, **fields}


def land(
    store: RawStore,
    *listings: Listing,
    sync_id: str = "sync_1",
    planned: Sequence[str] = (),
    started: int | None = None,
    verdict: str | None = None,
) -> PartName:
    """One part with these walks; with `started` it opens the sync at that minute, with `verdict` it ends it."""
    writer = PartWriter(store, source="main", sync_id=sync_id)
    for listing in listings:
        writer.add_walk(listing.walk())
    if planned:
        writer.add_plan(planned, instant(started or 0))
    if started is not None:
        finished_at = instant(started + 5) if verdict else None
        summary = SyncSummary(
            started_at=instant(started), pipeline_version="1", finished_at=finished_at, verdict=verdict
        )
        writer.add_summary(summary, instant(started))
    part = writer.land(writer.take_rows())
    assert part is not None
    return part
