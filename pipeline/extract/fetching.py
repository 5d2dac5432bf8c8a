"""Threads to finished walks: runs are listed, then the steps of those that are not sealed, many at a time."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec.structs import replace

from pipeline.errors import PipelineError, RequestError, WalkError
from pipeline.extract.certifying import certify, check_items, run_tasks, runs_not_listed
from pipeline.extract.jobs import Job, Jobs
from pipeline.extract.plan import RunTask, ThreadTask
from pipeline.http.client import Answer, ApiClient
from pipeline.privacy.hiding import ContentKey
from pipeline.protocol.cursors import CursorProof, walk_list
from pipeline.protocol.list_heads import falls_short, parent_of
from pipeline.protocol.lists import PAGE_LIMIT, RUNS, STEPS, Ask, ListAnswer, ListRule, ListWalk
from pipeline.protocol.pages import Certificate, Page, Protocol, Verdict, Walk

_NOT_FOUND = 404
_FAILURES_SHOWN = 10


@dataclass(slots=True)
class Progress:
    """Counts of a sync while it runs; `is_named`: somebody named the threads, others only point to them."""

    threads_total: int | None = None
    threads_done: int = 0
    threads_missing: int = 0
    # Left out by the age rule: not asked for this time.
    threads_not_due: int = 0
    runs: int = 0
    runs_sealed: int = 0
    steps: int = 0
    walks: int = 0
    walks_failed: int = 0
    failed_threads: set[str] = field(default_factory=set)
    # The first few, to be shown; all of them are in `walks`.
    failures: list[str] = field(default_factory=list)
    # What such failures usually mean, each once.
    hints: set[str] = field(default_factory=set)
    # Threads with runs that do not say whose they are.
    nameless_threads: set[str] = field(default_factory=set)
    is_named: bool = True

    @property
    def found_nothing(self) -> bool:
        """Whether the server knew none of the threads that were named."""
        return self.is_named and bool(self.threads_missing) and self.threads_missing == self.threads_total

    def add(self, others: Iterable["Progress"]) -> None:
        """Become the sum of what others have counted; how many threads there are, or are not due, stays."""
        parts = list(others)
        for name in ("threads_done", "threads_missing", "runs", "runs_sealed", "steps", "walks", "walks_failed"):
            setattr(self, name, sum(getattr(part, name) for part in parts))
        self.failed_threads = set().union(*(part.failed_threads for part in parts))
        self.failures = [failure for part in parts for failure in part.failures][:_FAILURES_SHOWN]
        self.hints = set().union(*(part.hints for part in parts))
        self.nameless_threads = set().union(*(part.nameless_threads for part in parts))

    def count(self, certificate: Certificate) -> None:
        """Add a walk that has ended, however it ended."""
        self.walks += 1
        if certificate.resource == "steps":
            self.steps += certificate.items
        elif certificate.protocol != "assistants":
            # What is listed is a step as well, but for those that were whole before.
            self.steps += certificate.items - len(certificate.known_ids)
        if certificate.verdict == "complete":
            return
        if certificate.verdict == "missing" and certificate.resource == "runs":
            self.threads_missing += 1
        else:
            self.walks_failed += 1
            self.failed_threads.add(certificate.thread_id)
        if len(self.failures) < _FAILURES_SHOWN:
            self.failures.append(f"{certificate.thread_id}: {certificate.error}")


@dataclass(frozen=True, slots=True)
class ExtractOptions:
    """`include_content` asks for texts that file searches found; a `content_key` hides contents before they land.

    `settle_s` is how long a run is asked for again that has ended and says too little (None: a day), `wait_s` how long
    a response is waited for that is made in the background.
    """

    concurrency: int = 32
    protocol: Protocol = "assistants"
    include_content: bool = True
    content_key: ContentKey | None = None
    settle_s: float | None = 86_400.0
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an extraction ended: with an error that stopped all of it, or interrupted, or (neither) at its end."""

    error: PipelineError | None = None
    interrupted: bool = False


