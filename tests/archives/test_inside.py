"""What is inside a document is found: nested in what is known, in wrappers, in logs, in streams, in recordings."""

import base64
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.archives.files import find_archives
from pipeline.archives.shapes.content import Content, Context, Found, LeftOut, Listed, Unrecognised
from pipeline.archives.shapes.objects import read_content
from tests.archived import (
    JsonObject,
    envelope,
    exchange,
    import_here,
    lines_of,
    recording,
    run_object,
    step_object,
    write_json,
)
from tests.syncs import read_all

RUN = run_object()
STEPS = [step_object("step_a", at=1), step_object("step_b", at=2), step_object("step_c", at=3)]
BARE_STEPS = [{name: value for name, value in step.items() if name not in ("object", "run_id")} for step in STEPS]
BARE_RUN = {name: value for name, value in RUN.items() if name != "object"}
STEPS_PATH = "/threads/thread_1/runs/run_1/steps"


def content_of(value: Any) -> list[Content]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return list(read_content(body, Context("$")))


def found_in(contents: Sequence[Content]) -> set[tuple[str, str | None]]:
    assert [str(content) for content in contents if isinstance(content, Unrecognised)] == []
    return {(content.object_id, content.run_id) for content in contents if isinstance(content, Found)}


ALL = {("run_1", None), ("step_a", "run_1"), ("step_b", "run_1"), ("step_c", "run_1")}
NESTED: dict[str, Any] = {
    "steps in a run": RUN | {"steps": STEPS},
    "steps of a run that do not say what they are": RUN | {"steps": BARE_STEPS},
    "a list of steps in a run": RUN | {"run_steps": envelope(STEPS)},
    "steps in a run of an SDK": RUN | {"runSteps": STEPS},
    "a run in each of its steps": [step | {"run": RUN} for step in STEPS],
    "runs in a thread": {"id": "thread_1", "object": "thread", "runs": [RUN | {"steps": STEPS}]},
    "runs in a thread that do not say what they are": {
        "id": "thread_1", "object": "thread", "runs": [BARE_RUN | {"steps": BARE_STEPS}],
    },
    "beside the items of a list": envelope([RUN]) | {"steps": STEPS, "error": None},
    "in the fields of an export": {"exported_at": "2026-01-01", "run": RUN, "messages": [], "run_steps": STEPS},
    "beside a run that tells whose they are": {"run": BARE_RUN, "steps": BARE_STEPS},
    "by the ids of runs": {"runs": {"run_1": {"run": RUN, "steps": STEPS}}},
    "under the name of a client's page": {"value": [RUN, *STEPS], "Count": 4},
    "with error null": {"ok": True, "error": None, "result": [RUN, *STEPS]},
    "deep": {"a": {"b": [{"c": {"d": [RUN, *STEPS]}}]}},
    "in texts of JSON": [json.dumps(RUN), {"payload": json.dumps(STEPS)}],
    "log records": [{"level": "info", "msg": "x"}, {"level": "info", "payload": RUN}, {"level": "info", "data": STEPS}],
}  # fmt: skip


@pytest.mark.parametrize("shape", NESTED)
def test_runs_and_steps_are_found_wherever_they_are_nested(shape: str) -> None:
    assert found_in(content_of(NESTED[shape])) == ALL


@pytest.mark.parametrize("shape", ["steps in a run", "a list of steps in a run", "steps in a run of an SDK"])
def test_a_run_is_the_same_as_one_that_holds_no_steps(shape: str) -> None:
    [run] = [each for each in content_of(NESTED[shape]) if isinstance(each, Found) and each.resource == "runs"]

    assert json.loads(run.body) == RUN


@pytest.mark.parametrize(
    "value",
    [
        {"settings": {"steps": 5, "run_id": "x"}},
        {"id": "x", "run_id": "y"},
        [{"name": "x"}],
        {"steps": "thread.run"},
    ],
)
def test_an_object_with_neither_run_nor_step_in_it_is_named(value: Any) -> None:
    [place] = [content for content in content_of(value) if not isinstance(content, Found)]

    assert isinstance(place, Unrecognised)


def test_what_a_message_says_is_no_object_and_a_message_without_a_name_is_no_step() -> None:
    said = {"id": "msg_1", "object": "thread.message", "content": [{"text": {"value": json.dumps(RUN)}}]}
    nameless = {"id": "msg_2", "thread_id": "t", "run_id": "r", "assistant_id": "a", "role": "assistant", "content": []}

    assert [type(content) for content in content_of(said)] == [LeftOut]
    assert not any(isinstance(content, Found) for content in content_of([nameless]))


