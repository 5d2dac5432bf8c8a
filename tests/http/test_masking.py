"""A key that a server repeats is in nothing that it sent, however it spells it; what only looks like one stays."""

import json
from urllib.parse import quote

import pytest

from pipeline.http.masking import mask_body, mask_text
from pipeline.http.retrying import RetryPolicy
from tests.asking import ask
from tests.scripted_server import error_body, list_body, reply

KEY = "sk-marker/key+with=signs&more"
BODIES = {
    "as it is": json.dumps({"metadata": {"authorization": f"Bearer {KEY}"}}),
    "in a longer text": json.dumps({"instructions": f"call with {KEY}, twice: {KEY}{KEY}"}),
    "as a name": json.dumps({KEY: 1}),
    "in JSON in JSON": json.dumps({"arguments": json.dumps({"key": KEY})}),
    "slashes escaped": json.dumps({"key": KEY}).replace("/", "\\/"),
    "signs escaped": "".join(sign if sign.isalnum() or sign == "-" else f"\\u{ord(sign):04x}" for sign in KEY),
    "signs escaped in capitals": "".join(
        sign if sign.isalnum() or sign in "-/=" else f"\\u{ord(sign):04X}" for sign in KEY
    ),
    "in a URL": f"https://h/v1?api-key={quote(KEY, safe='')}",
    "in a path": f"https://h/{quote(KEY)}/v1",
}


@pytest.mark.parametrize("spelling", BODIES)
def test_a_key_in_a_body_is_masked_however_it_is_spelled(spelling: str) -> None:
    masked = mask_body(BODIES[spelling].encode(), [KEY])

    assert b"[secret]" in masked
    assert b"marker" not in masked


@pytest.mark.parametrize("key", ["ollama", "EMPTY", "x", "1", "123456789012", "sk-1234"])
def test_what_could_be_a_word_or_a_number_is_masked_only_where_it_stands_as_a_key(key: str) -> None:
    body = json.dumps({"model": key, "created_at": 123456789012, "echo": f"Bearer {key}"}).encode()

    assert json.loads(mask_body(body, [key])) == {
        "model": key,
        "created_at": 123456789012,
        "echo": "Bearer [secret]",
    }


def test_of_two_keys_the_longer_goes_first() -> None:
    assert mask_text("req sk-marker-key-2-long", ["sk-marker-key", "sk-marker-key-2-long"]) == "req [secret]"


def test_a_body_without_a_key_is_the_same_object() -> None:
    body = b'{"data": []}'

    assert mask_body(body, [KEY]) is body


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, list_body(f"run {KEY}"), {"x-request-id": f"req-{KEY}"}),
        reply(401, error_body(message=f"Incorrect API key provided: {KEY}")),
        reply(400, error_body(message=f"what is {KEY}?", code=KEY)),
        reply(302, b"", {"Location": f"https://{KEY}.example/"}),
        reply(200, f"no JSON: {KEY}"),
    ],
)
def test_nothing_that_a_client_gives_has_the_key(answer: bytes) -> None:
    outcome = ask(answer, secrets=(KEY,), policy=RetryPolicy(attempts=1))

    assert "marker" not in f"{outcome.answer} {outcome.error}"
