"""Sessions of the Agents API to finished walks: a session, its turns and its subagents' turns, and what each did."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from pipeline.errors import PipelineError, RequestError, WalkError
from pipeline.extract.certifying import certify, check_items, check_subagent_turns, run_tasks
from pipeline.extract.fetching import COMPLETE, Ended, Extractor, page_of
from pipeline.extract.jobs import Job
from pipeline.extract.plan import RunTask, ThreadTask
from pipeline.protocol.json_text import decode_with
from pipeline.protocol.list_heads import seconds_of, usable_id
from pipeline.protocol.lists import SUBAGENTS, TURN_ITEMS, TURNS, ListWalk
from pipeline.protocol.pages import Page
from pipeline.protocol.wire import ItemHead
from pipeline.protocol.words import shown_id

# A server's clock and ours may differ by so much: what happened that shortly before a visit may be missing from it.
_CLOCKS_DIFFER_S = 3600.0
_ROUNDED_S = 1.0


class SessionHead(ItemHead):
    """What a visit needs of a session."""

    kind: object = msgspec.field(default=None, name="object")
    last_active_at: object = None
    agent: object = None

    @property
    def may_have_subagents(self) -> bool:
        """Whether its agent may have others work for it; where nothing says that it may not, it may."""
        said = self.agent.get("multi_agent") if isinstance(self.agent, dict) else None
        return not (isinstance(said, dict) and said.get("enabled") is False)


_decode = decode_with(SessionHead, "a session")


def decode_session(body: bytes) -> SessionHead:
    """The head of a session. Raises ValueError for what is none."""
    head = _decode(body)
    if head.kind != "agent.session" or usable_id(head.id) is None:
        raise ValueError("the body is not a session")
    return head


@dataclass(slots=True)
class _Items:
    """The list of what a turn did, and how it could be had."""

    segments: tuple[str, ...]
    turn_id: str
    walk: ListWalk = field(default_factory=ListWalk)
    ended: Ended = COMPLETE


class SessionExtractor(Extractor):
    """Visits sessions: one request for one that has not been active since it was whole."""

    async def _do(self, job: Job) -> Sequence[RunTask]:
        if isinstance(job, ThreadTask) and job.pending is None:
            await self._visit(job)
        return ()

    async def _visit(self, task: ThreadTask) -> None:
        started_at, walk = self._client.clock.stamp(), ListWalk()
        pages: list[Page] = []
        known: list[str] = []
        ended = COMPLETE
        try:
            answer = await self._client.get(("agents", "sessions", task.thread_id), decode=decode_session)
        except RequestError as error:
            ended = self._ended_by(error)
        else:
            pages.append(page_of(answer, 0))
            if (other := usable_id(answer.value.id)) != task.thread_id:
                path = self._client.endpoint.path(("agents", "sessions", task.thread_id))
                ended = Ended("broken", f"{path}: the answer is another session, {shown_id(str(other))}")
            elif _is_unchanged(task, answer.value):
                self._count_known(len(task.sealed_ids))
            else:
                ended = await self._read_turns(task, answer.value, walk)
                runs = run_tasks(task.thread_id, walk.heads)
                known = [run.run_id for run in runs if self._needs_no_items(task, run, started_at)]
                self.progress.runs += len(runs)
                self.progress.runs_sealed += len(known)
                self._add(pages, walk)
                if ended == COMPLETE:
                    ended = await self._read_items(task, walk, known, pages)
        certificate = certify(
            task, walk, started_at=started_at, ended_at=started_at, verdict=ended.verdict, error=ended.error
        )
        # Several lists stand one after the other: their instants tell nothing.
        certificate = replace(certificate, protocol="agents", item_order=None, known_ids=known)
        if ended == COMPLETE and walk.pages:
            certificate = self._bear_out(task, certificate, walk.ids.keys())
            ended = Ended(certificate.verdict, certificate.error)
        await self._finish_with(pages, replace(certificate, ended_by=certificate.ended_by or "has_more_false"), ended)

    def _needs_no_items(self, task: ThreadTask, run: RunTask, now: datetime) -> bool:
        """Whether a turn is sealed, or has ended and only its usage may change, which it did not."""
        if task.is_sealed(run):
            return True
        before = task.settling.get(run.run_id)
        if before is None or run.ended_at is None or run.differs_from(before):
            return False
        return now - run.ended_at < timedelta(seconds=self._options.settle_s or 0.0)

    async def _read_turns(self, task: ThreadTask, session: SessionHead, found: ListWalk) -> Ended:
        """All turns of a session, its own list first, then those of its subagents, into one walk."""
        path = ("agents", "sessions", task.thread_id)
        ended, subagents = await self._read_into(found, task, (*path, "turns")), ListWalk()
        if ended == COMPLETE and session.may_have_subagents:
            ended = await self._read_list((*path, "subagents"), SUBAGENTS, subagents)
        found.pages += subagents.pages
        for subagent in subagents.ids if ended == COMPLETE else ():
            ended = await self._read_into(found, task, (*path, "subagents", subagent, "turns"), subagent=subagent)
            if ended != COMPLETE:
                break
        # The session is there all the same.
        return ended if ended.verdict != "missing" else Ended("failed", ended.error)

    async def _read_into(
        self, found: ListWalk, task: ThreadTask, segments: Sequence[str], *, subagent: str | None = None
    ) -> Ended:
        walk = ListWalk()
        ended = await self._read_list(segments, TURNS, walk)
        try:
            check_items(task, walk)
            if subagent is not None:
                check_subagent_turns(subagent, walk.found, found.found)
        except WalkError as error:
            ended = Ended("broken", f"{self._client.endpoint.path(segments)}: {error}")
        found.pages += walk.pages
        found.heads += walk.heads
        found.ids.update(walk.ids)
        found.ended_by = walk.ended_by
        return ended

    async def _read_items(self, task: ThreadTask, turns: ListWalk, known: Sequence[str], pages: list[Page]) -> Ended:
        """Add the items of each turn that is not known to be whole. One that cannot be had does not stop the others."""
        whole, session = frozenset(known), ("agents", "sessions", task.thread_id)
        lists: list[_Items] = []
        for turn in turns.found:
            turn_id, subagent = usable_id(turn.id), usable_id(turn.subagent_id)
            if turn_id is not None and turn_id not in whole:
                agent = () if subagent is None else ("subagents", subagent)
                lists.append(_Items((*session, *agent, "turns", turn_id, "items"), turn_id))
        await self._read_together(lists)
        worst = COMPLETE
        turn_of: dict[tuple[bytes, ...], str] = {}
        for items in lists:
            self._add(pages, items.walk, turn_id=items.turn_id)
            ended = items.ended
            other = turn_of.setdefault(tuple(page.body for page in items.walk.pages), items.turn_id)
            if other != items.turn_id and len(items.walk.ids) > 1:
                path = self._client.endpoint.path(items.segments)
                same = f"these are the very items of turn {shown_id(other)}: does a gateway drop ids from the path?"
                ended = Ended("broken", f"{path}: {same}")
            if ended != COMPLETE:
                worst = Ended("failed" if ended.verdict == "missing" else ended.verdict, ended.error)
        return worst

    async def _read_together(self, lists: Sequence["_Items"]) -> None:
        """Read lists many at a time: a session has one for each turn, and each may have to be asked for again."""
        left = iter(lists)

        async def read() -> None:
            for items in left:
                items.ended = await self._read_list(items.segments, TURN_ITEMS, items.walk)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._options.concurrency, len(lists))):
                    group.create_task(read())
        except* PipelineError as errors:
            raise errors.exceptions[0] from None

    def _add(self, pages: list[Page], walk: ListWalk, *, turn_id: str | None = None) -> None:
        begin = len(pages)
        pages += [replace(page, page_index=begin + number, origin=turn_id) for number, page in enumerate(walk.pages)]


def _is_unchanged(task: ThreadTask, session: SessionHead) -> bool:
    """Whether a session says that nothing has happened since it was last found whole."""
    active_s = seconds_of(session.last_active_at)
    if task.whole_at is None or active_s is None:
        return False
    turns_ended_s = max((run.ended_at.timestamp() for run in task.sealed.values() if run.ended_at), default=active_s)
    if active_s + _ROUNDED_S < turns_ended_s:
        # A server that does not count its turns as activity: what it says here tells nothing.
        return False
    return active_s + _CLOCKS_DIFFER_S < task.whole_at.timestamp()