def test_a_broken_step_in_a_wrapper_is_named() -> None:
    contents = content_of({"run": RUN, "steps": [STEPS[0] | {"id": None}]})

    assert [str(each) for each in contents if isinstance(each, Unrecognised)] == ["$.steps[0]: a step without an id"]


def events(items: Sequence[JsonObject]) -> str:
    return "".join(f"event: {item['object']}.completed\ndata: {json.dumps(item)}\n\n" for item in items)


PRETTY = "".join(f"data: {line}\n" for line in json.dumps(RUN, indent=1).splitlines()) + "\n" + events(STEPS)
TEXTS: dict[str, bytes] = {
    "events of a stream": f"{events([RUN, *STEPS])}data: [DONE]\n\n".encode(),
    "events of a stream, data first": f": ping\n{events([RUN, *STEPS]).partition(chr(10))[2]}".encode(),
    "events over several lines": PRETTY.encode(),
    "log lines with a prefix": b"".join(b"2025-07-01 12:00:00,123 INFO got: " + lines_of([x]) for x in [RUN, *STEPS]),
    "log lines with a level in brackets": b"".join(b"[INFO] [main] " + lines_of([x]) for x in [RUN, *STEPS]),
    "log lines among words": b"Starting export\n"
    + b"".join(b"INFO " + lines_of([x]) + b"done, thanks\n" for x in [RUN, *STEPS]),
    "log lines with words behind": b"".join(b"INFO " + lines_of([x])[:-1] + b" (1 of 4)\n" for x in [RUN, *STEPS]),
    "UTF-16 with a mark": json.dumps([RUN, *STEPS]).encode("utf-16"),
    "UTF-16 without a mark": json.dumps([RUN, *STEPS]).encode("utf-16-le"),
    "UTF-16, big end first": json.dumps([RUN, *STEPS], indent=2).encode("utf-16-be"),
    "UTF-16 lines": lines_of([RUN, *STEPS]).decode().replace("\n", "\r\n").encode("utf-16"),
    "UTF-32": json.dumps([RUN, *STEPS]).encode("utf-32"),
    "packed UTF-16": gzip.compress(json.dumps([RUN, *STEPS]).encode("utf-16")),
    "lines with NaN": lines_of([RUN | {"failed_at": float("nan")}, *STEPS]),
    "a list with Infinity": json.dumps([RUN | {"failed_at": float("-inf")}, *STEPS], indent=1).encode(),
}  # fmt: skip


@pytest.mark.parametrize("shape", TEXTS)
def test_texts_that_people_save_are_read_whatever_they_are_written_in(tmp_path: Path, shape: str) -> None:
    (tmp_path / "a.json").write_bytes(TEXTS[shape])

    progress = import_here(tmp_path / "data", tmp_path / "a.json")

    assert [archive.first_unrecognised for archive in progress.archives] == [[]]
    assert (progress.runs, progress.steps) == (1, 3)
    assert read_all(tmp_path / "data", "select state from completeness") == [("complete",)]


def test_numbers_that_json_does_not_have_land_as_they_were_sent() -> None:
    [found] = content_of(b'[{"id":"r","object":"thread.run","thread_id":"t","x":NaN,"y":-Infinity}]')

    assert isinstance(found, Found)
    assert found.body.endswith(b'"x":NaN,"y":-Infinity}')


