"""Responses and turns in archives: every shape that people keep them in, and what completes them."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.verbs.archive_import import ImportRequest, import_archives
from pipeline.warehouse.checks import run_checks
from pipeline.warehouse.database import warehouse_path
from tests.answered import answered, called, listed, response, session, turn, usage_of
from tests.archived import exchange, import_here, lines_of, recording, run_object, step_object, write_json
from tests.attached import looking_into

Json = dict[str, Any]


def rows_of(data_dir: Path, query: str) -> list[tuple[Any, ...]]:
    with looking_into(warehouse_path(data_dir)) as connection:
        return connection.execute(query).fetchall()


RUNS = "select run_id, thread_id, protocol, status from runs order by run_id"
CALLS = "select run_id, call_index, name, output from tool_calls order by run_id, call_index"
ONE_RUN = [("resp_a", "conv_a", "responses", "completed")]


def event(name: str, **fields: Any) -> str:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n"


BATCH_LINE = {"id": "batch_req_1", "custom_id": "row-1", "response": {"status_code": 200, "body": response(called())}}


def shapes_of(name: str) -> dict[str, tuple[str, bytes]]:
    """A response of a conversation of its own in every shape, with the end of the file's name."""
    facts: Json = {"response_id": f"resp_{name}", "conversation": {"id": f"conv_{name}"}}
    whole = response(called(f"call_{name}"), **facts)
    begun = response(status="in_progress", output=[], usage=None, completed_at=None, **facts)
    stream = "".join(
        [
            event("response.created", response=begun),
            event("response.output_item.added", output_index=0, item=called(f"call_{name}")),
            event("response.function_call_arguments.delta", delta='{"town"'),
            event("response.completed", response=whole),
        ]
    )
    recorded_stream = {
        "request": {"method": "POST", "url": "https://api.example.com/v1/responses"},
        "response": {"status": 200, "content": {"mimeType": "text/event-stream", "text": stream}},
    }
    batch_line = {"id": "batch_req_1", "custom_id": "row-1", "response": {"status_code": 200, "body": whole}}
    webhook = {"object": "event", "type": "response.completed", "data": {"id": f"resp_{name}"}}
    return {
        "one object": ("json", json.dumps(whole, indent=1).encode()),
        "one object a line": ("jsonl", lines_of([whole])),
        "a list": ("json", json.dumps([whole]).encode()),
        "a list envelope": ("json", json.dumps(listed(whole)).encode()),
        "without what is always the same": (
            "json",
            json.dumps({k: v for k, v in whole.items() if k != "object"}).encode(),
        ),
        "a log": ("log.jsonl", lines_of([{"level": "info", "response": whole}])),
        "a text in a log": ("jsonl", lines_of([{"level": "info", "message": json.dumps(whole)}])),
        "behind other words": ("jsonl", b"2026-11-29 INFO done " + lines_of([whole])),
        "a stream": ("json", stream.encode()),
        "a batch output": ("jsonl", lines_of([batch_line])),
        "a recording": ("har", json.dumps(recording(exchange(f"/responses/resp_{name}", whole))).encode()),
        "a recorded stream": ("har", json.dumps(recording(recorded_stream)).encode()),
        "a webhook beside it": ("jsonl", lines_of([webhook, whole])),
    }


SHAPES = list(shapes_of("a"))


