"""What becomes of rows when a server deviates from the protocol: each known deviation, through the command line."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus, running_emulator
from pipeline.extract.fetching import Progress
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.http.transport import open_transport
from pipeline.protocol.endpoint import Endpoint
from pipeline.verbs.sync.flow import SyncOptions, run_sync
from tests.asking import asked_url
from tests.syncs import Rows, environ_for, read_all, read_raw, run_cli

Json = dict[str, Any]
# The thread of the corpus whose runs have exactly 100, 230 and 300 steps, and the one with exactly 100 runs.
LONG_RUNS = [100, 230, 300]
STEP_IDS = "select run_id, step_id from run_steps order by run_id, step_index"
COUNTS = "select (select count(*) from runs), (select count(*) from run_steps), (select count(*) from tool_calls)"


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_corpus(threads=27)


@pytest.fixture
def server(shared_server: RunningEmulator) -> RunningEmulator:
    shared_server.clear_faults()
    shared_server.clear_requests()
    return shared_server


def long_thread(corpus: Corpus) -> str:
    return thread_with(corpus, lambda steps: steps == LONG_RUNS)


def busy_thread(corpus: Corpus) -> str:
    return thread_with(corpus, lambda steps: len(steps) == 100)


def small_thread(corpus: Corpus) -> str:
    """One of a few runs, whose lists have one page each."""
    few = [thread for thread in corpus.threads if len(thread.runs) == 3 and all(run.steps for run in thread.runs)]
    return min(few, key=lambda thread: sum(len(run.steps) for run in thread.runs)).item.object_id


def thread_with(corpus: Corpus, fits: Callable[[list[int]], bool]) -> str:
    (found,) = (thread.item.object_id for thread in corpus.threads if fits([len(run.steps) for run in thread.runs]))
    return found


def true_steps(corpus: Corpus, thread_id: str) -> Rows:
    (thread,) = (thread for thread in corpus.threads if thread.item.object_id == thread_id)
    rows = [(run.item.object_id, step.object_id) for run in thread.runs for step in run.steps]
    return sorted(rows, key=lambda row: row[0])


def sync(folder: Path, server: RunningEmulator, *arguments: str) -> tuple[int, str]:
    done = run_cli(folder, "sync", "--quiet", *arguments, environ=environ_for(server))
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "faults",
    [
        [{"fault": "missing_has_more"}],
        [{"fault": "missing_has_more"}, {"fault": "limit_ignored"}],
        [{"fault": "limit_ignored"}],
        [{"fault": "full_last_page_more"}],
        [{"fault": "items_repeat", "overlap": 3}],
        [{"fault": "last_id_differs"}],
        [{"fault": "cursor_expires", "pages": 1, "times": 1}],
    ],
    ids=lambda faults: "+".join(fault["fault"] for fault in faults),
)
def test_a_server_that_pages_in_its_own_way_gives_the_same_rows(
    faults: list[Json], corpus: Corpus, server: RunningEmulator, tmp_path: Path
) -> None:
    server.set_faults(faults)

    code, errors = sync(tmp_path, server, long_thread(corpus), busy_thread(corpus))

    assert (code, errors) == (0, "")
    expected = true_steps(corpus, long_thread(corpus)) + true_steps(corpus, busy_thread(corpus))
    assert read_all(tmp_path / "data", STEP_IDS) == sorted(expected, key=lambda row: row[0])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"fault": "cursor_ignored"}, "only items of earlier pages"),
        ({"fault": "cursor_cycle", "length": 2}, "only items of earlier pages"),
        ({"fault": "empty_page_more", "from_page": 1}, "is empty but says has_more"),
        ({"fault": "has_more_no_cursor", "from_page": 1}, "has no usable cursor"),
        ({"fault": "cursor_compares_id"}, "not a place in the order of the list"),
        ({"fault": "order_changes"}, "not a place in the order of the list"),
        ({"fault": "answer_cut", "length": 1}, "the server cuts its answers"),
        ({"fault": "answer_cut", "keep_order": True}, "whole_lists = true"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_server_whose_paging_cannot_be_trusted_never_ends_in_a_clean_exit(
    fault: Json, said: str, corpus: Corpus, server: RunningEmulator, tmp_path: Path
) -> None:
    on_steps = {"route": "list_steps", "match": {"thread_id": long_thread(corpus)}}
    rules = [fault, {"fault": "missing_has_more"}] if fault["fault"] == "answer_cut" else [fault]
    server.set_faults([{**on_steps, **rule} for rule in rules])

    code, errors = sync(tmp_path, server, long_thread(corpus), small_thread(corpus))

    assert code == 4
    assert said in errors
    assert long_thread(corpus) in errors
    broken = "select thread_id, verdict from walks where verdict <> 'complete' group by all"
    assert read_all(tmp_path / "data", broken) == [(long_thread(corpus), "broken")]
    # The other thread is whole.
    (steps,) = read_all(tmp_path / "data", "select count(*) from run_steps where thread_id = ?", [small_thread(corpus)])
    assert steps == (len(true_steps(corpus, small_thread(corpus))),)


def test_a_server_of_one_answer_for_everything_is_believed_if_its_profile_says_so(
    corpus: Corpus, server: RunningEmulator, tmp_path: Path
) -> None:
    (tmp_path / "pipeline.toml").write_text("[profiles.default]\nwhole_lists = true\n")
    server.set_faults([{"fault": "answer_cut", "length": 1000, "keep_order": True}, {"fault": "missing_has_more"}])

    code, errors = sync(tmp_path, server, long_thread(corpus))

    assert (code, errors) == (0, "")
    rows = read_all(tmp_path / "data", STEP_IDS)
    assert rows == sorted(true_steps(corpus, long_thread(corpus)), key=lambda row: row[0])


def test_dashscope_times_are_brought_to_seconds_and_its_empty_values_are_null(
    corpus: Corpus, server: RunningEmulator, tmp_path: Path
) -> None:
    thread_id = long_thread(corpus)
    server.set_faults([{"fault": "record", "kind": "ms_timestamps"}])

    code, errors = sync(tmp_path, server, thread_id)

    assert (code, errors) == (0, "")
    (thread,) = (thread for thread in corpus.threads if thread.item.object_id == thread_id)
    step = json.loads(thread.runs[0].steps[0].body)
    rows = read_all(
        tmp_path / "data",
        "select epoch(created_at)::bigint, cancelled_at, failed_at, last_error_code, last_error_message,"
        " extra ->> 'timestamp_unit' from run_steps where step_id = ?",
        [step["id"]],
    )
    assert rows == [(step["created_at"], None, None, None, None, "ms")]
    assert read_all(tmp_path / "data", "select count(*) from rejects") == [(0,)]
    ids = read_all(tmp_path / "data", "select distinct tool_call_id from tool_calls")
    assert ids == [("",)]


class ScriptedServer:
    """A server of one thread, one run and the steps given, answered as text without the emulator."""

    def __init__(self, run: Json, steps: list[Json]) -> None:
        self._lists = {"runs": [run], "steps": steps}

    def handle(self, request: httpx.Request) -> httpx.Response:
        items = self._lists[asked_url(request).path.rsplit("/", 1)[1]]
        return httpx.Response(200, json={"object": "list", "data": items, "has_more": False})


async def sync_scripted(run: Json, steps: list[Json], data_dir: Path) -> str:
    client = ApiClient(
        Endpoint("https://dashscope.example/api/v1"),
        Pacer(concurrency=2),
        transport=httpx.MockTransport(ScriptedServer(run, steps).handle),
    )
    async with client:
        options = SyncOptions(source="default", data_dir=data_dir, thread_ids=["thread_1"])
        return (await run_sync(client, options, progress=Progress())).verdict


def test_an_empty_usage_object_is_unknown_not_zero(tmp_path: Path) -> None:
    run = {"id": "run_1", "object": "thread.run", "created_at": 1730000000000, "status": "completed", "usage": {}}
    step = {
        "id": "step_1",
        "object": "thread.run.step",
        "created_at": 1730000000000,
        "completed_at": 1730000001500,
        "failed_at": -1,
        "status": "completed",
        "type": "tool_calls",
        "last_error": {"code": "", "message": ""},
        "usage": {},
        "step_details": {"type": "tool_calls", "tool_calls": [{"id": "", "type": "quark_search", "quark_search": {}}]},
    }

    verdict = asyncio.run(sync_scripted(run, [step], tmp_path))

    assert verdict == "complete"
    rows = read_all(
        tmp_path,
        "select prompt_tokens, completion_tokens, total_tokens, created_at::varchar, completed_at::varchar, failed_at,"
        " last_error_code, extra::varchar from run_steps",
    )
    at, end = "2024-10-27 03:33:20+00", "2024-10-27 03:33:21.5+00"
    assert rows == [(None, None, None, at, end, None, None, '{"timestamp_unit":"ms"}')]
    assert read_all(tmp_path, "select name, type, payload from tool_calls") == [("quark_search", "quark_search", None)]


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ({"status": 501, "body": "openai"}, 4, "HTTP 501"),
        ({"status": 404, "body": "litellm", "message": "Not Found"}, 4, "/openai/v1"),
        ({"status": 400, "body": "portkey", "message": "no provider"}, 4, "x-portkey-virtual-key"),
        ({"status": 401, "body": "portkey", "message": "no key"}, 3, "x-portkey-api-key"),
        ({"status": 500, "body": "plain", "message": "Message: fetch failed"}, 4, "x-portkey-custom-host"),
        ({"status": 500, "body": "portkey", "message": "Something went wrong"}, 4, "look into its own log"),
    ],
    ids=["501", "litellm-404", "portkey-400", "portkey-401", "portkey-text-500", "portkey-500"],
)
def test_an_error_in_a_gateways_own_shape_is_explained_once(
    fault: Json, code: int, said: str, corpus: Corpus, server: RunningEmulator, tmp_path: Path
) -> None:
    server.set_faults([{"fault": "status", **fault}])

    found, errors = sync(tmp_path, server, "--attempts", "1", *corpus.thread_ids()[:3])

    assert found == code
    assert errors.count(said) == 1 or said == "HTTP 501"
    assert said in errors


@dataclass
class Meddling(httpx.AsyncBaseTransport):
    """The real transport, with a change on the server after the first page of a list."""

    inner: httpx.AsyncBaseTransport
    change: Callable[[], object]
    changed: bool = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if b"after=" in asked_url(request).query and not self.changed:
            self.changed = True
            self.change()
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def sync_meddled(server: RunningEmulator, data_dir: Path, thread_id: str, change: Callable[[], object]) -> str:
    endpoint = Endpoint(server.base_url, headers={"Authorization": f"Bearer {server.api_key}"})
    transport = Meddling(open_transport(endpoint), change)
    async with ApiClient(endpoint, Pacer(concurrency=1), transport=transport) as client:
        options = SyncOptions(source="default", data_dir=data_dir, thread_ids=[thread_id])
        return (await run_sync(client, options, progress=Progress())).verdict


def control(server: RunningEmulator, action: str, body: Json) -> str:
    # In a thread of its own the emulator answers while our event loop waits.
    answer = httpx.post(f"{server.control_url}/{action}", json=body).raise_for_status().json()
    return str(answer["id"])


def first_paged_run(corpus: Corpus, thread_id: str) -> tuple[str, list[str]]:
    (thread,) = (thread for thread in corpus.threads if thread.item.object_id == thread_id)
    run = next(run for run in thread.runs if len(run.steps) > 100)
    return run.item.object_id, [step.object_id for step in run.steps]


def test_a_step_inserted_behind_the_cursor_while_paging_is_in_the_rows(corpus: Corpus, tmp_path: Path) -> None:
    thread_id = long_thread(corpus)
    run_id, steps = first_paged_run(corpus, thread_id)
    inserted: list[str] = []
    with running_emulator(corpus) as server:
        where = {"thread_id": thread_id, "run_id": run_id}
        verdict = asyncio.run(
            sync_meddled(
                server,
                tmp_path,
                thread_id,
                lambda: inserted.append(control(server, "insert", {**where, "position": 150})),
            )
        )

    assert verdict == "complete"
    rows = read_all(tmp_path, "select step_id from run_steps where run_id = ? order by step_index", [run_id])
    assert [row[0] for row in rows] == [*steps[:150], *inserted, *steps[150:]]


def test_a_step_removed_under_the_cursor_while_paging_is_not_in_the_rows(corpus: Corpus, tmp_path: Path) -> None:
    thread_id = long_thread(corpus)
    run_id, steps = first_paged_run(corpus, thread_id)
    with running_emulator(corpus) as server:
        gone = {"thread_id": thread_id, "run_id": run_id, "id": steps[99]}
        verdict = asyncio.run(sync_meddled(server, tmp_path, thread_id, lambda: control(server, "delete", gone)))

    assert verdict == "complete"
    rows = read_all(tmp_path, "select step_id from run_steps where run_id = ? order by step_index", [run_id])
    assert [row[0] for row in rows] == steps[:99] + steps[100:]


def test_a_step_inserted_before_the_cursor_is_found_by_a_full_sync(corpus: Corpus, tmp_path: Path) -> None:
    thread_id = long_thread(corpus)
    run_id, steps = first_paged_run(corpus, thread_id)
    inserted: list[str] = []
    with running_emulator(corpus) as server:
        where = {"thread_id": thread_id, "run_id": run_id}
        asyncio.run(
            sync_meddled(
                server,
                tmp_path / "data",
                thread_id,
                lambda: inserted.append(control(server, "insert", {**where, "position": 0})),
            )
        )
        code, errors = sync(tmp_path, server, "--full", thread_id)

    assert (code, errors) == (0, "")
    rows = read_all(tmp_path / "data", "select step_id from run_steps where run_id = ? order by step_index", [run_id])
    assert [row[0] for row in rows] == [*inserted, *steps]


def test_two_profiles_with_the_same_ids_do_not_mix(corpus: Corpus, server: RunningEmulator, tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(
        f"""
        [profiles.first]
        kind = "compatible"
        base_url = "{server.base_url}"
        api_key_env = "EMULATED_KEY"
        [profiles.second]
        kind = "compatible"
        base_url = "{server.base_url}"
        api_key_env = "EMULATED_KEY"
        """
    )
    environ = environ_for(EMULATED_KEY=server.api_key)
    thread_id = small_thread(corpus)

    codes = [
        run_cli(tmp_path, "sync", "--quiet", "--profile", profile, thread_id, environ=environ).returncode
        for profile in ("first", "second", "first")
    ]

    assert codes == [0, 0, 0]
    steps = len(true_steps(corpus, thread_id))
    by_source = "select source, count(*), count(distinct step_id) from run_steps group by source order by source"
    assert read_all(tmp_path / "data", by_source) == [("first", steps, steps), ("second", steps, steps)]
    assert read_all(tmp_path / "data", "select source, run_count from threads order by source") == [
        ("first", 3),
        ("second", 3),
    ]


def test_the_request_id_of_each_answer_lands_with_its_page(
    corpus: Corpus, server: RunningEmulator, tmp_path: Path
) -> None:
    sync(tmp_path, server, long_thread(corpus))

    pages = read_raw(tmp_path / "data").filter(kind="page")
    # What is asked to see whether cursors skip items is not kept.
    sent = [f"req_{request['sequence']:012d}" for request in server.requests() if request["limit"] != "1"]
    assert sorted(pages["request_id"].to_list()) == sorted(sent)
