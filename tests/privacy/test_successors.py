"""Of responses and turns nothing stays in content-free mode that may be words, and everything that counts does."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.archives.progress import ImportProgress
from pipeline.flatten.frames import flatten
from pipeline.privacy.content import hide_list
from pipeline.privacy.hiding import ContentKey
from pipeline.sqlfiles.duck import read_frame
from pipeline.verbs.archive_import import ImportRequest, run_import
from pipeline.warehouse.database import warehouse_path
from tests.answered import answered, called, landed_answers, listed, response, session, turn, usage_of
from tests.archived import NOW, lines_of
from tests.attached import looking_into
from tests.flatten.successors.test_items import CALLS, OTHERS
from tests.landed import Json
from tests.marked import MARK, find_marks

KEY = ContentKey(b"marker-key-marker-key-marker-key")
# Texts that are the protocol's words or ids; any other may be a customer's.
_STRUCTURE = {
    "id", "type", "status", "object", "call_id", "name", "server_label", "container_id", "model", "role", "execution",
    "response_id", "turn_id", "recipient_agent_id", "recipient_agent_ids", "sender_agent_id", "agent_id", "file_id",
    "approval_request_id", "request_id", "size", "action_id", "parent_action_id", "kind", "title", "service_tier",
    "previous_response_id", "effort", "session_id", "custom_id",
}  # fmt: skip


def marked(value: Any, name: str = "") -> Any:
    """The value with the mark in every text that may be a customer's."""
    if isinstance(value, dict):
        return {key: marked(child, key) for key, child in value.items()}
    if isinstance(value, list):
        return [marked(child, name) for child in value]
    return f"{MARK} {value}" if isinstance(value, str) and name not in _STRUCTURE else value


ITEMS = [*(marked(item) for items, _ in CALLS.values() for item in items)]
ITEMS += [marked({"type": name, **item}) for name, item in OTHERS.items()]
ITEMS += [marked({"type": "oauth_consent_request", "id": "i1", "consent_link": "https://e.x/"})]
ITEMS += [marked({"type": "message", "id": "m", "role": "user", "content": [{"type": "input_text", "text": "hi"}]})]
FULL = response(
    *ITEMS,
    instructions=f"{MARK} be kind",
    metadata={"team": MARK},
    user=MARK,
    prompt_cache_key=MARK,
    error={"code": "server_error", "message": MARK},
    text={"format": {"type": "text", "note": MARK}},
    tools=[{"type": "function", "name": "tide", "description": MARK, "parameters": {"x": MARK}}],
    field_of_nobody={f"{MARK}_key": MARK},
)
BODIES: dict[str, Json] = {
    "a response": FULL,
    "without its object": {name: value for name, value in FULL.items() if name != "object"},
    "a list of responses": listed(FULL, FULL),
    "a list of items": listed(*ITEMS),
    "a line of a batch": listed({"id": "b", "custom_id": "r", "response": {"status_code": 200, "body": FULL}}),
    "a turn": turn(error={"code": "max_output_tokens", "message": MARK}, field_of_nobody=MARK),
    "a turn with a text for an error": turn(error=MARK),
    "a session": session(error=MARK, metadata={"k": MARK}, required_actions=[{"arguments": {"x": MARK}}]),
    "a conversation": {"id": "conv_a", "object": "conversation", "created_at": 1, "metadata": {"k": MARK}},
    "an item of an unknown type": listed({"type": MARK, "id": "i1", MARK: MARK}),
}


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in BODIES.items()])
def test_no_words_stay_and_hiding_twice_is_hiding_once(body: Json) -> None:
    once = hide_list(json.dumps(body).encode(), "runs", KEY)
    assert MARK not in once.decode()
    assert hide_list(once, "runs", KEY) == once
    assert MARK not in repr(flatten([landed_answers(json.loads(once))]))


def test_what_counts_is_the_same_with_contents_hidden() -> None:
    # The title of what a browser did is a sentence, and hidden.
    items = [item for name, (items, _) in CALLS.items() for item in items if name != "computer_use_call"]
    answer = response(*items, usage=usage_of(written=10))
    hidden = json.loads(hide_list(json.dumps(answer).encode(), "runs", KEY))
    full, short = flatten([landed_answers(answer)]), flatten([landed_answers(hidden)])
    assert short["rejects"].is_empty()
    for table, columns in {
        "runs": ["run_id", "model", "service_tier", "status", "prompt_tokens", "cache_write_tokens", "created_at"],
        "tool_calls": ["call_index", "tool_call_id", "type", "name", "status", "server_label", "child_thread_id"],
        "file_search_results": ["call_index", "result_index", "file_id", "score"],
        "code_interpreter_outputs": ["call_index", "output_index", "type"],
    }.items():
        assert short[table].select(columns).rows() == full[table].select(columns).rows()
    errors = [frames["tool_calls"]["error"].is_null().to_list() for frames in (full, short)]
    assert errors[0] == errors[1]


def test_fees_are_the_same_with_contents_hidden(tmp_path: Path) -> None:
    items: list[Json] = [
        {"type": "web_search_call", "id": "w1", "action": {"type": "search", "query": MARK}},
        {"type": "web_search_call", "id": "w2", "action": {"type": "open_page", "url": MARK}},
        {"type": "code_interpreter_call", "id": "c", "container_id": "cntr_1", "code": MARK},
        {"type": "file_search_call", "id": "f", "queries": [MARK]},
    ]
    (tmp_path / "a.jsonl").write_bytes(lines_of([response(*items), [called(arguments=MARK), answered(output=MARK)]]))
    found = []
    for name, key in (("full", None), ("hidden", KEY)):
        request = ImportRequest([str(tmp_path / "a.jsonl")], "archive", tmp_path / name, content_key=key)
        run_import(request, progress=ImportProgress(), now=lambda: NOW)
        with looking_into(warehouse_path(tmp_path / name)) as connection:
            found.append(read_frame(connection, "select kind, quantity, fee_usd from tool_fees order by kind").rows())
    assert found[0] == found[1]
    assert [kind for kind, *_ in found[0]] == ["container_1gb_20_minutes", "file_search_call", "web_search_call"]
    assert find_marks(tmp_path / "hidden") == []