@pytest.fixture(scope="module")
def every_shape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of one import of all shapes, each of a response of its own."""
    folder = tmp_path_factory.mktemp("shapes")
    files = []
    for number, shape in enumerate(SHAPES):
        suffix, body = shapes_of(str(number))[shape]
        files.append(folder / f"{number}.{suffix}")
        files[-1].write_bytes(body)
    progress = import_here(folder / "data", *files)
    assert (progress.unrecognised, progress.items_alone) == (0, 0)
    with looking_into(warehouse_path(folder / "data")) as connection:
        assert list(run_checks(connection)) == []
    assert rows_of(folder / "data", "select count(*) from runs") == [(len(SHAPES),)]
    return folder / "data"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_response_is_found_in_every_shape_that_people_keep_it_in(every_shape: Path, shape: str) -> None:
    name = SHAPES.index(shape)

    [row] = rows_of(
        every_shape,
        "select runs.run_id, runs.thread_id, runs.protocol, runs.status, is_batch, call_index, name, output"
        f" from runs inner join tool_calls using (source, thread_id, run_id) where run_id = 'resp_{name}'",
    )

    is_batch = True if shape == "a batch output" else None
    assert row == (f"resp_{name}", f"conv_{name}", "responses", "completed", is_batch, 0, "tide", None)


TURN_ITEMS = [{**called(), "turn_id": "turn_a"}, {**answered(), "turn_id": "turn_a"}]
TURNS = {
    "lists": [session(), listed(turn()), listed(*TURN_ITEMS, last_id="cursor")],
    "items first": [listed(*TURN_ITEMS[::-1]), turn(), session()],
    "one object each": [*TURN_ITEMS, turn(), session()],
    "a recording": [
        recording(
            exchange(
                "/agents/sessions/sess_a/turns/turn_a/items?after=x", listed(called(), answered(), last_id="cursor")
            ),
            exchange("/agents/sessions/sess_a/turns", listed(turn(session_id=None))),
            exchange("/agents/sessions/sess_a", session()),
        )
    ],
}


@pytest.mark.parametrize("objects", [pytest.param(objects, id=key) for key, objects in TURNS.items()])
def test_a_turn_has_the_items_and_the_model_that_stand_beside_it(tmp_path: Path, objects: list[Json]) -> None:
    files = [write_json(tmp_path / f"{number}.json", each) for number, each in enumerate(objects)]
    assert import_here(tmp_path / "data", *files).items_alone == 0
    assert rows_of(tmp_path / "data", "select run_id, thread_id, protocol, model from runs") == [
        ("turn_a", "sess_a", "agents", "gpt-5.4")
    ]
    assert rows_of(tmp_path / "data", CALLS) == [("turn_a", 0, "tide", "high at noon")]


def asking(sent: Json, answer: Json) -> Json:
    """A request for a response in a HAR, with what was put into it."""
    entry = exchange("/responses", answer)
    return entry | {"request": {**entry["request"], "method": "POST", "postData": {"text": json.dumps(sent)}}}


def in_cassette(sent: Json, answer: Json) -> Json:
    """The same as VCR.py keeps it."""
    return {
        "request": {"method": "POST", "uri": "https://api.example.com/v1/responses", "body": json.dumps(sent)},
        "response": {"status": {"code": 200}, "body": {"string": json.dumps(answer)}},
    }


def completing(name: str) -> dict[str, Any]:
    """What tells of an output of a response of a conversation of its own, in each way."""
    call, output = called(f"call_{name}"), answered(f"call_{name}")
    message = {"type": "message", "role": "user", "content": "hi"}
    in_conversation = exchange(f"/conversations/conv_{name}/items", listed(output, call))
    following = response(response_id=f"resp_next_{name}", conversation=None, previous_response_id=f"resp_{name}")
    sending = {"previous_response_id": f"resp_{name}", "input": [message, output]}
    repeating = {"conversation": {"id": f"conv_{name}"}, "input": [message, call, output]}
    as_input = exchange(f"/responses/resp_next_{name}/input_items?order=asc", listed(call, output))
    return {
        "conversation items": listed(output, call, {"type": "message", "id": "m", "role": "user", "content": []}),
        "an input list": [message, call, output],
        "recorded conversation items": recording(in_conversation),
        "recorded input": recording(as_input),
        "a recorded request": recording(asking(sending, following)),
        "a request that repeats all before": recording(asking(repeating, following)),
        "a cassette's request": {"interactions": [in_cassette(sending, following)]},
        "an item alone": output,
        "a fake id": [{**output, "id": "__fake_id__"}],
        "no id": [{**output, "id": None}],
    }


COMPLETING = list(completing("a"))


@pytest.fixture(scope="module", params=["0", "z"], ids=["items first", "items last"])
def completed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of one import of responses and of what completes each, before or after it."""
    folder = tmp_path_factory.mktemp("completed")
    files = []
    for number, kind in enumerate(COMPLETING):
        facts: Json = {"response_id": f"resp_{number}", "conversation": {"id": f"conv_{number}"}}
        files += [
            write_json(folder / f"{request.param}{number}.json", completing(str(number))[kind]),
            write_json(folder / f"a{number}.json", response(called(f"call_{number}"), **facts)),
        ]
    assert import_here(folder / "data", *files).items_alone == 0
    return folder / "data"


