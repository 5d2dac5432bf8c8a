"""What the envelope of a list says of itself, and what is made of it."""

import json

import pytest

from pipeline.protocol.list_heads import ListReader, decode_list

RUN = {"id": "run_1", "object": "thread.run"}


@pytest.mark.parametrize("beside", [{"message": "busy"}, {"partial": True}, {"warnings": ["x"]}, {"detail": {"a": 1}}])
def test_an_empty_list_with_a_remark_beside_it_is_asked_for_again(beside: dict[str, object]) -> None:
    # What raises is a bad body, which may be a good one in a moment.
    with pytest.raises(ValueError, match="an empty list that is doubtful"):
        ListReader().decode(json.dumps({"data": [], **beside}).encode())


def test_what_stands_beside_a_list_is_repeated_only_where_a_server_may_be_quoted() -> None:
    beside = {"message": "Mr Smith's data are not there", "code": 503}
    head = decode_list(json.dumps({"data": [RUN], **beside}).encode())

    loud, silent = (ListReader(frozenset({"code"}), quotes=quotes).doubt_of(head) for quotes in (True, False))

    assert loud is not None
    assert silent is not None
    assert "Smith" in loud
    assert "Smith" not in silent
    assert "message" in silent


@pytest.mark.parametrize(
    ("body", "word"),
    [(b"\n<!DOCTYPE html><html>", "a web page"), (b"<?xml?>", "a web page"), (b" \n", "empty"), (b"{", "truncated")],
)
def test_what_is_no_json_is_told_as_what_it_is(body: bytes, word: str) -> None:
    with pytest.raises(ValueError, match=rf"the body is not a list of the protocol \(.*{word}"):
        decode_list(body)


@pytest.mark.parametrize("items", [1, 100])
@pytest.mark.parametrize("last", ["[]", "[ ]", "null"])
def test_a_list_whose_data_stand_twice_the_last_time_empty_is_none(items: int, last: str) -> None:
    body = json.dumps({"object": "list", "data": [RUN] * items})[:-1] + f', "data": {last}, "has_more": false}}'

    with pytest.raises(ValueError, match=r"twice, the last time empty|not a list"):
        decode_list(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": [], "first_id": None, "last_id": None, "has_more": False},
        {"data": [RUN | {"metadata": {"data": [1], "x": '"data"'}}], "has_more": False},
        {"data": [], "meta": {"data": [1]}},
    ],
)
def test_other_data_in_it_are_no_second_list(body: dict[str, object]) -> None:
    assert len(decode_list(json.dumps(body).encode()).data) == len(body["data"])  # type: ignore[arg-type]