FOREIGN: dict[str, tuple[bytes, str]] = {
    "a printed dict": (str(RUN).encode(), "Python text"),
    "printed lists": (str([RUN, *STEPS]).encode(), "Python text"),
    "printed objects": (b"Run(id='run_1', assistant_id='a', status='completed')\n", "Python text"),
    "a printed dict behind words": (f"INFO run {RUN}\n".encode(), "Python text"),
    "ZIP": (b"PK\x03\x04" + bytes(40), "ZIP"),
    "a tar file": (bytes(257) + b"ustar" + bytes(300), "tar"),
    "bzip2": (b"BZh91AY&SY" + bytes(40), "bzip2"),
    "Parquet": (b"PAR1" + bytes(40), "Parquet"),
    "mitmproxy": (b"4512:9:websocket;0:~8:response;4000:6:reason;2:OK;}}", "flows of mitmproxy: write them as HAR"),
    "SQLite": (b"SQLite format 3\x00" + bytes(40), "SQLite"),
    "HTML": (b"<!DOCTYPE html><html></html>", "HTML"),
    "a cut object": (json.dumps(RUN).encode()[:200], "cut off"),
    "a cut line": (lines_of(STEPS) + lines_of([RUN])[:100], "cut off"),
    "a cut line behind words": (b"INFO " + lines_of([RUN])[:100], "not JSON"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_cannot_be_read_is_named_for_what_it_is(tmp_path: Path, kind: str) -> None:
    content, named = FOREIGN[kind]
    (tmp_path / "a.json").write_bytes(content)

    [archive] = import_here(tmp_path / "data", tmp_path / "a.json").archives

    assert archive.unrecognised == 1
    assert named in archive.first_unrecognised[0]


def test_a_reason_is_named_once_with_its_first_places(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines_of([RUN]) + f"{STEPS[0]}\n".encode() * 9)

    [archive] = import_here(tmp_path / "data", tmp_path / "a.jsonl").archives

    assert archive.unrecognised == 9
    [line] = archive.first_unrecognised
    assert line.startswith("line 2, line 3, line 4 and 6 more: Python text")


@pytest.mark.parametrize("broken", [b'{"id": "step_d", "obj', b'{"id": }, {}]', b"oops]"])
def test_items_before_the_place_where_a_list_is_broken_are_read(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / "a.json").write_bytes(json.dumps([RUN, *STEPS], indent=1).encode()[:-2] + b",\n" + broken)

    progress = import_here(tmp_path / "data", tmp_path / "a.json")

    assert (progress.runs, progress.steps, progress.unrecognised) == (1, 3, 1)


@pytest.mark.parametrize("where", ["status", "model", "assistant_id", "id"])
def test_a_byte_that_is_not_utf8_costs_its_sign_and_is_named(tmp_path: Path, where: str) -> None:
    broken = json.dumps(RUN | {where: "caf#"}).encode().replace(b"#", b"\xe9")
    (tmp_path / "a.jsonl").write_bytes(broken + b"\n" + lines_of([run_object("run_2")]))

    progress = import_here(tmp_path / "data", tmp_path / "a.jsonl")

    assert (progress.runs, progress.unrecognised) == (2, 1)
    [line] = progress.archives[0].first_unrecognised
    assert line.startswith("line 1: a run with bytes that are not UTF-8")
    assert len(read_all(tmp_path / "data", "select run_id from runs")) == 2


@pytest.mark.parametrize(
    ("method", "status"), [("OPTIONS", 200), ("OPTIONS", 204), ("HEAD", 200), ("GET", 304), ("GET", 302), ("GET", 0)]
)
def test_a_request_that_is_answered_without_content_is_left_out(method: str, status: int) -> None:
    entry = exchange(STEPS_PATH, None, status=status)
    entry["request"]["method"] = method
    entry["response"]["content"] = {"size": 0}

    assert [type(content) for content in content_of(recording(entry))] == [LeftOut]


def test_bodies_beside_a_recording_are_read_from_its_folder_only(tmp_path: Path) -> None:
    entries = [exchange("/threads/thread_1/runs", None), exchange(STEPS_PATH, None), exchange(STEPS_PATH, None)]
    for entry, name in zip(entries, ("runs.json", "../steps.json", "gone.json"), strict=True):
        entry["response"]["content"] = {"_file": name}
    (tmp_path / "in").mkdir()
    write_json(tmp_path / "in" / "runs.json", envelope([RUN]))
    write_json(tmp_path / "steps.json", envelope(STEPS))
    har = write_json(tmp_path / "in" / "calls.har", recording(*entries))

    progress = import_here(tmp_path / "data", har)

    assert (progress.runs, progress.steps, progress.unrecognised) == (1, 0, 2)


def body_of(items: Sequence[JsonObject]) -> str:
    return json.dumps(envelope(items))


def cassette(*, by: str) -> Any:
    """Two calls as VCR.py, betamax, VCR and go-vcr keep them."""
    answers = [("/threads/thread_1/runs", body_of([RUN])), (STEPS_PATH, body_of(STEPS[::-1]))]
    packed = [(path, gzip.compress(text.encode())) for path, text in answers]
    uri = "https://api.example.com/v1"
    match by:
        case "vcr.py":
            return {
                "version": 1,
                "interactions": [
                    {
                        "request": {"method": "GET", "uri": uri + path, "body": None, "headers": {}},
                        "response": {"status": {"code": 200, "message": "OK"}, "body": {"string": body}, "headers": {}},
                    }
                    for path, body in packed
                ],
            }
        case "betamax":
            return {
                "recorded_with": "betamax/0.9",
                "http_interactions": [
                    {
                        "request": {"method": "GET", "uri": uri + path},
                        "recorded_at": "2025-07-01T00:00:00",
                        "response": {
                            "status": {"code": 200, "message": "OK"},
                            "url": uri + path,
                            "body": {"encoding": None, "base64_string": base64.b64encode(body).decode()},
                        },
                    }
                    for path, body in packed
                ],
            }
        case "vcr":
            return {
                "http_interactions": [
                    {
                        "request": {"method": "get", "uri": uri + path},
                        "recorded_at": "Tue, 01 Jul 2025 00:00:00 GMT",
                        "response": {
                            "status": {"code": 200, "message": "OK"},
                            "body": {"encoding": "UTF-8", "string": text},
                        },
                    }
                    for path, text in answers
                ],
                "recorded_with": "VCR 6.0.0",
            }
        case _:
            return {"version": 2, "interactions": [
                {"id": number, "request": {"method": "GET", "url": uri + path},
                 "response": {"body": text, "status": "200 OK", "code": 200}}
                for number, (path, text) in enumerate(answers)
            ]}  # fmt: skip


@pytest.mark.parametrize("by", ["vcr.py", "betamax", "vcr", "go-vcr"])
@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_cassettes_are_read(tmp_path: Path, by: str, ending: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "compose.yaml").write_text("services: {}\n")
    kept = cassette(by=by)
    if ending == "yaml":
        text = yaml.safe_dump(kept)
    else:
        text = json.dumps(kept, default=lambda body: {"base64_string": base64.b64encode(body).decode()})
    (tmp_path / "in" / f"cassette.{ending}").write_text(text)

    progress = import_here(tmp_path / "data", *find_archives([str(tmp_path / "in")]))

    assert (progress.runs, progress.steps, progress.unrecognised) == (1, 3, 0)
    assert read_all(tmp_path / "data", "select step_id from run_steps order by step_index") == [
        ("step_a",), ("step_b",), ("step_c",),
    ]  # fmt: skip


def test_yaml_whose_aliases_stand_for_more_than_anybody_keeps_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))

    [archive] = import_here(tmp_path / "data", tmp_path / "bomb.yaml").archives

    assert "more than 5,000,000 values" in archive.first_unrecognised[0]