@pytest.mark.parametrize("kind", COMPLETING)
def test_items_complete_the_calls_of_the_responses_that_come_with_them(completed: Path, kind: str) -> None:
    calls = f"select call_index, name, output from tool_calls where run_id = 'resp_{COMPLETING.index(kind)}'"

    assert rows_of(completed, calls) == [(0, "tide", "high at noon")]


def test_items_alone_are_named_and_come_in_with_their_responses_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = write_json(tmp_path / "items.json", listed(answered(), called()))
    request = ImportRequest([str(items)], "archive", tmp_path / "data")
    assert import_archives(request, quiet=False, as_json=False, log_format="text") == 4
    assert "left out: 2 items without usage" in capsys.readouterr().err
    import_here(tmp_path / "data", items, write_json(tmp_path / "a.json", response(called())))
    assert rows_of(tmp_path / "data", CALLS) == [("resp_a", 0, "tide", "high at noon")]


def test_what_was_sent_for_a_call_that_is_not_here_is_no_loss(tmp_path: Path) -> None:
    sent = {"input": [answered()], "previous_response_id": "resp_before"}
    har = write_json(tmp_path / "a.har", recording(asking(sent, response(previous_response_id="resp_before"))))
    progress = import_here(tmp_path / "data", har)
    assert (progress.items_alone, progress.unrecognised) == (0, 0)


def test_an_id_that_several_chains_use_for_a_call_tells_nothing_by_itself(tmp_path: Path) -> None:
    """Gateways use the ids of calls again."""
    both = [response(called(), response_id=name, conversation=None) for name in ("resp_a", "resp_b")]
    files = [write_json(tmp_path / "a.json", both), write_json(tmp_path / "b.json", [answered()])]
    assert import_here(tmp_path / "data", *files).items_alone == 1
    assert [output for *_, output in rows_of(tmp_path / "data", CALLS)] == [None, None]


def test_a_list_of_one_response_tells_whose_its_outputs_are(tmp_path: Path) -> None:
    both = [response(called(), response_id=name, conversation=None) for name in ("resp_a", "resp_b")]
    items = listed(called() | {"response_id": "resp_b"}, answered())
    files = [write_json(tmp_path / "a.json", both), write_json(tmp_path / "b.json", items)]
    assert import_here(tmp_path / "data", *files).items_alone == 0
    assert [output for *_, output in rows_of(tmp_path / "data", CALLS)] == [None, "high at noon"]


