"""What the extractor asks for, and the certificate that each walk leaves, however it ends."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qs

import httpx
import pytest

from pipeline.emulator import generate_corpus, running_emulator
from pipeline.errors import ConfigurationError, PipelineError, RefusedError, RequestError, WalkError
from pipeline.extract.fetching import ExtractOptions, Extractor, Progress
from pipeline.extract.plan import RunTask, ThreadTask
from pipeline.extract.protocols import list_thread_ids
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.http.retrying import RetryPolicy
from pipeline.protocol.endpoint import Endpoint
from pipeline.protocol.pages import Walk
from tests.asking import asked_url
from tests.fake_clock import START, FakeClock

CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
Body = dict[str, object]
Reply = Callable[[str, dict[str, str]], httpx.Response | None]


@dataclass
class Account:
    """A server with these runs by thread, each with `steps`; `fault` may answer in its place."""

    threads: dict[str, list[str]]
    steps: int = 2
    page_size: int = 100
    fault: Reply = lambda _path, _params: None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = asked_url(request).path.removeprefix("/v1/")
        params = {name: values[0] for name, values in parse_qs(asked_url(request).query.decode()).items()}
        self.asked.append((path, params))
        if (answered := self.fault(path, params)) is not None:
            return answered
        match path.split("/"):
            case ["threads"]:
                return self._page(list(self.threads), params)
            case ["threads", thread_id, "runs"] if thread_id in self.threads:
                return self._page(self.threads[thread_id], params)
            case ["threads", thread_id, "runs", run_id, "steps"] if run_id in self.threads.get(thread_id, ()):
                return self._page([f"{run_id}.step_{number}" for number in range(self.steps)], params)
        return httpx.Response(404, json={"error": {"message": "Not here."}})

    def _page(self, ids: list[str], params: dict[str, str]) -> httpx.Response:
        after = params.get("after")
        if after is not None and after not in ids:
            return httpx.Response(400, json={"error": {"message": "Unknown cursor."}})
        start = 0 if after is None else ids.index(after) + 1
        page = ids[start : start + self.page_size]
        return listing(page, more=start + self.page_size < len(ids))

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


def listing(ids: Iterable[str], *, more: bool | None = False) -> httpx.Response:
    body: Body = {"object": "list", "data": [{"id": item_id, "status": "completed"} for item_id in ids]}
    return httpx.Response(200, text=json.dumps(body if more is None else {**body, "has_more": more}))


@dataclass
class Extraction:
    """What came of it: walks by their resource and owner."""

    progress: Progress = field(default_factory=Progress)
    walks: list[Walk] = field(default_factory=list)
    error: PipelineError | None = None

    def verdicts(self, resource: str) -> dict[str, str]:
        found = [walk.certificate for walk in self.walks]
        return {one.run_id or one.thread_id: one.verdict for one in found if one.resource == resource}

    def only(self, resource: str) -> Walk:
        [walk] = [walk for walk in self.walks if walk.certificate.resource == resource]
        return walk


def connect(account: Account, *, attempts: int = 6) -> ApiClient:
    time = FakeClock()
    return ApiClient(
        Endpoint("https://api.example/v1"),
        Pacer(concurrency=64, clock=time.clock()),
        policy=RetryPolicy(attempts=attempts),
        clock=time.clock(),
        transport=httpx.MockTransport(account.answer),
    )


def extract(
    account: Account, *tasks: ThreadTask, attempts: int = 6, concurrency: int = 4, include_content: bool = True
) -> Extraction:
    result = Extraction()

    async def keep(walk: Walk) -> None:
        result.walks.append(walk)

    async def run() -> None:
        async with connect(account, attempts=attempts) as client:
            options = ExtractOptions(concurrency=concurrency, include_content=include_content)
            await Extractor(client, keep=keep, progress=result.progress, options=options).run(tasks)

    try:
        asyncio.run(run())
    except PipelineError as error:
        result.error = error
    return result


# --- certificates -----------------------------------------------------------------------------------------------------


def test_a_thread_leaves_one_walk_over_its_runs_and_one_over_the_steps_of_each() -> None:
    account = Account({"t": ["r1", "r2", "r3"]}, page_size=2)
    found = extract(account, ThreadTask("t"))
    assert found.verdicts("runs") == {"t": "complete"}
    assert found.verdicts("steps") == {"r1": "complete", "r2": "complete", "r3": "complete"}
    certificate = found.only("runs").certificate
    assert (certificate.pages, certificate.items, certificate.first_id, certificate.last_id) == (2, 3, "r1", "r3")
    assert (certificate.ended_by, certificate.error, certificate.after_id) == ("has_more_false", None, None)
    # The clock stands: what happens later is a little later all the same.
    assert START == certificate.started_at < certificate.ended_at < START + timedelta(milliseconds=1)
    assert (found.progress.threads_done, found.progress.runs, found.progress.steps) == (1, 3, 6)


def test_pages_land_as_they_came_with_the_cursor_they_were_asked_with() -> None:
    walk = extract(Account({"t": ["r1", "r2", "r3"]}, page_size=2), ThreadTask("t")).only("runs")
    assert [(page.page_index, page.cursor) for page in walk.pages] == [(0, None), (1, "r2")]
    assert walk.pages[1].body == listing(["r3"]).content


def test_a_steps_walk_knows_the_status_that_its_run_had_when_it_began() -> None:
    certificate = extract(Account({"t": ["r1"]}), ThreadTask("t")).only("steps").certificate
    assert (certificate.thread_id, certificate.run_id, certificate.run_status) == ("t", "r1", "completed")


def test_lists_are_asked_for_in_ascending_order_and_only_steps_with_content() -> None:
    account = Account({"t": ["r1"]})
    extract(account, ThreadTask("t"))
    assert account.asked == [
        ("threads/t/runs", {"limit": "100", "order": "asc"}),
        ("threads/t/runs/r1/steps", {"limit": "100", "order": "asc", "include[]": CONTENT}),
    ]


def test_content_is_not_asked_for_when_it_is_not_wanted() -> None:
    account = Account({"t": ["r1"]})
    extract(account, ThreadTask("t"), include_content=False)
    assert all("include[]" not in params for _, params in account.asked)


def test_a_thread_that_is_gone_is_missing_and_the_others_go_on() -> None:
    account = Account({"a": ["r1"], "c": ["r2"]})
    found = extract(account, ThreadTask("a"), ThreadTask("b"), ThreadTask("c"))
    assert found.verdicts("runs") == {"a": "complete", "b": "missing", "c": "complete"}
    assert account.paths.count("threads/b/runs") == 1
    assert (found.progress.threads_missing, found.progress.failed_threads, found.progress.threads_done) == (1, set(), 3)
    assert found.progress.failures == ["b: /threads/b/runs: HTTP 404 (Not here.)"]


@pytest.mark.parametrize("status", [400, 422, 500, 501, 529])
def test_a_thread_that_fails_is_named_and_the_others_go_on(status: int) -> None:
    account = Account({"a": ["r1"], "b": ["r2"], "c": ["r3"]})
    account.fault = lambda path, _: httpx.Response(status) if path == "threads/b/runs" else None
    found = extract(account, ThreadTask("a"), ThreadTask("b"), ThreadTask("c"))
    assert found.verdicts("runs") == {"a": "complete", "b": "failed", "c": "complete"}
    assert found.progress.failed_threads == {"b"}
    assert found.progress.failures == [f"b: /threads/b/runs: HTTP {status}"]
    assert account.paths.count("threads/b/runs") == (6 if status in (500, 529) else 1)
    assert found.error is None


def test_steps_that_are_gone_are_a_failure_of_their_thread() -> None:
    account = Account({"t": ["r1", "r2"]})
    account.fault = lambda path, _: httpx.Response(404) if path.endswith("r1/steps") else None
    found = extract(account, ThreadTask("t"))
    assert found.verdicts("steps") == {"r1": "missing", "r2": "complete"}
    assert (found.progress.threads_missing, found.progress.failed_threads) == (0, {"t"})


def test_a_cursor_that_goes_in_a_circle_leaves_a_broken_walk_with_its_pages() -> None:
    account = Account({"t": ["r1"]})
    account.fault = lambda path, _: listing(["s1", "s2"], more=True) if path.endswith("steps") else None
    walk = extract(account, ThreadTask("t")).only("steps")
    assert (walk.certificate.verdict, walk.certificate.ended_by, len(walk.pages)) == ("broken", None, 2)
    assert walk.certificate.error == (
        "/threads/t/runs/r1/steps: page 2 has only items of earlier pages: the cursor is ignored or goes in a circle"
    )


def test_a_walk_that_fails_in_the_middle_keeps_the_pages_before() -> None:
    account = Account({"t": ["r1", "r2", "r3"]}, page_size=2)
    account.fault = lambda path, params: httpx.Response(500) if params.get("after") == "r2" else None
    found = extract(account, ThreadTask("t"))
    walk = found.only("runs")
    assert (walk.certificate.verdict, len(walk.pages), walk.certificate.last_id) == ("failed", 1, "r2")
    assert found.verdicts("steps") == {"r1": "complete", "r2": "complete"}


def test_a_thread_whose_second_page_is_not_found_is_failed_and_not_missing() -> None:
    account = Account({"t": ["r1", "r2", "r3"]}, page_size=2)
    account.fault = lambda path, params: httpx.Response(404) if params.get("after") == "r2" else None
    found = extract(account, ThreadTask("t"))
    assert found.verdicts("runs") == {"t": "failed"}
    assert (found.progress.threads_missing, found.progress.failed_threads) == (0, {"t"})


def test_an_id_that_no_url_can_carry_fails_alone() -> None:
    found = extract(Account({"t": ["r1", "..", "r3"]}), ThreadTask("t"))
    assert found.verdicts("steps") == {"r1": "complete", "..": "failed", "r3": "complete"}


# --- refusal stops everything -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status, body",
    [
        (401, {"error": {"message": "Incorrect API key provided."}}),
        (403, {}),
        (429, {"error": {"type": "insufficient_quota"}}),
        (429, {"error": {"type": "requests", "code": "organization_spend_limit_exceeded"}}),
    ],
)
@pytest.mark.parametrize("after_requests", [0, 25])
def test_a_refusal_stops_the_whole_sync_at_once(status: int, body: Body, after_requests: int) -> None:
    account = Account({f"t{number}": ["r1", "r2"] for number in range(200)})
    account.fault = lambda *_: httpx.Response(status, json=body) if len(account.asked) > after_requests else None
    found = extract(account, *(ThreadTask(thread_id) for thread_id in account.threads), concurrency=4)
    assert isinstance(found.error, RefusedError)
    # Those under way beside the first that was refused, and none after.
    assert after_requests < len(account.asked) <= after_requests + 4
    assert all(walk.certificate.verdict == "complete" for walk in found.walks)


def test_who_waits_for_a_turn_when_we_are_refused_asks_no_more() -> None:
    account = Account({f"t{number}": ["r1"] for number in range(200)})
    account.fault = lambda *_: httpx.Response(401, json={})

    found = extract(account, *(ThreadTask(thread_id) for thread_id in account.threads), concurrency=100)

    assert isinstance(found.error, RefusedError)
    # As many as may be under way at first.
    assert len(account.asked) <= 8


def test_what_cannot_be_kept_stops_the_sync_with_its_own_error() -> None:
    async def keep(_walk: Walk) -> None:
        raise ConfigurationError("cannot write raw data")

    async def run() -> None:
        async with connect(Account({"t": ["r1"], "u": ["r2"]})) as client:
            await Extractor(client, keep=keep).run([ThreadTask("t"), ThreadTask("u")])

    with pytest.raises(ConfigurationError, match="cannot write raw data"):
        asyncio.run(run())


# --- resumed listings -------------------------------------------------------------------------------------------------

SEALED = frozenset({"r1", "r2"})
RESUMED = ThreadTask("t", after_id="r1", first_index=1, last_id="r2", sealed_ids=SEALED)


def test_a_sealed_beginning_is_not_listed_again() -> None:
    account = Account({"t": ["r1", "r2", "r3"]})
    found = extract(account, RESUMED)
    assert account.asked[0][1] == {"limit": "100", "order": "asc", "after": "r1"}
    assert account.paths == ["threads/t/runs", "threads/t/runs/r3/steps"]
    certificate = found.only("runs").certificate
    assert (certificate.after_id, certificate.first_index, certificate.first_id) == ("r1", 1, "r2")


def test_an_unchanged_thread_costs_one_request() -> None:
    account = Account({"t": ["r1", "r2"]})
    found = extract(account, RESUMED)
    assert account.paths == ["threads/t/runs"]
    assert (found.verdicts("runs"), found.only("runs").certificate.items) == ({"t": "complete"}, 1)
    assert found.progress.threads_done == 1


def test_a_server_that_ignores_the_cursor_is_listed_from_the_start() -> None:
    account = Account({"t": ["r1", "r2", "r3"]})
    account.fault = lambda path, _: listing(["r1", "r2", "r3"]) if path == "threads/t/runs" else None
    found = extract(account, RESUMED)
    certificate = found.only("runs").certificate
    assert (certificate.verdict, certificate.after_id, certificate.first_index) == ("complete", None, 0)
    assert [params.get("after") for path, params in account.asked if path == "threads/t/runs"] == ["r1", None]
    assert found.verdicts("steps") == {"r3": "complete"}
    assert (found.progress.runs, found.progress.runs_sealed) == (3, 2)


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_server_that_refuses_the_cursor_is_listed_from_the_start(status: int) -> None:
    account = Account({"t": ["r1", "r2", "r3"]})
    account.fault = lambda _, params: httpx.Response(status) if params.get("after") == "r1" else None
    found = extract(account, RESUMED)
    certificate = found.only("runs").certificate
    assert (certificate.verdict, certificate.after_id, certificate.items) == ("complete", None, 3)
    assert found.verdicts("steps") == {"r3": "complete"}


@pytest.mark.parametrize(
    "answered",
    [[], ["r1"], ["r1", "r2"], ["r3"], ["r4", "r3"]],
    ids=["nothing", "the run before", "all that is old", "only what is new", "other runs"],
)
def test_a_list_that_does_not_begin_with_the_run_that_is_known_is_listed_from_the_start(answered: list[str]) -> None:
    account = Account({"t": ["r1", "r2", "r3"]})
    account.fault = lambda path, params: listing(answered) if params.get("after") == "r1" else None
    found = extract(account, RESUMED)
    assert [params.get("after") for path, params in account.asked if path == "threads/t/runs"] == ["r1", None]
    assert found.only("runs").certificate.items == 3
    assert found.verdicts("steps") == {"r3": "complete"}


def test_a_thread_that_is_gone_is_missing_also_when_its_listing_was_resumed() -> None:
    account = Account({})
    found = extract(account, RESUMED)
    assert found.verdicts("runs") == {"t": "missing"}
    assert len(account.asked) == 2


def test_a_sealed_run_is_not_walked_again_wherever_it_is_listed() -> None:
    account = Account({"t": ["r1", "r2", "r3"]})
    extract(account, ThreadTask("t", sealed_ids=frozenset({"r2"})))
    assert sorted(account.paths[1:]) == ["threads/t/runs/r1/steps", "threads/t/runs/r3/steps"]


def test_runs_that_an_interrupted_sync_had_listed_are_walked_without_listing() -> None:
    account = Account({"t": ["r1", "r2"]})
    found = extract(account, ThreadTask("t", pending=(RunTask("t", "r2", "completed"),)))
    assert account.paths == ["threads/t/runs/r2/steps"]
    assert found.progress.threads_done == 1


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_no_more_threads_are_open_than_there_are_workers() -> None:
    account = Account({f"t{number}": [f"r{index}" for index in range(number % 9)] for number in range(120)})
    progress = Progress()
    most_open = 0

    def tasks() -> Iterator[ThreadTask]:
        nonlocal most_open
        for opened, thread_id in enumerate(account.threads, 1):
            most_open = max(most_open, opened - progress.threads_done)
            yield ThreadTask(thread_id)

    async def keep(_walk: Walk) -> None:
        await asyncio.sleep(0)

    async def run() -> None:
        async with connect(account) as client:
            extractor = Extractor(client, keep=keep, progress=progress, options=ExtractOptions(concurrency=5))
            await extractor.run(tasks())

    asyncio.run(run())
    assert progress.threads_done == 120
    assert most_open <= 5


# --- the server's own list of threads ---------------------------------------------------------------------------------


def test_the_threads_that_a_server_lists_come_in_its_order_over_all_pages() -> None:
    account = Account({f"t{number}": [] for number in range(7)}, page_size=3)
    assert _list_threads(account) == ["t0", "t1", "t2", "t3", "t4", "t5", "t6"]
    assert [params.get("after") for _, params in account.asked] == [None, "t2", "t1", "t5"]


def test_half_a_list_of_threads_is_an_error() -> None:
    account = Account({f"t{number}": [] for number in range(7)}, page_size=3)
    account.fault = lambda _, params: httpx.Response(501) if params.get("after") == "t5" else None
    with pytest.raises(RequestError, match=r"^/threads: HTTP 501$"):
        _list_threads(account)


def test_a_list_of_threads_that_goes_in_a_circle_is_an_error() -> None:
    account = Account({})
    account.fault = lambda *_: listing(["t1"], more=True)
    with pytest.raises(WalkError):
        _list_threads(account)


# --- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [None, {"fault": "record", "kind": "odd_ids"}])
def test_a_whole_account_is_walked_over_http_also_with_ids_that_must_be_escaped(fault: dict[str, str] | None) -> None:
    with running_emulator(generate_corpus(threads=12)) as emulator:
        emulator.set_faults([fault] if fault else [])
        found = Extraction()

        async def keep(walk: Walk) -> None:
            found.walks.append(walk)

        async def run() -> None:
            endpoint = Endpoint(emulator.base_url, {"Authorization": f"Bearer {emulator.api_key}"})
            async with ApiClient(endpoint, Pacer(concurrency=8)) as client:
                tasks = [ThreadTask(thread_id) for thread_id in await list_thread_ids(client)]
                options = ExtractOptions(concurrency=8)
                await Extractor(client, keep=keep, progress=found.progress, options=options).run(tasks)

        asyncio.run(run())
        truth = emulator.truth()
        assert {walk.certificate.verdict for walk in found.walks} == {"complete"}
        assert found.progress.threads_done == truth.threads
        assert (found.progress.runs, found.progress.steps) == (truth.runs, truth.steps)
        assert {request["status"] for request in emulator.requests()} == {200}


def _list_threads(account: Account) -> list[str]:
    async def run() -> list[str]:
        async with connect(account) as client:
            return await list_thread_ids(client)

    return asyncio.run(run())