def test_a_page_in_a_recording_is_handed_on_with_what_it_says_of_the_list() -> None:
    path = f"{STEPS_PATH}?order=asc&after=step_0"
    contents = content_of(recording(exchange(path, envelope(STEPS, has_more=True))))

    [listed] = [content for content in contents if isinstance(content, Listed)]
    assert (listed.ids, listed.has_more, listed.is_whole) == (("step_a", "step_b", "step_c"), True, True)
    assert (listed.context.cursor, listed.context.order, listed.context.is_recorded) == ("step_0", "asc", True)


SESSION: JsonObject = {"id": "sess_1", "object": "agent.session"}
TURN: JsonObject = {"id": "turn_1", "object": "agent.session.turn", "session_id": "sess_1", "status": "completed"}
CALL: JsonObject = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "tide", "arguments": "{}"}
RESPONSE: JsonObject = {"id": "resp_1", "object": "response", "status": "completed", "output": []}
HELD_BY_ANOTHER: dict[str, tuple[Any, str]] = {
    "a step of another run": (
        RUN | {"steps": [STEPS[0], STEPS[1] | {"run_id": "run_9"}]},
        "a step that names another run",
    ),
    "a step of another run in a list": (
        RUN | {"run_steps": envelope([STEPS[0], STEPS[1] | {"run_id": "run_9"}])},
        "a step that names another run",
    ),
    "a step of another thread": (
        RUN | {"steps": [STEPS[0], STEPS[1] | {"thread_id": "thread_9"}]},
        "a step that names another thread",
    ),
    "a run of another thread": (
        {"id": "thread_1", "object": "thread", "runs": [RUN, run_object("run_2", thread_id="thread_9")]},
        "a run that names another thread",
    ),
    "a step of another thread in a thread": (
        {"id": "thread_1", "object": "thread", "steps": [STEPS[0], STEPS[1] | {"thread_id": "thread_9"}]},
        "a step that names another thread",
    ),
    "a turn of another session": (
        SESSION | {"turns": [TURN, TURN | {"id": "turn_2", "session_id": "sess_9"}]},
        "a turn that names another session",
    ),
    "an item of another turn": (
        TURN | {"items": [CALL, CALL | {"turn_id": "turn_9"}]},
        "an item that names another turn",
    ),
    "a response of another conversation": (
        {
            "id": "conv_1",
            "object": "conversation",
            "responses": [
                RESPONSE | {"conversation": {"id": "conv_1"}},
                RESPONSE | {"id": "resp_2", "conversation": {"id": "conv_9"}},
            ],
        },
        "a response that names another conversation",
    ),
}