def test_requests_of_a_batch_that_failed_are_left_out_and_counted(tmp_path: Path) -> None:
    refused = {"error": {"message": "bad", "type": "invalid_request_error"}}
    lines = [
        BATCH_LINE,
        {"id": "b2", "custom_id": "r2", "response": {"status_code": 400, "body": refused}, "error": None},
        {"id": "b3", "custom_id": "r3", "response": None, "error": {"code": "batch_expired", "message": "late"}},
        {"id": "b4", "custom_id": "r4", "response": {"body": {"object": "chat.completion", "id": "chatcmpl_1"}}},
    ]
    (tmp_path / "out.jsonl").write_bytes(lines_of(lines))
    progress = import_here(tmp_path / "data", tmp_path / "out.jsonl")
    assert (progress.runs, progress.left_out, progress.unrecognised) == (1, 3, 0)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_response_that_is_known_from_a_batch_too_was_batched(tmp_path: Path, order: tuple[int, int]) -> None:
    files = [write_json(tmp_path / "a.json", response(called())), tmp_path / "b.jsonl"]
    files[1].write_bytes(lines_of([BATCH_LINE]))
    for index in order:
        import_here(tmp_path / "data", files[index])
    assert rows_of(tmp_path / "data", "select run_id, is_batch from runs") == [("resp_a", True)]


def test_assistants_and_their_successors_stand_in_one_archive(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    path.write_bytes(lines_of([run_object(), step_object("step_1"), response(called()), turn()]))
    progress = import_here(tmp_path / "data", path)
    assert (progress.runs, progress.steps) == (3, 1)
    assert rows_of(tmp_path / "data", "select protocol, count(*) from runs group by protocol order by 1") == [
        ("agents", 1), ("assistants", 1), ("responses", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("known", "word"),
    [
        (response(id=None), "a response without an id"),
        (turn(session_id=None), "a turn that does not say of which session"),
    ],
)
def test_what_cannot_be_kept_is_named(tmp_path: Path, known: Json, word: str) -> None:
    progress = import_here(tmp_path / "data", write_json(tmp_path / "a.json", known))
    assert [place for archive in progress.archives for place in archive.first_unrecognised] == [f"$: {word}"]


def test_the_same_import_twice_and_a_newer_state_leave_one_run(tmp_path: Path) -> None:
    early = response(called(), status="in_progress", usage=None, completed_at=None)
    files = [write_json(tmp_path / "a.json", early), write_json(tmp_path / "b.json", response(called()))]
    for paths in ([files[1]], [files[0]], files):
        import_here(tmp_path / "data", *paths)
    assert rows_of(tmp_path / "data", RUNS) == ONE_RUN
    assert rows_of(tmp_path / "data", "select step_id, prompt_tokens from run_steps") == [("resp_a#1", 1000)]


def test_a_list_that_goes_on_where_the_archive_ends_is_told(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", listed(turn(), has_more=True))
    import_here(tmp_path / "data", path)
    assert rows_of(tmp_path / "data", "select thread_id, resource, how, at_id from cut_lists") == [
        ("sess_a", "runs", "older_missing", "turn_a")
    ]


def test_items_of_an_unknown_type_are_counted(tmp_path: Path) -> None:
    known = {"type": "web_search_call", "id": "w1", "action": {"type": "search", "query": "tides"}}
    dreams = [{"type": "dream_weaving", "id": f"i{number}", "depth": number} for number in range(2)]
    path = write_json(tmp_path / "a.json", response(known, called(), *dreams))
    assert import_here(tmp_path / "data", path).unrecognised == 0
    with looking_into(warehouse_path(tmp_path / "data")) as connection:
        [finding] = run_checks(connection)
    assert (finding.name, finding.level, finding.rows) == ("unknown_item_types", "warn", 1)
    assert "dream_weaving" in finding.message


def test_usage_that_is_null_is_not_zero(tmp_path: Path) -> None:
    import_here(tmp_path / "data", write_json(tmp_path / "a.json", response(usage=None)))
    assert rows_of(tmp_path / "data", "select prompt_tokens, cost_usd from step_costs") == [(None, None)]


def test_what_a_response_cost_is_at_its_tier(tmp_path: Path) -> None:
    usage = usage_of(1_000_000, 0, cached=0)
    import_here(tmp_path / "data", write_json(tmp_path / "a.json", response(usage=usage, service_tier="flex")))
    [(tier, is_known)] = rows_of(tmp_path / "data", "select tier, tier_is_known from step_costs")
    assert (tier, is_known) == ("flex", True)
