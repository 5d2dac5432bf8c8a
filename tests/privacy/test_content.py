"""What stays of runs and steps where contents are hidden, and what stands in a text's place."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.emulator import generate_corpus
from pipeline.flatten.frames import flatten
from pipeline.privacy.content import hide_list, hide_object, hide_walk
from pipeline.privacy.hiding import ContentKey
from pipeline.protocol.pages import Resource, Walk
from tests.landed import landed_walk, run_of, step_of
from tests.marked import MARK, mark_object

KEY = ContentKey(b"marker-key-marker-key-marker-key")
Json = dict[str, Any]


def token(text: str, flag: str = "") -> str:
    """What stands for a text, computed from the definition."""
    digest = hmac.new(KEY.value, text.encode(), hashlib.sha256).hexdigest()
    return f"hmac:{digest[:32]}:{len(text.encode())}{flag}"


def hidden_step(**fields: Any) -> Json:
    shown: Json = json.loads(hide_object(json.dumps(step_of("step_1", **fields)).encode(), "steps", KEY))
    return shown


def hidden_call(call: Json) -> Json:
    shown: Json = hidden_step(step_details={"type": "tool_calls", "tool_calls": [call]})
    found: Json = shown["step_details"]["tool_calls"][0]
    return found


def test_a_text_becomes_the_beginning_of_its_keyed_hash_and_its_size_in_bytes() -> None:
    call = hidden_call({"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "Größe"}})

    assert call == {
        "id": "call_1",
        "type": "function",
        "function": {"name": "look_up", "arguments": token("Größe")},
    }
    assert token("Größe").endswith(":7")


def test_another_key_gives_other_hashes_and_another_fingerprint() -> None:
    other = ContentKey(b"other-key-other-key-other-key-32")

    assert other.hide("text") != KEY.hide("text")
    assert other.fingerprint != KEY.fingerprint
    assert "marker" not in repr(KEY) + KEY.fingerprint


def test_metadata_keeps_its_keys_and_hides_every_value() -> None:
    shown = hidden_step(metadata={"customer": "northwind", "seats": 42, "nothing": None, "empty": ""})

    assert shown["metadata"] == {"customer": token("northwind"), "seats": token("42"), "nothing": None, "empty": ""}


def test_fields_that_nobody_knows_keep_numbers_and_hide_texts_and_whole_objects() -> None:
    shown = hidden_step(new_number=5, new_flag=True, new_text="secret", new_object={"secret": "x"}, new_list=[])

    assert shown[token("new_number")] == 5
    assert shown[token("new_flag")] is True
    assert shown[token("new_text")] == token("secret")
    assert shown[token("new_object")] == token('{"secret":"x"}')
    assert shown[token("new_list")] == []


def test_usage_keeps_its_numbers_also_those_that_nobody_knows() -> None:
    usage = {"prompt_tokens": 5, "prompt_token_details": {"cached_tokens": 1, "audio_tokens": 2}, "note": "secret"}

    usage_shown = {name: value for name, value in usage.items() if name != "note"}
    assert hidden_step(usage=usage)["usage"] == {**usage_shown, token("note"): token("secret")}


@pytest.mark.parametrize(
    ("output", "flag"),
    [
        ("fine", ""),
        ('{"error": null, "rows": 3}', ""),
        ('{"error": []}', ""),
        ('{"error": "no such order"}', ":error"),
        (' {"error": {"code": 1}}', ":error"),
        ('["error"]', ""),
    ],
)
def test_an_output_that_tells_of_an_error_says_so_behind_its_hash(output: str, flag: str) -> None:
    call = hidden_call({"type": "function", "function": {"name": "look_up", "output": output}})

    assert call["function"]["output"] == token(output, flag)


def test_logs_with_a_traceback_say_so_and_empty_ones_are_hidden_as_well() -> None:
    failed = "Traceback (most recent call last):\nZeroDivisionError"
    outputs = [{"type": "logs", "logs": ""}, {"type": "logs", "logs": failed}]

    call = hidden_call({"type": "code_interpreter", "code_interpreter": {"input": "1/0", "outputs": outputs}})

    logs = [output["logs"] for output in call["code_interpreter"]["outputs"]]
    assert logs == [token(""), token(failed, ":traceback")]
    assert call["code_interpreter"]["input"] == token("1/0")


def test_what_a_file_search_found_keeps_files_and_scores() -> None:
    found = {"file_id": "file_1", "file_name": "a.pdf", "score": 0.5, "content": [{"type": "text", "text": "secret"}]}

    call = hidden_call({"type": "file_search", "file_search": {"results": [found]}})

    [shown] = call["file_search"]["results"]
    assert (shown["file_id"], shown["score"]) == ("file_1", 0.5)
    assert shown["file_name"] == token("a.pdf")
    assert shown["content"] == [{"type": "text", "text": token("secret")}]


def test_a_tool_that_nobody_knows_keeps_its_name_and_children_and_hides_the_rest() -> None:
    fields = {"name": "agent", "input": "secret", "thread_id": "thread_2", "run_id": "run_2", "note": "secret"}

    call = hidden_call({"type": "quark_search", "quark_search": fields})

    known = {**fields, "input": token("secret")}
    del known["note"]
    # The field still has the name of the type, so that its columns are found.
    assert call == {"type": token("quark_search"), token("quark_search"): {**known, token("note"): token("secret")}}


@pytest.mark.parametrize(
    "body", [b"no JSON at all", b'{"data": [', b"\xff\xfe", b'["a list"]', b'{"data":' + b"[" * 5000]
)
def test_a_body_that_cannot_be_read_is_hidden_whole_and_lands_as_one_reject(body: bytes) -> None:
    shown = hide_list(body, "steps", KEY)

    assert json.loads(shown) == token(body.decode("utf-8", errors="replace"))


def test_an_item_that_cannot_be_read_is_hidden_and_its_neighbours_stay() -> None:
    body = b' {"object":"list","data":["text",{"id":"step_1","type":{"a":"text"}},{"id":"step_\\ud800"}]} '

    shown = json.loads(hide_list(body, "steps", KEY))

    assert shown["data"] == [token("text"), {"id": "step_1", "type": [token('{"a":"text"}')]}, {"id": "step_\ufffd"}]


def test_a_hidden_record_is_rejected_in_the_same_fields_without_its_texts() -> None:
    broken = run_of("run_1", instructions={"text": MARK}, usage=MARK, created_at=MARK, last_error=[MARK])
    full = landed_walk([broken])
    hidden = landed_walk([json.loads(hide_object(json.dumps(broken).encode(), "runs", KEY))])

    paths = [flatten([walk])["rejects"]["json_path"].to_list() for walk in (full, hidden)]

    assert paths[0] == paths[1] == ["$.data[0].created_at", "$.data[0].last_error", "$.data[0].instructions",
                                    "$.data[0].usage"]  # fmt: skip
    assert MARK not in repr(flatten([hidden]))


def test_hiding_twice_is_hiding_once_for_every_object_of_an_account() -> None:
    for thread in generate_corpus(threads=12).threads:
        for run in thread.runs:
            items = [("runs", run.item), *(("steps", step) for step in run.steps[:20])]
            for resource, item in items:
                body = json.dumps(mark_object(json.loads(item.body))).encode()
                once = hide_object(body, resource, KEY)  # type: ignore[arg-type]
                assert MARK not in once.decode()
                assert hide_object(once, resource, KEY) == once  # type: ignore[arg-type]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.just(MARK) | st.just(""),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["id", "type", "function", "name", "arguments", "output", "step_details", "tool_calls", "data",
                         "usage", "metadata", "instructions", "last_error", "message", "outputs", "logs", "x"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
NAMES = {"id", "name", "model"}


def unnamed_marks(value: Any, name: str = "") -> int:
    """Marks that stand where no name belongs."""
    if isinstance(value, dict):
        return sum(unnamed_marks(child, key) for key, child in value.items())
    if isinstance(value, list):
        return sum(unnamed_marks(child) for child in value)
    return int(isinstance(value, str) and MARK in value and name not in NAMES)


@given(st.dictionaries(st.sampled_from(["step_details", "metadata", "usage", "last_error", "data", "x"]), VALUES))
def test_no_text_stays_but_where_a_name_belongs_whatever_shape_a_step_has(step: Json) -> None:
    once = hide_object(json.dumps(step).encode(), "steps", KEY)

    assert unnamed_marks(json.loads(once)) == 0
    assert hide_object(once, "steps", KEY) == once


WORDS = [f"sorry, {MARK} cannot be served", f"{MARK}_is_ill", f"{MARK.title()}Error", f"Gr\u00f6\u00dfe {MARK}"]
PLACES: list[tuple[str, Callable[[str], Json]]] = [
    ("code of an error", lambda word: {"last_error": {"code": word, "message": "no"}}),
    ("code of an error in a text", lambda word: {"last_error": json.dumps({"code": word})}),
    ("state", lambda word: {"status": word}),
    ("type", lambda word: {"type": word}),
    ("kind of object", lambda word: {"object": word}),
    ("why it is incomplete", lambda word: {"incomplete_details": {"reason": word}}),
    ("name of a field", lambda word: {word: 1}),
    ("name of a field of an error", lambda word: {"last_error": {word: 1}}),
    ("name of a count", lambda word: {"usage": {"prompt_tokens": 1, word: {word: 2}}}),
    ("effort", lambda word: {"reasoning_effort": word}),
    ("choice of a tool", lambda word: {"tool_choice": word}),
    ("form of the answer", lambda word: {"response_format": {"type": word}}),
    ("what is waited for", lambda word: {"required_action": {"type": word, word: {}}}),
    ("type of a call", lambda word: {"step_details": {"tool_calls": [{"type": word, word: {word: 1}}]}}),
    ("in the style of another SDK", lambda word: {"stepDetails": {"type": word, word: 0}, "lastError": {"Code": word}}),
    ("around an instant", lambda word: {"created_at": f"Mon, 1 Jan 2024 10:00:00 GMT ({word})"}),
    ("key of metadata", lambda word: {"metadata": {f"{word} {'and so on ' * 7}": 1}}),
]

ITEM = {"id": "item_1", "thread_id": "thread_1", "run_id": "run_1"}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("fields", [fields for _, fields in PLACES], ids=[place for place, _ in PLACES])
@pytest.mark.parametrize("resource", ["runs", "steps"])
def test_words_of_a_server_stay_nowhere_that_the_protocol_has_words_of_its_own(
    resource: Resource, fields: Callable[[str], Json], word: str
) -> None:
    body = json.dumps({**ITEM, **fields(word)}, ensure_ascii=False).encode()

    once = hide_object(body, resource, KEY)

    assert MARK not in once.decode().lower()
    assert "hmac:" in once.decode()
    assert hide_object(once, resource, KEY) == once
    assert MARK not in repr(flatten([landed_walk([json.loads(once)])])).lower()


@pytest.mark.parametrize("name", ["assistant_id", "thread_id", "run_id", "model"])
def test_what_should_be_an_id_and_is_a_sentence_is_hidden(name: str) -> None:
    shown = json.loads(hide_object(json.dumps({"id": "run_1", name: f"{MARK} is away"}).encode(), "runs", KEY))

    assert shown[name] == token(f"{MARK} is away")


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("status", ["queued", "requires_action", "InProgress", "COMPLETED"]),
        ("object", ["thread.run", "thread.run.step"]),
        ("last_error", [{"code": "rate_limit_exceeded"}, {"Code": "serverError"}]),
        ("created_at", ["2024-05-01T10:00:00Z", "Mon, 01 Jan 2024 10:00:00 GMT", {"$date": "2024-05-01T10:00:00Z"}]),
        ("usage", [{"prompt_tokens": {"$numberLong": "5"}, "outputTokens": 4}]),
        ("metadata", [{"a customer": ""}]),
    ],
)
def test_what_the_protocol_publishes_stays_in_every_spelling(field: str, words: list[Any]) -> None:
    for word in words:
        assert hidden_step(**{field: word})[field] == word


def test_a_thread_that_was_asked_for_stays_whatever_its_id_looks_like() -> None:
    landed = landed_walk([step_of("step_1", thread_id="my thread", run_id="my run")])
    asked = msgspec.structs.replace(landed.certificate, thread_id="my thread", run_id="my run")

    [page] = hide_walk(Walk(asked, landed.pages), KEY).pages

    assert b'"my thread"' in page.body
    assert b'"my run"' in page.body


@pytest.mark.parametrize("field", ["request_id", "cursor"])
def test_a_header_or_a_cursor_that_is_a_sentence_is_hidden(field: str) -> None:
    landed = landed_walk([step_of("step_1", thread_id="thread_1", run_id="run_1")])
    pages = [msgspec.structs.replace(page, **{field: f"{MARK} says hello"}) for page in landed.pages]

    [page] = hide_walk(Walk(landed.certificate, pages), KEY).pages

    assert getattr(page, field) == token(f"{MARK} says hello")


def test_a_certificate_does_not_repeat_a_state_that_nobody_published() -> None:
    landed = landed_walk([step_of("step_1", thread_id="thread_1", run_id="run_1")])
    certificate = msgspec.structs.replace(landed.certificate, run_status=f"{MARK} waits")

    assert hide_walk(Walk(certificate, landed.pages), KEY).certificate.run_status == token(f"{MARK} waits")


def test_a_walk_keeps_its_certificate_and_hides_its_pages() -> None:
    landed = landed_walk([step_of("step_1", thread_id="thread_1", run_id="run_1", metadata={"a": MARK})])
    walk = hide_walk(Walk(landed.certificate, landed.pages), KEY)

    assert walk.certificate == landed.certificate
    assert [page.request_id for page in walk.pages] == [page.request_id for page in landed.pages]
    assert MARK.encode() not in walk.pages[0].body
