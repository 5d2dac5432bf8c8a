"""What the emulator promises to everybody who is tested or shown against it."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus, running_emulator
from tests.syncs import PATIENCE_S

Json = dict[str, Any]

CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
TOOL_TYPES = {
    "code_interpreter", "file_search", "function", "retrieval", "bing_grounding", "bing_custom_search",
    "azure_ai_search", "sharepoint_grounding", "fabric_dataagent", "openapi", "browser_automation",
    "azure_function", "deep_research", "computer_use_preview", "connected_agent", "mcp", "quark_search",
}  # fmt: skip


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_corpus(threads=40)


@pytest.fixture(scope="module")
def shared_emulator(corpus: Corpus) -> Iterator[RunningEmulator]:
    with running_emulator(corpus) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared_emulator: RunningEmulator) -> RunningEmulator:
    shared_emulator.clear_faults()
    shared_emulator.clear_requests()
    return shared_emulator


@pytest.fixture
def client(emulator: RunningEmulator) -> Iterator[httpx.Client]:
    with connect(emulator) as client:
        yield client


def connect(emulator: RunningEmulator) -> httpx.Client:
    headers = {"Authorization": f"Bearer {emulator.api_key}"}
    return httpx.Client(base_url=emulator.base_url, headers=headers, timeout=60)


def walk(client: httpx.Client, path: str, *, limit: int = 100, order: str = "asc") -> Iterator[Json]:
    params: dict[str, str | int] = {"limit": limit, "order": order}
    while True:
        page = client.get(path, params=params).raise_for_status().json()
        yield from page["data"]
        if not page["has_more"]:
            return
        params["after"] = page["last_id"]


def walk_everything(client: httpx.Client) -> tuple[list[Json], list[tuple[Json, list[Json]]]]:
    threads = list(walk(client, "/threads"))
    runs = []
    for thread in threads:
        for run in walk(client, f"/threads/{thread['id']}/runs"):
            steps = list(walk(client, f"/threads/{thread['id']}/runs/{run['id']}/steps"))
            runs.append((run, steps))
    return threads, runs


@pytest.fixture(scope="module")
def account(shared_emulator: RunningEmulator) -> tuple[list[Json], list[tuple[Json, list[Json]]]]:
    with connect(shared_emulator) as client:
        return walk_everything(client)


Account = tuple[list[Json], list[tuple[Json, list[Json]]]]


def find_thread(corpus: Corpus, runs: int) -> str:
    return next(thread.item.object_id for thread in corpus.threads if len(thread.runs) == runs)


def find_run(corpus: Corpus, steps: int) -> str:
    """The path of the first run with exactly this number of steps."""
    return next(
        f"/threads/{thread.item.object_id}/runs/{run.item.object_id}"
        for thread in corpus.threads
        for run in thread.runs
        if len(run.steps) == steps
    )


def add_tokens(sums: dict[str, Counter[str]], model: str, usage: Json | None) -> None:
    if usage is None:
        return
    sums.setdefault(model, Counter()).update(
        prompt_tokens=usage["prompt_tokens"],
        cached_tokens=usage.get("prompt_token_details", {}).get("cached_tokens", 0),
        completion_tokens=usage["completion_tokens"],
        reasoning_tokens=usage.get("completion_tokens_details", {}).get("reasoning_tokens", 0),
        total_tokens=usage["total_tokens"],
    )


def count_account(phase: int, account: Account) -> Json:
    """The same totals as a truth, counted from what came over HTTP."""
    threads, runs = account
    steps = [step for _, listed in runs for step in listed]
    calls = [call for step in steps for call in step["step_details"].get("tool_calls", [])]
    run_sums: dict[str, Counter[str]] = {}
    step_sums: dict[str, Counter[str]] = {}
    for run, listed in runs:
        add_tokens(run_sums, run["model"], run.get("usage"))
        for step in listed:
            add_tokens(step_sums, run["model"], step.get("usage"))
    searches = [call["file_search"] for call in calls if call["type"] == "file_search"]
    return {
        "phase": phase,
        "threads": len(threads),
        "runs": len(runs),
        "steps": len(steps),
        "runs_by_status": Counter(run["status"] for run, _ in runs),
        "steps_by_type": Counter(step["type"] for step in steps),
        "steps_by_details_type": Counter(step["step_details"]["type"] for step in steps),
        "steps_by_status": Counter(step["status"] for step in steps),
        "tool_calls": len(calls),
        "tool_calls_by_type": Counter(call["type"] for call in calls),
        "code_interpreter_outputs": sum(
            len(call["code_interpreter"]["outputs"]) for call in calls if call["type"] == "code_interpreter"
        ),
        "file_search_results": sum(len(search.get("results", [])) for search in searches if search),
        "step_tokens_by_model": step_sums,
        "run_tokens_by_model": run_sums,
    }


def test_the_same_seed_makes_the_same_bytes_in_another_process_with_another_hash_seed(corpus: Corpus) -> None:
    script = "from pipeline.emulator import generate_corpus; print(generate_corpus(threads=40).digest())"

    digest = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()

    assert digest == corpus.digest()


def test_another_seed_makes_other_bytes() -> None:
    assert generate_corpus(seed=1, threads=5).digest() != generate_corpus(seed=2, threads=5).digest()


def test_the_default_sample_has_the_size_that_it_is_documented_with() -> None:
    truth = generate_corpus().truth(0)

    assert truth.threads == 400
    assert 2_000 <= truth.runs <= 2_500
    assert 9_000 <= truth.steps <= 12_000


def test_the_truth_of_phase_0_is_what_an_independent_walk_counts(corpus: Corpus, account: Account) -> None:
    assert corpus.truth(0).as_dict() == count_account(0, account)


def test_the_truth_of_phase_1_is_what_an_independent_walk_counts_after_the_advance(corpus: Corpus) -> None:
    with running_emulator(corpus) as emulator, connect(emulator) as client:
        emulator.advance()

        assert corpus.truth(1).as_dict() == count_account(1, walk_everything(client))


def test_the_advance_finishes_all_open_runs_but_one_and_brings_new_runs(corpus: Corpus) -> None:
    before, after = corpus.truth(0), corpus.truth(1)

    open_states = ("queued", "in_progress", "requires_action", "cancelling")
    assert all(before.runs_by_status[status] >= 1 for status in open_states)
    assert [after.runs_by_status.get(status, 0) for status in open_states] == [0, 1, 0, 0]
    assert after.runs > before.runs
    assert after.steps > before.steps


def test_the_usage_of_every_finished_run_is_the_sum_of_its_steps(account: Account) -> None:
    broken = []
    for run, steps in account[1]:
        if run.get("usage") is None:
            continue
        from_run: dict[str, Counter[str]] = {}
        from_steps: dict[str, Counter[str]] = {"": Counter(dict.fromkeys(run["usage"], 0))}
        add_tokens(from_run, "", run["usage"])
        for step in steps:
            add_tokens(from_steps, "", step["usage"])
        if from_run[""] != from_steps[""]:
            broken.append(run["id"])

    assert broken == []


def test_every_finished_run_reports_usage_unless_it_is_of_the_first_version(account: Account) -> None:
    open_states = {"queued", "in_progress", "requires_action", "cancelling"}
    silent = [run for run, _ in account[1] if run["status"] not in open_states and run.get("usage") is None]

    assert len(silent) == 2
    assert all("usage" not in run and "file_ids" in run for run in silent)


def test_every_status_step_type_and_tool_type_occurs(corpus: Corpus) -> None:
    truth = corpus.truth(0)

    assert len(truth.runs_by_status) == 9
    assert set(truth.steps_by_status) == {"in_progress", "cancelled", "failed", "completed", "expired"}
    assert set(truth.steps_by_type) == {"message_creation", "tool_calls", "activities"}
    assert set(truth.tool_calls_by_type) == TOOL_TYPES


def test_a_connected_agent_names_a_child_run_that_can_be_read(client: httpx.Client, account: Account) -> None:
    children = [
        call["connected_agent"]
        for _, steps in account[1]
        for step in steps
        for call in step["step_details"].get("tool_calls", [])
        if call["type"] == "connected_agent" and "run_id" in call["connected_agent"]
    ]

    statuses = [client.get(f"/threads/{child['thread_id']}/runs/{child['run_id']}").status_code for child in children]

    assert len(children) == 3
    assert statuses == [200, 200, 200]


def test_objects_are_in_order_of_creation_with_ties_across_page_borders(account: Account) -> None:
    runs_by_thread: dict[str, list[int]] = {}
    for run, _ in account[1]:
        runs_by_thread.setdefault(run["thread_id"], []).append(run["created_at"])
    step_lists = [[step["created_at"] for step in steps] for _, steps in account[1]]
    lists = [*runs_by_thread.values(), *step_lists]

    assert all(instants == sorted(instants) for instants in lists)
    assert any(len(instants) > 100 and instants[99] == instants[100] for instants in runs_by_thread.values())
    assert any(len(instants) > 100 and instants[99] == instants[100] for instants in step_lists)


def test_nothing_in_the_corpus_looks_like_a_key(corpus: Corpus) -> None:
    bodies = [step.body for thread in corpus.threads for run in thread.runs for step in run.steps]

    assert not any(b"sk-" in body for body in bodies)


@pytest.mark.parametrize("limit", [1, 7, 20, 99, 100])
def test_paging_reaches_every_step_once_and_descending_is_the_exact_reverse(
    client: httpx.Client, corpus: Corpus, limit: int
) -> None:
    path = find_run(corpus, steps=200) + "/steps"

    ascending = [step["id"] for step in walk(client, path, limit=limit)]
    descending = [step["id"] for step in walk(client, path, limit=limit, order="desc")]

    assert len(set(ascending)) == len(ascending) == 200
    assert descending == ascending[::-1]


@pytest.mark.parametrize("steps, sizes", [(100, [100]), (105, [100, 5]), (200, [100, 100]), (230, [100, 100, 30])])
def test_pages_of_100_are_full_up_to_the_last_and_only_the_last_has_no_more(
    client: httpx.Client, corpus: Corpus, steps: int, sizes: list[int]
) -> None:
    path = find_run(corpus, steps=steps) + "/steps"
    pages = []
    after: dict[str, str] = {}
    for _ in sizes:
        pages.append(client.get(path, params={"limit": 100, "order": "asc", **after}).json())
        after = {"after": pages[-1]["last_id"]}

    assert [len(page["data"]) for page in pages] == sizes
    assert [page["has_more"] for page in pages] == [True] * (len(sizes) - 1) + [False]
    assert all(page["first_id"] == page["data"][0]["id"] for page in pages)


def test_a_list_is_newest_first_and_20_long_unless_asked_otherwise(client: httpx.Client, corpus: Corpus) -> None:
    path = find_run(corpus, steps=105) + "/steps"
    every = [step["id"] for step in walk(client, path)]

    page = client.get(path).json()

    assert [step["id"] for step in page["data"]] == every[:-21:-1]
    assert page["has_more"] is True


def test_after_and_before_together_give_what_lies_between(client: httpx.Client, corpus: Corpus) -> None:
    path = find_run(corpus, steps=105) + "/steps"
    every = [step["id"] for step in walk(client, path)]

    up = client.get(path, params={"order": "asc", "after": every[10], "before": every[14]}).json()
    down = client.get(path, params={"order": "desc", "after": every[14], "before": every[10]}).json()

    assert [step["id"] for step in up["data"]] == every[11:14]
    assert [step["id"] for step in down["data"]] == every[11:14][::-1]
    assert (up["has_more"], down["has_more"]) == (False, False)


def test_before_alone_gives_the_page_next_to_the_cursor(client: httpx.Client, corpus: Corpus) -> None:
    path = find_run(corpus, steps=105) + "/steps"
    every = [step["id"] for step in walk(client, path)]

    up = client.get(path, params={"order": "asc", "before": every[50], "limit": 5}).json()
    down = client.get(path, params={"order": "desc", "before": every[50], "limit": 5}).json()

    assert [step["id"] for step in up["data"]] == every[45:50]
    assert [step["id"] for step in down["data"]] == every[51:56][::-1]


def test_an_empty_list_has_null_ids(client: httpx.Client, corpus: Corpus) -> None:
    thread_id = find_thread(corpus, runs=0)

    page = client.get(f"/threads/{thread_id}/runs").json()

    assert page == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize(
    "query, param",
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("order=up", "order"),
        ("after=run_nowhere", "after"),
        ("before=run_nowhere", "before"),
        ("include[]=everything", "include[]"),
    ],
)
def test_a_wrong_parameter_is_a_400_that_names_it(client: httpx.Client, corpus: Corpus, query: str, param: str) -> None:
    answer = client.get(find_run(corpus, steps=105) + f"/steps?{query}")

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["param"] == param


def test_file_search_content_comes_only_when_asked_for(client: httpx.Client, corpus: Corpus) -> None:
    path = next(
        f"/threads/{thread.item.object_id}/runs/{run.item.object_id}/steps"
        for thread in corpus.threads
        for run in thread.runs
        if any(step.body_with_content for step in run.steps)
    )

    bare = client.get(path)
    full = client.get(path, params={"include[]": CONTENT})

    assert '"content":' not in bare.text
    assert '"content":[{"type":"text","text":' in full.text
    assert [step["id"] for step in bare.json()["data"]] == [step["id"] for step in full.json()["data"]]


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic emulator-key"}, {"api-key": "x"}]
)
def test_a_missing_or_wrong_key_is_a_401(emulator: RunningEmulator, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{emulator.base_url}/threads", headers=headers)

    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["code"] == "invalid_api_key"


def test_a_key_can_be_asked_for_in_the_api_key_header_or_not_at_all(corpus: Corpus) -> None:
    with running_emulator(corpus, auth="api-key", base_path="/api/projects/demo") as emulator:
        with_key = httpx.get(f"{emulator.base_url}/threads", headers={"api-key": emulator.api_key})
        without = httpx.get(f"{emulator.base_url}/threads")
    with running_emulator(corpus, auth="none", base_path="") as emulator:
        free = httpx.get(f"{emulator.base_url}/threads")

    assert with_key.url.path == "/api/projects/demo/threads"
    assert free.url.path == "/threads"
    assert [with_key.status_code, without.status_code, free.status_code] == [200, 401, 200]


def test_openai_demands_its_beta_header_and_lists_no_threads(corpus: Corpus) -> None:
    path = f"/threads/{corpus.thread_ids()[0]}/runs"
    beta = {"OpenAI-Beta": "assistants=v2"}
    with running_emulator(corpus, dialect="openai") as emulator, connect(emulator) as client:
        without = client.get(path)

        assert without.status_code == 400
        assert without.json()["error"]["code"] == "invalid_beta"
        assert client.get(path, headers=beta).status_code == 200
        assert client.get("/threads", headers=beta).status_code == 404


def test_foundry_demands_an_api_version_and_lists_threads(corpus: Corpus) -> None:
    with running_emulator(corpus, dialect="foundry") as emulator, connect(emulator) as client:
        assert client.get("/threads").status_code == 400
        assert client.get("/threads?api-version=v1").status_code == 200


@pytest.mark.parametrize(
    "path, message",
    [
        ("/threads/thread_x", "No thread found with id 'thread_x'."),
        ("/threads/thread_x/runs", "No thread found with id 'thread_x'."),
        ("/threads/{t}/runs/run_x", "No run found with id 'run_x'."),
        ("/threads/{t}/runs/run_x/steps", "No run found with id 'run_x'."),
        ("/threads/{t}/runs/{r}/steps/step_x", "No run step found with id 'step_x'."),
        ("/threads/a%2Fb%3F%20%C3%A9/runs", "No thread found with id 'a/b? é'."),
        ("/nothing", "Invalid URL (GET /v1/nothing)"),
    ],
)
def test_what_is_not_there_is_a_404_in_the_words_of_the_real_server(
    client: httpx.Client, corpus: Corpus, path: str, message: str
) -> None:
    _, _, thread_id, _, run_id = find_run(corpus, steps=105).split("/")

    answer = client.get(path.format(t=thread_id, r=run_id))

    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "message": message,
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def test_single_objects_are_the_ones_that_the_lists_show(client: httpx.Client, corpus: Corpus) -> None:
    path = find_run(corpus, steps=105)
    step = client.get(path + "/steps").json()["data"][0]

    assert client.get(f"{path}/steps/{step['id']}").json() == step
    assert client.get(path).json()["id"] == path.rpartition("/")[2]


def test_every_answer_has_a_request_id_also_an_error(client: httpx.Client) -> None:
    ids = [client.get(path).headers["x-request-id"] for path in ("/threads", "/threads/x", "/nothing")]

    assert ids == ["req_000000000001", "req_000000000002", "req_000000000003"]


FAULTY_ANSWERS: list[tuple[Json, Callable[[httpx.Response], bool]]] = [
    ({"fault": "status", "status": 503, "headers": {"retry-after": "1.5"}},
     lambda a: a.status_code == 503 and a.headers["retry-after"] == "1.5" and "error" in a.json()),
    ({"fault": "status", "status": 429, "error_type": "insufficient_quota", "error_code": "insufficient_quota"},
     lambda a: a.status_code == 429 and a.json()["error"]["type"] == "insufficient_quota"),
    ({"fault": "status", "body": "plain", "message": "oops"},
     lambda a: a.text == "oops" and a.headers["content-type"].startswith("text/plain")),
    ({"fault": "status", "status": 502, "body": "html"}, lambda a: a.text.startswith("<!DOCTYPE html>")),
    ({"fault": "status", "status": 404, "body": "litellm", "message": "Not Found"},
     lambda a: a.json() == {"detail": "Not Found"}),
    ({"fault": "status", "body": "portkey", "message": "no"},
     lambda a: a.json() == {"status": "failure", "message": "no"}),
    ({"fault": "status", "status": 529, "body": "empty", "headers": {"x-should-retry": "false"}},
     lambda a: (a.status_code, a.content, a.headers["x-should-retry"]) == (529, b"", "false")),
    ({"fault": "html_200"}, lambda a: a.status_code == 200 and a.text.startswith("<!DOCTYPE html>")),
    ({"fault": "half_json"}, lambda a: a.text.startswith('{"object":"list"') and not a.text.endswith("}")),
    ({"fault": "not_envelope"}, lambda a: a.json() == {"ok": True}),
    ({"fault": "not_envelope", "kind": "array"}, lambda a: a.json() == []),
    ({"fault": "not_envelope", "kind": "data_null"}, lambda a: a.json()["data"] is None),
    ({"fault": "not_envelope", "kind": "data_not_list"}, lambda a: a.json()["data"] == {"a": 1}),
    ({"fault": "big_body", "bytes": 3_000_000},
     lambda a: len(a.content) == 3_000_000 and a.json()["object"] == "list"),
    ({"fault": "deep_json", "depth": 5}, lambda a: a.json()["data"] == [[[[[]]]]]),
    ({"fault": "redirect", "location": "/v1/elsewhere"},
     lambda a: a.status_code == 302 and a.headers["location"] == "/v1/elsewhere"),
    ({"fault": "has_more_no_cursor"},
     lambda a: a.json()["has_more"] and a.json()["last_id"] is a.json()["data"][-1]["id"] is None),
    ({"fault": "empty_page_more"}, lambda a: a.json()["data"] == [] and a.json()["has_more"]),
    ({"fault": "missing_has_more"}, lambda a: set(a.json()) == {"object", "data"}),
    ({"fault": "missing_has_more", "keep_ids": True},
     lambda a: set(a.json()) == {"object", "data", "first_id", "last_id"}),
    ({"fault": "limit_ignored"}, lambda a: len(a.json()["data"]) == 200 and not a.json()["has_more"]),
    ({"fault": "last_id_differs"}, lambda a: a.json()["last_id"] == a.json()["data"][0]["id"]),
    ({"fault": "last_id_differs", "last_id": "step_0"}, lambda a: a.json()["last_id"] == "step_0"),
]  # fmt: skip


@pytest.mark.parametrize(
    "rule, holds", FAULTY_ANSWERS, ids=lambda value: json.dumps(value) if isinstance(value, dict) else ""
)
def test_a_fault_of_the_answer_does_what_it_says(
    emulator: RunningEmulator,
    client: httpx.Client,
    corpus: Corpus,
    rule: Json,
    holds: Callable[[httpx.Response], bool],
) -> None:
    emulator.set_faults([{"route": "list_steps", **rule}])

    answer = client.get(find_run(corpus, steps=200) + "/steps", params={"limit": 50, "order": "asc"})

    assert holds(answer), answer.text[:300]


@pytest.mark.parametrize(
    "rule, error",
    [
        ({"fault": "reset"}, httpx.TransportError),
        ({"fault": "reset", "at": "middle"}, httpx.RemoteProtocolError),
        ({"fault": "wrong_content_length"}, httpx.RemoteProtocolError),
        ({"fault": "broken_gzip", "kind": "not_gzip"}, httpx.DecodingError),
    ],
)
def test_a_fault_of_the_connection_breaks_the_request_and_the_next_one_is_well(
    emulator: RunningEmulator, client: httpx.Client, rule: Json, error: type[Exception]
) -> None:
    emulator.set_faults([{**rule, "times": 1}])

    with pytest.raises(error):
        client.get("/threads")

    assert client.get("/threads").status_code == 200


def test_a_body_that_is_longer_than_its_announced_length_is_cut_there(
    emulator: RunningEmulator, client: httpx.Client
) -> None:
    emulator.set_faults([{"fault": "wrong_content_length", "difference": -10}])

    answer = client.get("/threads?limit=1")

    assert answer.text.endswith('"has_m')


def test_a_truncated_gzip_body_is_no_whole_json(emulator: RunningEmulator, client: httpx.Client) -> None:
    emulator.set_faults([{"fault": "broken_gzip"}])

    with pytest.raises((httpx.DecodingError, ValueError)):
        client.get("/threads").json()


@pytest.mark.parametrize(
    "rule", [{"fault": "latency_ms", "latency_ms": 60}, {"fault": "slow_body", "bytes_per_s": 5000}]
)
def test_a_slow_answer_is_whole_but_late(emulator: RunningEmulator, client: httpx.Client, rule: Json) -> None:
    emulator.set_faults([rule])
    began_s = time.monotonic()

    answer = client.get("/threads?limit=2")

    assert len(answer.json()["data"]) == 2
    assert time.monotonic() - began_s >= 0.05


def test_faults_add_up_whatever_their_order(emulator: RunningEmulator, client: httpx.Client) -> None:
    emulator.set_faults([{"fault": "reset", "at": "middle"}, {"fault": "status", "status": 529}])

    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/threads")

    assert [entry["status"] for entry in emulator.requests()] == [529]


def fetch_ids(client: httpx.Client, path: str, pages: int) -> list[list[str]]:
    """The ids of the first pages, each asked for after the last id of the one before."""
    params: dict[str, str | int] = {"limit": 100, "order": "asc"}
    found = []
    for _ in range(pages):
        page = client.get(path, params=params).raise_for_status().json()
        found.append([item["id"] for item in page["data"]])
        params["after"] = page["last_id"]
    return found


@pytest.mark.parametrize(
    "rule, expected",
    [
        ({"fault": "cursor_ignored"}, [(0, 100), (0, 100), (0, 100)]),
        ({"fault": "cursor_cycle", "length": 2}, [(0, 100), (100, 200), (0, 100)]),
        ({"fault": "items_repeat", "overlap": 3}, [(0, 100), (97, 197), (194, 230)]),
        ({"fault": "empty_page_more", "from_page": 1}, [(0, 100), (0, 0)]),
        ({"fault": "limit_ignored"}, [(0, 230), (0, 230)]),
    ],
)
def test_a_fault_of_paging_gives_these_steps(
    emulator: RunningEmulator, client: httpx.Client, corpus: Corpus, rule: Json, expected: list[tuple[int, int]]
) -> None:
    path = find_run(corpus, steps=230) + "/steps"
    every = [step["id"] for step in walk(client, path)]
    emulator.set_faults([{"route": "list_steps", **rule}])

    pages = fetch_ids(client, path, len(expected))

    assert pages == [every[start:stop] for start, stop in expected]


def test_a_changed_order_turns_back_after_the_first_page(
    emulator: RunningEmulator, client: httpx.Client, corpus: Corpus
) -> None:
    path = find_run(corpus, steps=230) + "/steps"
    every = [step["id"] for step in walk(client, path)]
    emulator.set_faults([{"fault": "order_changes"}])

    assert fetch_ids(client, path, 2) == [every[:100], every[:99][::-1]]


def test_a_cursor_expires_after_so_many_pages(emulator: RunningEmulator, client: httpx.Client, corpus: Corpus) -> None:
    path = find_run(corpus, steps=300) + "/steps"
    emulator.set_faults([{"fault": "cursor_expires", "pages": 2}])
    pages = fetch_ids(client, path, 2)

    answer = client.get(path, params={"limit": 100, "order": "asc", "after": pages[1][-1]})

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_cursor"


def test_a_full_last_page_claims_more_and_the_next_is_empty(
    emulator: RunningEmulator, client: httpx.Client, corpus: Corpus
) -> None:
    path = find_run(corpus, steps=100) + "/steps"
    emulator.set_faults([{"fault": "full_last_page_more"}])

    full = client.get(path, params={"limit": 100}).json()
    following = client.get(path, params={"limit": 100, "after": full["last_id"]}).json()

    assert (len(full["data"]), full["has_more"]) == (100, True)
    assert (following["data"], following["has_more"]) == ([], False)


def test_a_rate_limit_lets_the_burst_through_and_says_how_long_to_wait(
    emulator: RunningEmulator, client: httpx.Client
) -> None:
    emulator.set_faults([{"fault": "rate_limit", "per_second": 0.01, "burst": 2}])

    answers = [client.get("/threads") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "100"


PATCHED_STEPS: list[tuple[Json, Callable[[Json], bool]]] = [
    ({"kind": "null_id"}, lambda step: step["id"] is None),
    ({"kind": "missing_id"}, lambda step: "id" not in step),
    ({"kind": "string_usage"}, lambda step: isinstance(step["usage"]["total_tokens"], str)),
    ({"kind": "negative_tokens"}, lambda step: step["usage"]["prompt_tokens"] == -5),
    ({"kind": "fractional_tokens"}, lambda step: step["usage"]["completion_tokens"] == 12.5),
    ({"kind": "null_details"}, lambda step: step["step_details"] is None),
    ({"kind": "unknown_type"}, lambda step: step["type"] == step["step_details"]["type"] == "telepathy"),
    ({"kind": "type_mismatch"}, lambda step: step["type"] != step["step_details"]["type"]),
    ({"kind": "big_logs", "bytes": 5000},
     lambda step: len(step["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"][0]["logs"]) == 5000),
    ({"kind": "many_tool_calls", "count": 77}, lambda step: len(step["step_details"]["tool_calls"]) == 77),
    ({"kind": "lone_surrogate"}, lambda step: "\\ud83d" in json.dumps(step)),
    ({"kind": "nul_character"}, lambda step: "before \\u0000 after" in json.dumps(step)),
    ({"kind": "ms_timestamps"},
     lambda step: step["created_at"] > 10**12 and step["failed_at"] == -1
     and step["last_error"] == {"code": "", "message": ""}),
    ({"kind": "odd_ids"}, lambda step: step["id"].startswith("odd/step_") and "?a=1&b=é #" in step["id"]),
]  # fmt: skip


@pytest.mark.parametrize("patch, holds", PATCHED_STEPS, ids=[patch["kind"] for patch, _ in PATCHED_STEPS])
def test_a_record_fault_patches_every_second_step_and_leaves_its_neighbours(
    emulator: RunningEmulator,
    client: httpx.Client,
    corpus: Corpus,
    patch: Json,
    holds: Callable[[Json], bool],
) -> None:
    path = find_run(corpus, steps=200) + "/steps?limit=4&order=asc"
    honest = client.get(path).json()["data"]
    emulator.set_faults([{"route": "list_steps", "fault": "record", "every": 2, **patch}])

    steps = client.get(path).json()["data"]

    assert [holds(step) for step in (steps[0], steps[2])] == [True, True]
    assert [steps[1], steps[3]] == [honest[1], honest[3]]


def test_odd_ids_work_as_cursors_and_in_paths(emulator: RunningEmulator, client: httpx.Client, corpus: Corpus) -> None:
    _, _, thread_id, _, run_id = find_run(corpus, steps=105).split("/")
    emulator.set_faults([{"fault": "record", "kind": "odd_ids"}])
    runs = {run["id"] for run in walk(client, f"/threads/{thread_id}/runs")}
    odd_run = next(odd for odd in runs if run_id in odd)

    steps = [step["id"] for step in walk(client, f"/threads/{thread_id}/runs/{quote(odd_run, safe='')}/steps")]

    assert len(set(steps)) == len(steps) == 105
    assert all(step.startswith("odd/step_") for step in steps)


def test_a_rule_strikes_only_its_route_its_thread_and_its_turn(
    emulator: RunningEmulator, client: httpx.Client, corpus: Corpus
) -> None:
    first, second = corpus.thread_ids()[:2]
    rule = {"route": "list_runs", "match": {"thread_id": first}, "after_requests": 1, "times": 2}
    emulator.set_faults([{**rule, "fault": "status", "status": 500}])

    statuses = [client.get(f"/threads/{first}/runs").status_code for _ in range(4)]

    assert statuses == [200, 500, 500, 200]
    assert client.get(f"/threads/{second}/runs").status_code == 200
    assert client.get(f"/threads/{first}").status_code == 200


@pytest.mark.parametrize(
    "rules, message",
    [
        ({"fault": "reset"}, "Rules must be a list"),
        ([7], "Rule 0: A rule must be an object, not int."),
        ([{"fault": "plague"}], "Rule 0: Unknown fault 'plague'"),
        ([{"fault": "reset", "route": "list_dogs"}], "Unknown route 'list_dogs'"),
        ([{"fault": "reset", "times": -1}], "'times' must be a count or null, not -1."),
        ([{"fault": "reset", "match": {"step": 1}}], "'match' must be an object"),
        ([{"fault": "reset", "colour": "red"}], "has no parameter 'colour'; it takes: at."),
        ([{"fault": "reset", "at": "night"}], "must be one of start, middle, not 'night'."),
        ([{"fault": "cursor_cycle", "length": "two"}], "must be of type int, not 'two'."),
    ],
)
def test_a_wrong_rule_is_refused_with_the_reason(emulator: RunningEmulator, rules: object, message: str) -> None:
    answer = httpx.post(f"{emulator.control_url}/faults", json=rules)

    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]


def test_faults_are_set_and_cleared_over_http(emulator: RunningEmulator, client: httpx.Client) -> None:
    httpx.post(f"{emulator.control_url}/faults", json=[{"fault": "status", "status": 418}])
    struck = client.get("/threads").status_code
    httpx.delete(f"{emulator.control_url}/faults")

    assert [struck, client.get("/threads").status_code] == [418, 200]


def test_the_request_log_tells_what_was_asked_and_never_a_header(
    emulator: RunningEmulator, client: httpx.Client, corpus: Corpus
) -> None:
    thread_id = corpus.thread_ids()[0]
    client.get(f"/threads/{thread_id}/runs?limit=5&order=asc")
    client.get(f"/threads/{thread_id}/runs?limit=0")

    log = httpx.get(f"{emulator.control_url}/requests")

    shown = [
        [entry[name] for name in ("sequence", "method", "route", "thread_id", "limit", "order", "status")]
        for entry in log.json()["requests"]
    ]
    assert shown == [
        [1, "GET", "list_runs", thread_id, "5", "asc", 200],
        [2, "GET", "list_runs", thread_id, "0", None, 400],
    ]
    assert emulator.api_key not in log.text
    assert log.json()["peak_in_flight"] == 1


def test_the_control_api_advances_shows_the_truth_and_forgets_requests(corpus: Corpus) -> None:
    with running_emulator(corpus) as emulator, connect(emulator) as client:
        client.get("/threads")

        assert httpx.post(f"{emulator.control_url}/advance").json() == {"phase": 1}
        truth = httpx.get(f"{emulator.control_url}/truth").json()
        assert truth.pop("successors").keys() == {"conversations", "chains", "agents"}
        assert truth == corpus.truth(1).as_dict()
        assert httpx.delete(f"{emulator.control_url}/requests").json() == {"total": 0}
        assert emulator.requests() == []


def test_an_object_inserted_or_deleted_between_two_pages_shows_in_the_rest_of_the_walk(corpus: Corpus) -> None:
    thread_id = find_thread(corpus, runs=120)
    with running_emulator(corpus) as emulator, connect(emulator) as client:
        [first_page] = fetch_ids(client, f"/threads/{thread_id}/runs", 1)
        place = {"thread_id": thread_id}
        inserted = httpx.post(f"{emulator.control_url}/insert", json=place).json()["id"]
        httpx.post(f"{emulator.control_url}/delete", json={**place, "id": first_page[3]})

        rest: dict[str, str | int] = {"order": "asc", "limit": 100, "after": first_page[-1]}
        after = client.get(f"/threads/{thread_id}/runs", params=rest).json()
        gone = client.get(f"/threads/{thread_id}/runs/{first_page[3]}").status_code
        refused = httpx.post(f"{emulator.control_url}/delete", json={**place, "id": first_page[3]})

    assert len(after["data"]) == 21
    assert after["last_id"] == after["data"][-1]["id"] == inserted
    assert (gone, refused.status_code) == (404, 400)


def test_the_process_says_where_it_listens_and_ends_with_its_parents_pipe() -> None:
    script = "from pipeline.emulator import run_emulator; run_emulator(threads=3, stop_on_stdin_eof=True)"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        said = json.loads(process.stdout.readline())
        status = httpx.get(f"{said['base_url']}/threads").status_code
        process.stdin.close()

        assert process.wait(PATIENCE_S) == 0

    assert status == 401
    assert said["pid"] == process.pid
    assert said["base_url"] == f"http://127.0.0.1:{said['port']}/v1"
