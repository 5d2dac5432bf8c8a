"""Conversations and responses to finished walks: those that a server lists by conversation, and those named by id.

A walk has whole responses, and where these leave calls open the items that may hold the outputs.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from msgspec.structs import replace

from pipeline.errors import PipelineError, RequestError
from pipeline.extract.certifying import run_tasks
from pipeline.extract.fetching import COMPLETE, Ended, Extractor, page_of
from pipeline.extract.jobs import Job
from pipeline.extract.open_calls import (
    ResponseHead,
    answered_by,
    decode_response,
    needs_of,
    read_responses,
    responses_named,
)
from pipeline.extract.plan import RunTask, ThreadTask
from pipeline.http.client import Answer
from pipeline.protocol.list_heads import usable_id
from pipeline.protocol.lists import (
    CONVERSATION_ITEMS,
    INPUT_ITEMS,
    ONE_RESPONSE,
    PAGE_LIMIT,
    RESPONSES,
    ListRule,
    ListWalk,
)
from pipeline.protocol.pages import Certificate, Page
from pipeline.protocol.words import shown_id

# What is asked for by its id stands in no list.
NO_PLACE = -1
_CONVERSATION = "conv"
_UNDER_WAY = frozenset({"queued", "in_progress"})
# Of responses that items name and no list has: most are gone, and each is a request.
_NAMED_ASKED = 3
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 30.0


def is_conversation(thread_id: str) -> bool:
    """Whether an id is that of a conversation; any other is that of a response, which is a thread of its own."""
    return thread_id.startswith(_CONVERSATION)


@dataclass(slots=True)
class _Named:
    """A response that was asked for by its id; `outputs` are of calls that it leaves open."""

    asked_id: str
    started_at: datetime
    head: ResponseHead
    pages: list[Page]
    outputs: frozenset[str]

    @property
    def group(self) -> str:
        """What is completed together: the responses of a conversation, if ids are what they were asked for by."""
        conversation_id = self.head.conversation_id
        return self.asked_id if conversation_id is None or self.head.id != self.asked_id else conversation_id


class ResponseExtractor(Extractor):
    """Visits conversations, and responses that were named.

    What waits for outputs of its calls is completed when all were visited: they are put into the response that follows.
    """

    async def run(self, threads: Iterable[ThreadTask]) -> None:
        """Visit all, then complete those that wait."""
        self._waiting: list[_Named] = []
        # Which response goes on from which, by what either was asked for.
        self._next_of: dict[str, str] = {}
        # By the id that an answer has: what it was asked for by.
        self._asked_of: dict[str, str] = {}
        await super().run(threads)
        waiting = sorted(self._waiting, key=lambda named: named.group)
        groups = [list(named) for _, named in groupby(waiting, key=lambda named: named.group)]
        try:
            async with asyncio.TaskGroup() as group:
                for named in groups:
                    group.create_task(self._complete_named(named))
        except* PipelineError as errors:
            raise errors.exceptions[0] from None

    async def _do(self, job: Job) -> Sequence[RunTask]:
        if not isinstance(job, ThreadTask):
            return ()
        if job.pending is not None:
            self._count_known(len(job.sealed_ids) if is_conversation(job.thread_id) else 1)
        else:
            await (self._visit_conversation(job) if is_conversation(job.thread_id) else self._visit_response(job))
        return ()

    async def _walk_list_of(self, task: ThreadTask) -> tuple[ListWalk, Certificate]:
        return await self._walk(("responses",), task, RESPONSES, [("conversation_id", task.thread_id)])

    async def _visit_conversation(self, task: ThreadTask) -> None:
        walk, certificate = await self._walk_runs(task)
        runs = run_tasks(task.thread_id, walk.heads)
        known = [run.run_id for run in runs if task.is_sealed(run)]
        self.progress.runs += len(runs)
        self.progress.runs_sealed += len(known)
        pages = list(walk.pages)
        ended = Ended(certificate.verdict, certificate.error)
        if ended == COMPLETE and not runs and task.seen_runs is None:
            ended = await self._find_unlisted(task.thread_id)
        elif ended == COMPLETE and len(known) < len(runs):
            heads = [head for page in walk.pages for head in read_responses(page.body) if head.id not in known]
            ended = await self._complete(task.thread_id, heads, pages, walk.ids)
        await self._finish_with(pages, replace(certificate, known_ids=known), ended)

    async def _find_unlisted(self, conversation_id: str) -> Ended:
        """Whether a conversation that lists no response has none: its items may name one that is there."""
        walk = ListWalk()
        ended = await self._read_list(("conversations", conversation_id, "items"), CONVERSATION_ITEMS, walk)
        # What cannot be asked proves nothing.
        return COMPLETE if ended.verdict == "missing" else await self._check_named(conversation_id, walk.pages, ())

    async def _check_named(self, conversation_id: str, pages: Sequence[Page], listed: Collection[str]) -> Ended:
        """Whether the responses that items of a conversation are of stand in its list, or are gone from the server."""
        for response_id in sorted(responses_named(page.body for page in pages) - set(listed))[:_NAMED_ASKED]:
            try:
                answer = await self._get(response_id)
            except RequestError:
                continue
            if answer.value.conversation_id == conversation_id:
                lacks = f"an item of the conversation is of response {shown_id(response_id)}, which is there and not"
                return Ended("broken", f"{self._client.endpoint.path(('responses',))}: {lacks} listed")
        return COMPLETE

    async def _complete(
        self, conversation_id: str, heads: Sequence[ResponseHead], pages: list[Page], listed: Collection[str]
    ) -> Ended:
        """Add to the pages what responses of a list leave open."""
        needs = [(head, needs_of(head)) for head in heads]
        for head, need in needs:
            response_id = usable_id(head.id)
            if need.contents and response_id is not None and self._options.include_content:
                try:
                    answer = await self._get(response_id)
                except RequestError as error:
                    return self._ended_by(error, has_pages=True)
                pages.append(page_of(answer, len(pages)))
        outputs = frozenset[str]().union(*(need.outputs for _, need in needs))
        before, segments = len(pages), ("conversations", conversation_id, "items")
        ended = await self._add_items(segments, CONVERSATION_ITEMS, outputs, pages)
        return ended if ended != COMPLETE else await self._check_named(conversation_id, pages[before:], listed)

    async def _add_items(
        self, segments: Sequence[str], rule: ListRule, outputs: frozenset[str], pages: list[Page]
    ) -> Ended:
        """Add a list of items to the pages, if outputs are looked for in it."""
        if not outputs:
            return COMPLETE
        walk = ListWalk()
        ended = await self._read_list(segments, rule, walk)
        begin = len(pages)
        pages += [replace(page, page_index=begin + number) for number, page in enumerate(walk.pages)]
        path = self._client.endpoint.path(segments)
        if ended.verdict == "missing":
            # The responses are there all the same.
            self.progress.hints.add(f"{path} is gone (404): what was put into it as outputs of calls cannot be had")
            return COMPLETE
        if (
            ended == COMPLETE
            and walk.items == PAGE_LIMIT
            and not outputs <= answered_by(page.body for page in walk.pages)
        ):
            # Seen from Microsoft's hosted agents: the oldest 100, has_more false, in either order.
            return Ended(
                "broken",
                f"{path}: it ends after exactly {PAGE_LIMIT} items and lacks outputs of calls: some servers end every"
                " list there and do not say so; what comes later cannot be had",
            )
        return ended

    async def _get(self, response_id: str) -> Answer[ResponseHead]:
        return await self._client.get(("responses", response_id), self._contents(ONE_RESPONSE), decode=decode_response)

    async def _get_ended(self, response_id: str) -> Answer[ResponseHead]:
        """A response; one that is made in the background when it has ended, or we have waited for long enough."""
        answer, pause_s, left_s = await self._get(response_id), _FIRST_PAUSE_S, self._options.wait_s
        while answer.value.status in _UNDER_WAY and left_s > 0:
            await self._client.clock.sleep(min(pause_s, left_s))
            left_s, pause_s = left_s - pause_s, min(2 * pause_s, _LONGEST_PAUSE_S)
            answer = await self._get(response_id)
        return answer

    async def _visit_response(self, task: ThreadTask) -> None:
        started_at = self._client.clock.stamp()
        try:
            answer = await self._get_ended(task.thread_id)
        except RequestError as error:
            certificate = self._certificate(task.thread_id, started_at, asked_id=task.thread_id)
            await self._finish_with([], certificate, self._ended_by(error))
            return
        head = answer.value
        if (other := self._asked_of.setdefault(str(head.id), task.thread_id)) != task.thread_id:
            path = self._client.endpoint.path(("responses", task.thread_id))
            certificate = self._certificate(task.thread_id, started_at, asked_id=task.thread_id)
            ended = Ended("broken", f"{path}: the answer is {shown_id(str(head.id))}, as it was to {shown_id(other)}")
            await self._finish_with([], certificate, ended)
            return
        self.progress.runs += 1
        if task.next_id is not None:
            self._next_of.setdefault(task.thread_id, task.next_id)
        if (previous := usable_id(head.previous_response_id)) is not None:
            self._next_of.setdefault(previous, task.thread_id)
        named = _Named(task.thread_id, started_at, head, [page_of(answer, 0)], needs_of(head).outputs)
        if named.outputs:
            self._waiting.append(named)
        else:
            await self._land_named([named], named.pages, COMPLETE)

    async def _complete_named(self, group: Sequence[_Named]) -> None:
        """Land responses of a conversation, or one of a chain, with items that may hold outputs of their calls."""
        bodies = [page for named in group for page in named.pages]
        pages = [replace(page, page_index=number) for number, page in enumerate(bodies)]
        outputs = frozenset[str]().union(*(named.outputs for named in group))
        conversation_id, ended = group[0].head.conversation_id, COMPLETE
        if conversation_id is not None:
            segments: tuple[str, ...] = ("conversations", conversation_id, "items")
            ended = await self._add_items(segments, CONVERSATION_ITEMS, outputs, pages)
        elif (next_id := self._next_of.get(group[0].asked_id)) is not None:
            ended = await self._add_items(("responses", next_id, "input_items"), INPUT_ITEMS, outputs, pages)
        await self._land_named(group, pages, ended)

    async def _land_named(self, group: Sequence[_Named], pages: list[Page], ended: Ended) -> None:
        first = group[0]
        certificate = self._certificate(
            first.head.conversation_id or first.asked_id,
            min(named.started_at for named in group),
            asked_id=first.asked_id if len(group) == 1 else None,
            items=len(group),
        )
        await self._finish_with(pages, certificate, ended)

    def _certificate(
        self, thread_id: str, started_at: datetime, *, asked_id: str | None, items: int = 0
    ) -> Certificate:
        return Certificate(
            resource="runs",
            protocol="responses",
            thread_id=thread_id,
            asked_id=asked_id,
            started_at=started_at,
            ended_at=started_at,
            verdict="complete",
            first_index=NO_PLACE,
            items=items,
            ended_by="whole_answer",
        )