class Ended(NamedTuple):
    """How a list, or one object, could be had."""

    verdict: Verdict
    error: str | None = None


COMPLETE = Ended("complete")


class Extractor:
    """Walks every thread of a plan; `keep` gets each walk when it has ended, however it ended."""

    def __init__(
        self,
        client: ApiClient,
        *,
        keep: Callable[[Walk], Awaitable[None]],
        progress: Progress | None = None,
        options: ExtractOptions | None = None,
    ) -> None:
        self._client = client
        self._keep = keep
        self._lists = client.endpoint.list_reader()
        # By what is listed.
        self._proofs = defaultdict[str, CursorProof](CursorProof)
        self._options = options or ExtractOptions()
        self.progress = progress or Progress()

    async def run(self, threads: Iterable[ThreadTask]) -> None:
        """Visit all threads. Raises RefusedError as soon as the server refuses us; other faults are kept as walks."""
        jobs = Jobs(threads)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._options.concurrency):
                    group.create_task(self._work(jobs))
        except* PipelineError as errors:
            raise errors.exceptions[0] from None

    async def _work(self, jobs: Jobs) -> None:
        while (job := await jobs.next()) is not None:
            if jobs.end(job, await self._do(job)):
                self.progress.threads_done += 1

    async def _do(self, job: Job) -> Sequence[RunTask]:
        """Do one piece of work; the runs that it found."""
        if isinstance(job, ThreadTask):
            return await self._visit_thread(job)
        await self._walk_steps(job)
        return ()

    async def _visit_thread(self, task: ThreadTask) -> Sequence[RunTask]:
        """The runs of the thread whose steps are still to be walked."""
        if task.pending is not None:
            return task.pending
        walk, certificate = await self._walk_runs(task)
        await self._finish(walk, certificate)
        runs = run_tasks(task.thread_id, walk.heads)
        self.progress.runs += len(runs)
        left = [run for run in runs if not task.is_sealed(run)]
        self.progress.runs_sealed += len(runs) - len(left)
        return left

    async def _walk_runs(self, task: ThreadTask) -> tuple[ListWalk, Certificate]:
        walk, certificate = await self._walk_list_of(task)
        # A run that the list was to go on from may be gone from the server, whatever it answers then, or the server may
        # ignore cursors.
        begins_as_known = task.last_id is None or next(iter(walk.ids), None) == task.last_id
        if not begins_as_known and (certificate.verdict == "complete" or not walk.pages):
            task = task.from_start()
            walk, certificate = await self._walk_list_of(task)
        if not all(parent_of(run) for run in walk.found):
            self.progress.nameless_threads.add(task.thread_id)
        if certificate.verdict == "complete" and task.after_id is None:
            certificate = self._bear_out(task, certificate, walk.ids.keys())
        return walk, certificate

    async def _walk_list_of(self, task: ThreadTask) -> tuple[ListWalk, Certificate]:
        """The runs of a thread."""
        return await self._walk(("threads", task.thread_id, "runs"), task, RUNS)

    def _bear_out(self, task: ThreadTask, certificate: Certificate, ids: Set[str]) -> Certificate:
        """The certificate of a whole list of runs, beside what is known of them: broken where it cannot be true."""
        found = runs_not_listed(task, ids)
        self.progress.hints |= found.hints
        if found.error is None:
            return certificate
        return replace(certificate, verdict="broken", error=found.error, ended_by=None)

    async def _walk_steps(self, task: RunTask) -> None:
        segments = ("threads", task.thread_id, "runs", task.run_id, "steps")
        walk, certificate = await self._walk(segments, task, STEPS)
        await self._finish(walk, replace(certificate, settle_s=self._options.settle_s))

    async def _walk(
        self,
        segments: Sequence[str],
        task: ThreadTask | RunTask,
        rule: ListRule,
        params: Sequence[tuple[str, str]] = (),
    ) -> tuple[ListWalk, Certificate]:
        """A list and its certificate, whatever became of it."""
        started_at = self._client.clock.stamp()

        def lacks_steps(walk: ListWalk) -> bool:
            return isinstance(task, RunTask) and falls_short(task.tokens, walk.found)

        walk = ListWalk(after=task.after_id if isinstance(task, ThreadTask) else None)
        ended = await self._read_list(segments, rule, walk, params, falls_short=lacks_steps)
        if ended == COMPLETE:
            try:
                check_items(task, walk)
            except WalkError as error:
                ended = Ended("broken", f"{self._client.endpoint.path(segments)}: {error}")
        certificate = certify(
            task,
            walk,
            started_at=started_at,
            ended_at=self._client.clock.stamp(),
            verdict=ended.verdict,
            error=ended.error,
        )
        return walk, replace(certificate, protocol=self._options.protocol)

    async def _read_list(
        self,
        segments: Sequence[str],
        rule: ListRule,
        walk: ListWalk,
        params: Sequence[tuple[str, str]] = (),
        *,
        falls_short: Callable[[ListWalk], bool] = lambda _: False,
    ) -> Ended:
        """Fetch the pages of a list into `walk`, and say how it ended."""

        async def fetch(ask: Ask) -> ListAnswer:
            answer = await self._client.get(segments, [*params, *self._params(rule, ask)], decode=self._lists.decode)
            page = page_of(answer, ask.page_index, ask.after)
            return ListAnswer(page, answer.value, self._lists.doubt_of(answer.value))

        proof, whole, by_last_id = self._proofs[segments[-1]], self._client.endpoint.whole_lists, rule.by_last_id
        try:
            await walk_list(fetch, walk, proof=proof, whole_lists=whole, by_last_id=by_last_id, falls_short=falls_short)
        except WalkError as error:
            return Ended("broken", f"{self._client.endpoint.path(segments)}: {error}")
        except RequestError as error:
            return self._ended_by(error, has_pages=bool(walk.pages))
        if self._options.protocol != "assistants" and walk.items == PAGE_LIMIT:
            # Seen from Microsoft's hosted agents: the oldest 100, has_more false, in either order.
            doubt = f"has exactly {PAGE_LIMIT} items: some servers end every list there and do not say so"
            self.progress.hints.add(f"{self._client.endpoint.path(segments)} {doubt}")
        return COMPLETE

    def _ended_by(self, error: RequestError, *, has_pages: bool = False) -> Ended:
        """How something ended that could not be had. Where pages came before it is there, and a page of it is lost."""
        self.progress.hints |= {error.hint} if error.hint else set()
        return Ended("missing" if error.status == _NOT_FOUND and not has_pages else "failed", str(error))

    def _params(self, rule: ListRule, ask: Ask) -> list[tuple[str, str]]:
        after = [] if ask.after is None else [("after", ask.after)]
        return [("limit", str(ask.limit)), ("order", ask.order), *after, *self._contents(rule)]

    def _contents(self, rule: ListRule) -> list[tuple[str, str]]:
        return [("include[]", value) for value in rule.contents] if self._options.include_content else []

    def _count_known(self, runs: int) -> None:
        """Take note of runs that are whole and were not listed once more."""
        self.progress.runs += runs
        self.progress.runs_sealed += runs

    async def _finish(self, walk: ListWalk, certificate: Certificate) -> None:
        await self._land(walk.pages, certificate)

    async def _finish_with(self, pages: list[Page], certificate: Certificate, ended: Ended) -> None:
        """Land a walk of several lists and objects, ended as the worst of them."""
        certificate = replace(
            certificate,
            pages=len(pages),
            ended_at=self._client.clock.stamp(),
            verdict=ended.verdict,
            error=ended.error,
            ended_by=certificate.ended_by if ended == COMPLETE else None,
            settle_s=self._options.settle_s,
        )
        await self._land(pages, certificate)

    async def _land(self, pages: list[Page], certificate: Certificate) -> None:
        await self._keep(Walk(certificate, pages))
        self.progress.count(certificate)


def page_of(answer: Answer[Any], page_index: int, cursor: str | None = None) -> Page:
    """An answer as it lands."""
    return Page(page_index, cursor, answer.fetched_at, answer.request_id, answer.body)
