"""What the emulator serves of conversations, responses and sessions is what its truth says, however it is walked."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pipeline.emulator import RunningEmulator, running_emulator

Json = dict[str, Any]


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningEmulator]:
    with running_emulator(threads=1) as emulator:
        yield emulator


@pytest.fixture
def client(shared: RunningEmulator) -> Iterator[httpx.Client]:
    shared.clear_faults()
    headers = {"Authorization": f"Bearer {shared.api_key}", "OpenAI-Beta": "agents=v1"}
    with httpx.Client(base_url=shared.base_url, headers=headers, timeout=60) as client:
        yield client


def walk(client: httpx.Client, path: str, order: str = "asc", **asked: str) -> list[Json]:
    """A list by its last_id, page by page."""
    params: dict[str, str | int] = {"limit": 100, "order": order, **asked}
    found: list[Json] = []
    while True:
        page = client.get(path, params=params).raise_for_status().json()
        found += page["data"]
        if not page["has_more"]:
            return found
        params["after"] = page["last_id"]


def outputs_in(items: list[Json]) -> set[str]:
    return {item["call_id"] for item in items if item["type"] == "function_call_output"}


def functions_in(items: list[Json]) -> set[str]:
    return {item["call_id"] for item in items if item["type"] == "function_call"}


def count_tokens(runs: list[Json]) -> Counter[str]:
    names = ("input_tokens", "output_tokens", "total_tokens")
    return Counter({name: sum((run["usage"] or {}).get(name, 0) for run in runs) for name in names})


@pytest.mark.parametrize("phase", [0, 1])
def test_responses_by_conversation_are_what_the_truth_says(phase: int) -> None:
    with running_emulator(threads=1, phase=phase) as emulator:
        with httpx.Client(
            base_url=emulator.base_url, headers={"Authorization": f"Bearer {emulator.api_key}"}
        ) as client:
            truth = emulator.successor_truth()["conversations"]
            conversations = walk(client, "/conversations")
            responses, answered = [], 0
            for conversation in conversations:
                own = walk(client, "/responses", conversation_id=conversation["id"])
                items = walk(client, f"/conversations/{conversation['id']}/items")
                called = functions_in([item for response in own for item in response["output"]])
                answered += len(called & outputs_in(items))
                responses += own
            alone = [response for response in walk(client, "/responses") if response["conversation"] is None]
        assert (len(conversations), len(responses), answered) == (truth.threads, truth.runs, truth.answered)
        assert Counter(response["status"] for response in responses) == truth.runs_by_status
        assert count_tokens(responses).items() <= truth.tokens.items()
        assert len(alone) == emulator.successor_truth()["chains"].runs


@pytest.mark.parametrize("phase", [0, 1])
def test_turns_of_sessions_and_their_subagents_are_what_the_truth_says(phase: int) -> None:
    with running_emulator(threads=1, phase=phase) as emulator:
        headers = {"Authorization": f"Bearer {emulator.api_key}", "OpenAI-Beta": "agents=v1"}
        with httpx.Client(base_url=emulator.base_url, headers=headers) as client:
            turns: dict[str, Json] = {}
            sessions = walk(client, "/agents/sessions")
            for session in sessions:
                path = f"/agents/sessions/{session['id']}"
                for agent in ("", *(f"/subagents/{agent['id']}" for agent in walk(client, f"{path}/subagents"))):
                    turns |= {turn["id"]: turn for turn in walk(client, f"{path}{agent}/turns")}
        truth = emulator.successor_truth()["agents"]
        assert (len(sessions), len(turns)) == (truth.threads, truth.runs)
        assert count_tokens(list(turns.values())).items() <= truth.tokens.items()


def test_a_turn_s_items_are_paged_by_last_id_alone(client: httpx.Client, shared: RunningEmulator) -> None:
    turn_id = max(
        (turn for session in shared.emulation.successors.sessions for turn in session.turns),
        key=lambda turn: len(turn.items_after),
    ).after
    path = f"/agents/sessions/{turn_id['session_id']}/turns/{turn_id['id']}/items"
    page = client.get(path, params={"limit": 100, "order": "asc"}).json()
    assert page["has_more"]
    assert page["last_id"] != page["data"][-1]["id"]
    assert client.get(path, params={"after": page["data"][-1]["id"]}).status_code == 400
    assert len(walk(client, path)) > 100


def test_a_response_s_input_repeats_all_of_its_chain(client: httpx.Client, shared: RunningEmulator) -> None:
    story = max(
        (s for s in shared.emulation.successors.stories if not s.conversation_id), key=lambda s: len(s.histories)
    )
    ids = [history.after["id"] for history in story.histories]
    lengths = [len(walk(client, f"/responses/{response_id}/input_items")) for response_id in ids]
    assert lengths == sorted(lengths)
    assert lengths[-1] > len(story.histories)


@pytest.mark.parametrize(
    ("path", "beta", "status"),
    [
        ("/responses/resp_nowhere", "agents=v1", 404),
        ("/responses/resp_nowhere/input_items", "agents=v1", 404),
        ("/conversations/conv_nowhere/items", "agents=v1", 404),
        ("/agents/sessions/sess_nowhere/turns", "agents=v1", 404),
        ("/agents/sessions", "assistants=v2", 400),
    ],
)
def test_what_is_not_there_is_refused_as_the_servers_do(
    client: httpx.Client, path: str, beta: str, status: int
) -> None:
    answer = client.get(path, headers={"OpenAI-Beta": beta})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_server_may_end_its_lists_after_the_oldest_items(
    client: httpx.Client, shared: RunningEmulator, order: str
) -> None:
    story = max(shared.emulation.successors.stories, key=lambda s: len(s.histories))
    path = f"/conversations/{story.conversation_id}/items"
    whole = walk(client, path)
    shared.set_faults([{"route": "list_conversation_items", "fault": "oldest_only"}])
    cut = walk(client, path, order)
    assert len(whole) > 100
    assert (cut if order == "asc" else cut[::-1]) == whole[:100]


def test_a_server_may_begin_again_after_a_cursor_that_it_does_not_know(
    client: httpx.Client, shared: RunningEmulator
) -> None:
    shared.set_faults([{"route": "list_responses", "fault": "cursor_gone_restarts"}])
    asked = {"limit": "3", "order": "asc"}
    first = client.get("/responses", params=asked).json()
    assert client.get("/responses", params={**asked, "after": "resp_gone"}).json() == first


def test_contents_of_searches_and_code_come_only_to_who_asks(client: httpx.Client, shared: RunningEmulator) -> None:
    response_id = next(
        history.after["id"]
        for history in shared.emulation.successors.histories
        if any(item["type"] == "code_interpreter_call" for item in history.after["output"])
    )
    path = f"/responses/{response_id}"
    bare = client.get(path).json()
    full = client.get(path, params={"include[]": "code_interpreter_call.outputs"}).json()
    outputs = [
        next(item["outputs"] for item in body["output"] if item["type"] == "code_interpreter_call")
        for body in (bare, full)
    ]
    assert outputs[0] is None
    assert outputs[1]