@pytest.mark.parametrize("shape", HELD_BY_ANOTHER)
def test_what_stands_in_one_and_says_that_it_is_anothers_is_refused_and_named(tmp_path: Path, shape: str) -> None:
    value, said = HELD_BY_ANOTHER[shape]

    progress = import_here(tmp_path, write_json(tmp_path / "dump.json", value))

    reasons = [str(content) for content in content_of(value) if isinstance(content, Unrecognised)]
    assert len(reasons) == 1
    assert f"{said} than the one it stands in: it is not kept" in reasons[0]
    assert progress.unrecognised == 1


OTHERS = {"run_id": "run_9", "thread_id": "thread_9"}
OTHERS_RUN = run_object("run_9", thread_id="thread_9", total=10) | {"steps": [step_object("s") | OTHERS]}


@pytest.mark.parametrize("field", ["child_run", "connected_runs", "run"])
def test_a_run_beside_the_steps_of_a_run_may_be_anothers(field: str) -> None:
    held = [OTHERS_RUN] if field.endswith("s") else OTHERS_RUN

    assert found_in(content_of(RUN | {"steps": STEPS, field: held})) == ALL | {("run_9", None), ("s", "run_9")}


@pytest.mark.parametrize(
    "beside", [{"partial": True}, {"message": "timed out"}, {"warnings": ["x"]}, {"truncated": True}]
)
@pytest.mark.parametrize("items", [[], [RUN]], ids=["empty", "not empty"])
def test_a_recorded_list_that_may_not_be_all_is_named(
    tmp_path: Path, beside: JsonObject, items: list[JsonObject]
) -> None:
    [name] = beside
    path = write_json(tmp_path / "one.har", recording(exchange("/threads/thread_1/runs", envelope(items, **beside))))

    progress = import_here(tmp_path / "data", path)

    assert (progress.runs, progress.unrecognised) == (len(items), 1)
    assert import_here(tmp_path / "odd", path, odd_fields=[name]).unrecognised == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{{"object": "list", "data": [{json.dumps(RUN)}], "data": []}}', "data stands in it twice"),
        (f'{{"data": [{json.dumps(STEPS[0])}], "has_more": false, "data": null}}', "neither a run nor a step"),
    ],
    ids=["empty", "null"],
)
def test_a_list_that_takes_back_what_it_has_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.json").write_text(text)

    progress = import_here(tmp_path / "data", tmp_path / "a.json")

    assert progress.unrecognised >= 1
    assert any(said in place for place in progress.archives[0].first_unrecognised)


@pytest.mark.parametrize("count", [2, 50, 51, 120])
def test_a_line_of_a_log_has_as_many_objects_as_there_are(tmp_path: Path, count: int) -> None:
    steps = [step_object(f"step_{number}") for number in range(count)]
    (tmp_path / "a.log").write_text("got " + " and ".join(map(json.dumps, steps)))

    progress = import_here(tmp_path / "data", tmp_path / "a.log")

    assert (progress.steps, progress.unrecognised) == (count, 0)


@pytest.mark.parametrize("broken", ["{broken ", '{"id": "run_1", ', "{'id': 1} {"])
def test_what_stands_behind_something_broken_in_a_line_of_a_log_is_told(tmp_path: Path, broken: str) -> None:
    (tmp_path / "a.log").write_text(f"got {json.dumps(run_object())} {broken}{json.dumps(step_object('step_1'))}")

    progress = import_here(tmp_path / "data", tmp_path / "a.log")

    assert (progress.runs, progress.steps, progress.unrecognised) == (1, 0, 1)
