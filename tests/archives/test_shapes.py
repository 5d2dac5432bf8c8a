"""Imports: every shape that runs and steps are kept in, and how they combine with each other and with syncs."""

import gzip
import json
import os
import signal
import tracemalloc
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from backports import zstd

from pipeline.archives.files import LineNumbers, find_archives, read_documents
from pipeline.archives.large import Damage, Document
from pipeline.archives.progress import ImportProgress
from pipeline.archives.shapes.content import Context, Unrecognised
from pipeline.archives.shapes.objects import read_content
from pipeline.errors import ConfigurationError
from pipeline.extract.known_threads import read_thread_states
from pipeline.flatten.part_frames import frames_of
from pipeline.protocol.pages import Certificate, Page, Verdict, Walk
from pipeline.raw.parts import RawStore, new_sync_id
from pipeline.raw.places import raw_store
from pipeline.raw.writer import PartWriter
from pipeline.verbs.archive_import import ImportRequest, import_archives
from pipeline.warehouse.database import open_new, warehouse_path
from pipeline.warehouse.load import load_batches, load_new_parts, rebuild
from tests.archived import (
    NOW,
    START,
    JsonObject,
    envelope,
    exchange,
    function_step,
    import_here,
    lines_of,
    recording,
    run_object,
    step_object,
    write_json,
)
from tests.attached import looking_into
from tests.syncs import environ_for, raw_files, read_all, read_raw, read_tables, run_cli, started_cli, wait_until

STEPS_PATH = "/threads/thread_1/runs/run_1/steps"
# step_b and step_c are of one second: only their list tells which came first.
STEPS = [step_object("step_a", at=1), step_object("step_b", at=2), step_object("step_c", at=2)]
BACKWARDS = STEPS[::-1]
# Columns that tell from which walk a row came, and tables that tell of the imports themselves.
PLACES: dict[str, tuple[str, ...]] = {
    "runs": ("walk_id", "page_index"),
    "run_steps": ("walk_id", "page_index"),
    "threads": ("first_seen_at",),
}
CONTENT = ("threads", "runs", "run_steps", "tool_calls", "code_interpreter_outputs", "file_search_results")


def step_rows(data_dir: Path) -> list[tuple[Any, ...]]:
    return read_all(data_dir, "select step_id, step_index, status from run_steps order by run_id, step_index")


def content(data_dir: Path) -> dict[str, pl.DataFrame]:
    return read_tables(data_dir, without=PLACES, named=CONTENT)


def same_tables(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> bool:
    return one.keys() == other.keys() and all(one[name].equals(other[name]) for name in one)


def shapes_of(run_id: str) -> dict[str, bytes]:
    """The steps of a run in every shape, by what it is called."""
    steps = [step | {"run_id": run_id} for step in STEPS]
    backwards = steps[::-1]
    path = f"/threads/thread_1/runs/{run_id}/steps"
    one_by_one = (exchange(f"{path}/{step['id']}?order=asc", step) for step in steps)
    return {
        "list envelope, newest first": json.dumps(envelope(backwards)).encode(),
        "list envelope, oldest first, over several lines": json.dumps(envelope(steps), indent=2).encode(),
        "bare array": json.dumps(steps).encode(),
        "bare array of pages": json.dumps([envelope(backwards[:1]), envelope(backwards[1:])]).encode(),
        "one object a line": lines_of(steps),
        "one object a line, newest first": lines_of(backwards),
        "one page a line": lines_of([envelope(backwards[:2]), envelope(backwards[2:])]),
        "objects over several lines, one after another": "\n".join(json.dumps(s, indent=2) for s in steps).encode(),
        "events of a stream": lines_of([{"event": "thread.run.step.completed", "data": step} for step in steps]),
        "objects that do not say what they are": lines_of([{**step, "object": None} for step in steps]),
        "byte order mark and empty lines": b"\xef\xbb\xbf\n\n" + lines_of(steps).replace(b"\n", b"\r\n\n"),
        "gzip": gzip.compress(lines_of(steps)),
        "zstd": zstd.compress(lines_of(steps)),
        "zstd of two frames": zstd.compress(lines_of(steps[:1])) + zstd.compress(lines_of(steps[1:])),
        "HTTP recording": json.dumps(recording(exchange(path, envelope(backwards)))).encode(),
        "HTTP recording in ascending order, base64": json.dumps(
            recording(exchange(f"{path}?order=asc&limit=100", envelope(steps), packed=True))
        ).encode(),
        "HTTP recording of single steps": json.dumps(recording(*one_by_one)).encode(),
    }


SHAPES = list(shapes_of("run_1"))


@pytest.fixture(scope="module")
def every_shape(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ImportProgress]:
    """All shapes in one import, each of a run of its own."""
    folder = tmp_path_factory.mktemp("shapes")
    for number, shape in enumerate(SHAPES):
        (folder / f"run_{number}.json").write_bytes(shapes_of(f"run_{number}")[shape])
    files = [folder / f"run_{number}.json" for number in range(len(SHAPES))]
    return folder / "data", import_here(folder / "data", *files)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_steps_in_ascending_order(
    every_shape: tuple[Path, ImportProgress], shape: str
) -> None:
    data_dir, progress = every_shape
    number = SHAPES.index(shape)
    [archive] = [archive for archive in progress.archives if archive.file.endswith(f"run_{number}.json")]

    assert (archive.steps, archive.unrecognised) == (3, 0)
    assert read_all(
        data_dir,
        "select step_id, step_index, status from run_steps where run_id = ? order by step_index",
        [f"run_{number}"],
    ) == [("step_a", 0, "completed"), ("step_b", 1, "completed"), ("step_c", 2, "completed")]


def test_a_recorded_url_tells_thread_and_run_of_objects_that_do_not(tmp_path: Path) -> None:
    bare = {"id": "step_a", "type": "message_creation", "status": "completed"}
    path = "/threads/thread%2F9/runs/run_9/steps"
    archive = write_json(tmp_path / "calls.har", recording(exchange(path, envelope([bare]))))

    import_here(tmp_path / "data", archive)

    assert read_all(tmp_path / "data", "select step_id, run_id, thread_id from run_steps") == [
        ("step_a", "run_9", "thread/9")
    ]


def test_a_recording_leaves_out_other_requests_and_refused_ones_and_names_answers_without_content(
    tmp_path: Path,
) -> None:
    empty = exchange("/threads/thread_1/runs", None)
    empty["response"]["content"] = {"size": 5}
    refused = exchange("/threads/thread_1/runs", {"error": {"message": "no"}}, status=401)
    other = exchange("/models", {"data": []})
    archive = write_json(
        tmp_path / "calls.har", recording(other, refused, empty, exchange("/threads/runs", run_object()))
    )

    progress = import_here(tmp_path / "data", archive)

    assert (progress.runs, progress.left_out) == (1, 2)
    assert progress.archives[0].first_unrecognised == [
        "$.log.entries[2]: an answer that was recorded without its content"
    ]


def test_a_recorded_stream_gives_the_states_of_its_events(tmp_path: Path) -> None:
    text = (
        f"event: thread.run.created\ndata: {json.dumps(run_object(status='queued', completed_at=None))}\n\n"
        f"event: thread.message.delta\ndata: {json.dumps({'id': 'msg_1', 'object': 'thread.message.delta'})}\n\n"
        f"event: thread.run.completed\ndata: {json.dumps(run_object())}\n\ndata: [DONE]\n"
    )
    streamed = exchange("/threads/thread_1/runs", None, text=text)
    streamed["response"]["content"]["mimeType"] = "text/event-stream; charset=utf-8"
    archive = write_json(tmp_path / "calls.har", recording(streamed))

    progress = import_here(tmp_path / "data", archive)

    assert progress.unrecognised == 0
    assert read_all(tmp_path / "data", "select run_id, status from runs") == [("run_1", "completed")]


def test_a_run_whose_usage_is_the_sum_of_its_imported_steps_is_complete(tmp_path: Path) -> None:
    archive = tmp_path / "mixed.jsonl"
    runs = [run_object(), run_object("run_2", total=99), run_object("run_3", total=None), run_object("run_4")]
    steps = [*STEPS, step_object("step_d", run_id="run_2"), step_object("step_e", run_id="run_3")]
    archive.write_bytes(lines_of([*runs, *steps, step_object("step_f", run_id="run_5")]))

    import_here(tmp_path / "data", archive)

    assert read_all(tmp_path / "data", "select run_id, state from completeness order by run_id") == [
        ("run_1", "complete"),
        ("run_2", "usage_differs"),
        ("run_3", "steps_missing"),
        ("run_4", "steps_missing"),
        ("run_5", "run_missing"),
    ]


def test_threads_of_an_import_are_in_the_registry_and_nothing_of_it_is_sealed(tmp_path: Path) -> None:
    archive = tmp_path / "mixed.jsonl"
    archive.write_bytes(lines_of([run_object(), *STEPS, step_object("step_z", run_id="run_9", thread_id="thread_9")]))

    import_here(tmp_path / "data", archive, source="old-account")

    assert read_all(
        tmp_path / "data",
        "select source, thread_id, status, run_count, last_synced_at is null from threads order by thread_id",
    ) == [("old-account", "thread_1", "imported", 1, True), ("old-account", "thread_9", "imported", 0, True)]
    assert read_all(tmp_path / "data", "select sealed, run_index from runs") == [(False, None)]


OPEN_STEP = function_step("step_a", None, status="in_progress", completed_at=None, usage=None)
DONE_STEP = function_step("step_a", "42", at=0)


@pytest.mark.parametrize("order", [(OPEN_STEP, DONE_STEP), (DONE_STEP, OPEN_STEP)], ids=["open first", "done first"])
@pytest.mark.parametrize("together", [True, False], ids=["one import", "two imports"])
def test_an_object_seen_twice_counts_once_in_its_newest_state(
    tmp_path: Path, order: tuple[JsonObject, JsonObject], together: bool
) -> None:
    files = [write_json(tmp_path / f"{index}.json", step) for index, step in enumerate(order)]

    for batch in [files] if together else [[file] for file in files]:
        import_here(tmp_path / "data", *batch)

    assert step_rows(tmp_path / "data") == [("step_a", 0, "completed")]
    assert read_all(tmp_path / "data", "select step_id, output from tool_calls") == [("step_a", "42")]


@pytest.mark.parametrize("order", [1, -1], ids=["earlier first", "later first"])
def test_of_two_open_states_of_a_run_the_later_counts(tmp_path: Path, order: int) -> None:
    waiting = run_object(status="queued", completed_at=None, total=None)
    running = run_object(status="in_progress", started_at=START + 5, completed_at=None, total=None)
    files = [write_json(tmp_path / f"{index}.json", run) for index, run in enumerate([waiting, running][::order])]

    for file in files:
        import_here(tmp_path / "data", file)

    assert read_all(tmp_path / "data", "select run_id, status from runs") == [("run_1", "in_progress")]


def three_files(folder: Path) -> list[Path]:
    """A run over three files that overlap, with states that outdo each other."""
    return [
        write_json(folder / "1.json", envelope([*BACKWARDS[1:], run_object(status="in_progress", completed_at=None)])),
        write_json(folder / "2.json", [OPEN_STEP, step_object("step_c", at=2), step_object("step_d", at=3)]),
        write_json(folder / "3.json", [run_object(), DONE_STEP | {"created_at": START + 1}]),
    ]


def rebuild_part_by_part(data_dir: Path) -> None:
    """As a rebuild does whose parts are too large to be one batch."""
    store = raw_store(data_dir)
    with open_new(warehouse_path(data_dir), wait_s=0.0) as connection:
        load_batches(connection, ([frames_of(store.read_part(part))] for part in store.list_parts()))


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """The content of these files, imported together."""
    folder = tmp_path_factory.mktemp("at_once")
    import_here(folder / "data", *three_files(folder))
    return content(folder / "data")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_the_order_of_imports_does_not_matter_and_a_rebuild_gives_the_same(
    tmp_path: Path, at_once: dict[str, pl.DataFrame], order: tuple[int, ...]
) -> None:
    files = three_files(tmp_path)

    for number, index in enumerate(order):
        import_here(tmp_path / "data", files[index], now=NOW + timedelta(minutes=number))

    assert same_tables(content(tmp_path / "data"), at_once)
    before = read_tables(tmp_path / "data")
    rebuild(raw_store(tmp_path / "data"), warehouse_path(tmp_path / "data"), wait_s=0.0)
    assert same_tables(read_tables(tmp_path / "data"), before)
    rebuild_part_by_part(tmp_path / "data")
    assert same_tables(read_tables(tmp_path / "data"), before)
    assert step_rows(tmp_path / "data") == [
        ("step_a", 0, "completed"),
        ("step_b", 1, "completed"),
        ("step_c", 2, "completed"),
        ("step_d", 3, "completed"),
    ]


def test_importing_the_same_files_again_changes_nothing(tmp_path: Path) -> None:
    files = three_files(tmp_path)
    import_here(tmp_path / "data", *files)
    before, parts = read_tables(tmp_path / "data"), raw_files(tmp_path / "data")

    progress = import_here(tmp_path / "data", *files, now=NOW + timedelta(days=1))

    assert (progress.files_known, progress.runs, progress.steps) == (3, 0, 0)
    assert raw_files(tmp_path / "data") == parts
    assert same_tables(read_tables(tmp_path / "data"), before)


def test_importing_the_same_objects_from_another_file_changes_no_content(tmp_path: Path) -> None:
    steps = [*STEPS, step_object("step_x", usage="none")]
    import_here(tmp_path / "data", write_json(tmp_path / "1.json", [run_object(), *steps]))
    before = content(tmp_path / "data")
    (tmp_path / "2.jsonl").write_bytes(lines_of([*steps, run_object()]))

    import_here(tmp_path / "data", tmp_path / "2.jsonl", now=NOW + timedelta(days=1))

    assert same_tables(content(tmp_path / "data"), before)
    assert read_all(tmp_path / "data", "select object_id, json_path from rejects") == [("step_x", "$.data[0].usage")]


def test_the_same_content_in_a_file_of_another_name_is_not_read_again(tmp_path: Path) -> None:
    first = write_json(tmp_path / "1.json", STEPS)
    second = write_json(tmp_path / "2.json", STEPS)

    progress = import_here(tmp_path / "data", first, second)

    assert (progress.files_done, progress.files_known, progress.steps) == (2, 1, 3)


def land_steps(data_dir: Path, steps: list[JsonObject], *, verdict: Verdict, hours: int = 1) -> None:
    """A walk over the steps of run_1 as a sync lands it, some hours after the imports."""
    at = NOW + timedelta(hours=hours)
    store = RawStore(data_dir / "raw")
    writer = PartWriter(store, source="archive", sync_id=new_sync_id(at))
    certificate = Certificate(
        resource="steps",
        thread_id="thread_1",
        run_id="run_1",
        run_status="completed",
        started_at=at,
        ended_at=at,
        verdict=verdict,
        pages=1,
        items=len(steps),
    )
    body = json.dumps(envelope(steps)).encode()
    writer.add_walk(Walk(certificate, [Page(0, None, at, "req_1", body)]))
    writer.land(writer.take_rows())
    load_new_parts(store, warehouse_path(data_dir), wait_s=0.0)


def import_steps(data_dir: Path) -> None:
    import_here(data_dir, write_json(data_dir.parent / "archive.json", [*STEPS, DONE_STEP | {"id": "step_gone"}]))


def walk_completely(data_dir: Path) -> None:
    land_steps(data_dir, [step_object("step_b", at=2), step_object("step_q", at=4)], verdict="complete")


def walk_half(data_dir: Path) -> None:
    land_steps(data_dir, [step_object("step_b", at=2), step_object("step_q", at=4)], verdict="broken")


Act = Callable[[Path], None]


@pytest.mark.parametrize("acts", [(import_steps, walk_completely), (walk_completely, import_steps)])
def test_a_complete_walk_outranks_imports(tmp_path: Path, acts: tuple[Act, Act]) -> None:
    for act in acts:
        act(tmp_path / "data")

    assert step_rows(tmp_path / "data") == [("step_b", 0, "completed"), ("step_q", 1, "completed")]
    assert read_all(tmp_path / "data", "select count(*) from tool_calls") == [(0,)]


@pytest.mark.parametrize("acts", [(import_steps, walk_half), (walk_half, import_steps)])
def test_imports_and_a_broken_walk_fill_each_others_gaps(tmp_path: Path, acts: tuple[Act, Act]) -> None:
    for act in acts:
        act(tmp_path / "data")

    assert [row[:2] for row in step_rows(tmp_path / "data")] == [
        ("step_gone", 0),
        ("step_a", 1),
        ("step_b", 2),
        ("step_c", 3),
        ("step_q", 4),
    ]
    before = read_tables(tmp_path / "data")
    rebuild(raw_store(tmp_path / "data"), warehouse_path(tmp_path / "data"), wait_s=0.0)
    assert same_tables(read_tables(tmp_path / "data"), before)


def test_a_thread_with_imported_runs_is_listed_from_its_first_run(tmp_path: Path) -> None:
    import_here(tmp_path / "data", write_json(tmp_path / "run.json", run_object()))

    with looking_into(warehouse_path(tmp_path / "data")) as connection:
        states = read_thread_states(connection, ["thread_1"], source="archive", now=NOW)

    assert states.select("after_id", "sealed_runs", "is_listed").rows() == [(None, None, False)]


def test_each_object_can_be_traced_to_its_file_and_line(tmp_path: Path) -> None:
    archive = tmp_path / "steps.jsonl"
    archive.write_bytes(lines_of(STEPS))

    import_here(tmp_path / "data", archive)

    walk_id, page_index = read_all(
        tmp_path / "data", "select walk_id, page_index from run_steps where step_id = 'step_b'"
    )[0]
    [origin] = read_raw(tmp_path / "data").filter(kind="page", walk_id=walk_id, page_index=page_index)["origin"]
    assert origin == f"{archive}: line 2"


def test_what_is_not_recognised_is_named_with_file_and_line_and_the_exit_code_says_so(tmp_path: Path) -> None:
    broken = [b"{half", b'{"id": "x"}', b"42", json.dumps({**STEPS[0], "run_id": None}).encode()]
    archive = tmp_path / "steps.jsonl"
    archive.write_bytes(lines_of(STEPS) + b"\n".join(broken) + b"\n" + lines_of([{"object": "thread.message"}]))

    ended = run_cli(tmp_path, "import", "steps.jsonl", "--json", "--data-dir", "data")
    again = run_cli(tmp_path, "import", "steps.jsonl", "--quiet", "--data-dir", "data")

    assert (ended.returncode, again.returncode) == (4, 4)
    summary = json.loads(ended.stdout)
    assert (summary["steps"], summary["left_out"], summary["unrecognised"]) == (3, 1, 4)
    for place in ("steps.jsonl: line 4: not JSON", "line 5: neither a run nor a step\n"):
        assert place in ended.stderr
    for place in ("line 6: no JSON object or list\n", "line 7: a step that does not say of which run\n"):
        assert place in again.stderr
    assert len(step_rows(tmp_path / "data")) == 3


def test_a_file_that_breaks_off_gives_what_came_before_and_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "cut.jsonl.gz"
    filler = [step_object(f"step_{number}", at=number, metadata={"k": str(number)}) for number in range(20_000)]
    packed = gzip.compress(lines_of(filler))
    archive.write_bytes(packed[: len(packed) // 2])

    progress = import_here(tmp_path / "data", archive)

    assert 5_000 < progress.steps < 15_000
    line, place = progress.archives[0].first_unrecognised
    assert line.endswith("not JSON: cut off before its end")
    assert place.startswith("where it breaks off: the file cannot be read further")


def test_the_command_line_says_what_it_did_and_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "dumps" / "deep").mkdir(parents=True)
    (tmp_path / "dumps" / "notes.txt").write_text("not an archive")
    write_json(tmp_path / "dumps" / "run.json", run_object())
    (tmp_path / "dumps" / "deep" / "steps.jsonl.zst").write_bytes(zstd.compress(lines_of(STEPS)))

    ended = run_cli(tmp_path, "import", "dumps", "--source", "old", "--data-dir", "data")

    assert ended.returncode == 0
    assert "imported into 'old': 2 files, 1 run, 3 steps in" in ended.stderr
    assert "DuckDB file" in ended.stdout
    assert read_all(tmp_path / "data", "select distinct source from run_steps") == [("old",)]


def test_an_import_names_the_files_that_hold_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.json").write_bytes(b"")
    write_json(tmp_path / "run.json", run_object())

    request = ImportRequest([str(tmp_path / name) for name in ("empty.json", "run.json")], "old", tmp_path / "data")

    assert import_archives(request, quiet=False, as_json=True, log_format="text") == 0

    said = capsys.readouterr().err
    assert "empty.json holds nothing" in said
    assert "run.json holds nothing" not in said


@pytest.mark.parametrize(
    ("named", "what"),
    [("nowhere", "such file or folder"), ("*.jsonl", "archive to import"), ("empty", "archive to import")],
)
def test_a_path_that_leads_to_no_archive_is_a_usage_error(tmp_path: Path, named: str, what: str) -> None:
    (tmp_path / "empty").mkdir()

    ended = run_cli(tmp_path, "import", named, "--data-dir", "data")

    assert ended.returncode == 2
    assert f"{named}: there is no {what}" in ended.stderr


def test_a_source_name_that_is_no_folder_name_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "run.json", run_object())

    ended = run_cli(tmp_path, "import", "run.json", "--source", "../x", "--data-dir", "data")

    assert ended.returncode == 2
    assert "the source name '../x'" in ended.stderr


def test_globs_folders_and_files_give_each_file_once_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    names = ["b.json", "a.jsonl.gz", "sub/c.har", "sub/d.ndjson.zst", "sub/e.csv"]
    for name in names:
        (tmp_path / name).write_bytes(b"")

    found = find_archives([str(tmp_path / "*.json*"), str(tmp_path / "sub"), str(tmp_path / "b.json")])

    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "a.jsonl.gz",
        "b.json",
        "sub/c.har",
        "sub/d.ndjson.zst",
    ]


def test_an_empty_file_holds_nothing_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_bytes(b" \n\n")

    assert list(read_documents(tmp_path / "empty.json")) == []
    with pytest.raises(ConfigurationError, match="there is no such file or folder"):
        find_archives([str(tmp_path / "missing.json")])


@pytest.mark.parametrize(
    ("document", "places"),
    [
        (json.dumps(STEPS), ["$[0]", "$[1]", "$[2]"]),
        (json.dumps(envelope(STEPS)), ["$.data[0]", "$.data[1]", "$.data[2]"]),
        (
            json.dumps(recording(*(exchange(STEPS_PATH, step) for step in STEPS))),
            [f"$.log.entries[{i}]" for i in range(3)],
        ),
    ],
    ids=["array", "envelope", "recording"],
)
def test_a_document_too_large_to_be_held_is_read_item_by_item(tmp_path: Path, document: str, places: list[str]) -> None:
    (tmp_path / "large.json").write_text(document)

    found = list(read_documents(tmp_path / "large.json", whole_bytes=900))

    assert [item.where for item in found] == places
    assert all(isinstance(item, Document) and "step_" in str(json.loads(item.body)) for item in found)


def test_a_log_whose_first_line_was_cut_is_read_from_its_second(tmp_path: Path) -> None:
    (tmp_path / "small.jsonl").write_bytes(b'_at": 17}\n' + lines_of(STEPS))
    (tmp_path / "large.jsonl").write_bytes(b'_at": 17}\n' + lines_of(STEPS))

    small = list(read_documents(tmp_path / "small.jsonl"))
    large = list(read_documents(tmp_path / "large.jsonl", whole_bytes=700))

    assert [item.where for item in small] == ["line 1", "line 2", "line 3", "line 4"]
    assert [item.where for item in large] == ["line 1", "line 2", "line 3", "line 4"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"0" * 40_000_000, "not JSON|no list"),
        (b'{"id":"x"}\n' + b" " * 40_000_000, "longer than 10,000 bytes"),
        (b'[{"id":"' + b"x" * 40_000_000 + b'"}]', "larger than 10,000 bytes"),
    ],
    ids=["one endless number", "one endless line", "one endless text"],
)
def test_a_packed_file_that_unpacks_to_much_more_is_refused_in_little_memory(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(content, 9))
    tracemalloc.start()

    *_, last = read_documents(tmp_path / "bomb.json.gz", whole_bytes=10_000)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(last, Damage)
    assert any(part in last.reason for part in reason.split("|"))
    assert peak < 12_000_000


def test_an_interrupted_import_keeps_what_landed_and_the_next_one_completes_it(tmp_path: Path) -> None:
    logs = "log line " * 4_000
    steps = [step_object(f"step_{number:05}", at=number, metadata={"logs": logs}) for number in range(1_000)]
    # More than a part of one run, and a pipe among files that nobody ever writes into: the import comes to no end.
    (tmp_path / "1.jsonl").write_bytes(lines_of(steps[:800]))
    os.mkfifo(tmp_path / "2.jsonl")
    command = ("import", "*.jsonl", "--data-dir", "data")

    with started_cli(tmp_path, *command, environ=environ_for()) as process:
        wait_until(lambda: bool(raw_files(tmp_path / "data")), what="the first part", of=process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
    (tmp_path / "2.jsonl").unlink()
    (tmp_path / "2.jsonl").write_bytes(lines_of(steps[800:]))
    again = run_cli(tmp_path, *command)

    assert process.returncode == 130
    assert "run the same command again" in stderr
    assert again.returncode == 0
    assert read_all(tmp_path / "data", "select count(*), max(step_index) from run_steps") == [(1_000, 999)]


class CountedText(str):
    """A text that knows how many of its signs were looked through."""

    looked_at = 0

    def count(self, sub: str, start: Any = None, end: Any = None, /) -> int:
        self.looked_at += end - start
        return super().count(sub, start, end)


def test_lines_are_numbered_in_one_pass_however_many_are_asked_for() -> None:
    text = CountedText("{\n}\n" * 1_000)
    numbers = LineNumbers(text)

    asked = [numbers.at(position) for position in range(0, len(text), 4)]

    assert asked == list(range(1, 2_001, 2))
    assert text.looked_at < len(text)


def test_many_small_documents_of_several_lines_are_not_held_together(tmp_path: Path) -> None:
    content = b"{\n}\n" * 50_000
    (tmp_path / "small.json.gz").write_bytes(gzip.compress(content))

    tracemalloc.start()
    [last] = deque(read_documents(tmp_path / "small.json.gz", whole_bytes=len(content)), maxlen=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert last == Document("line 99999", b"{\n}")
    assert peak < 4 * 2**20


def test_documents_before_a_broken_one_are_read_and_its_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_bytes(b"\n{\n}\n\n{\n}\n\n{\n")

    *found, damage = read_documents(tmp_path / "cut.json")

    assert found == [Document("line 2", b"{\n}"), Document("line 5", b"{\n}")]
    assert isinstance(damage, Damage)
    assert damage.where == "line 8"


# More values than anything that a person keeps; as text they are no more than a large document.
MANY = 5_000_001


@pytest.mark.parametrize(
    "document",
    [
        b"[" + b"0," * MANY + b"0]",
        b'{"data":[' + b"{}," * MANY + b"{}]}",
        b'{"id":[' + b"{}," * MANY + b"{}]}",
        json.dumps(recording(exchange(STEPS_PATH, None, text="[" + "0," * MANY + "0]"))).encode(),
    ],
    ids=["list", "envelope", "id", "recorded answer"],
)
def test_a_document_of_more_values_than_any_archive_has_is_named_and_not_taken_apart(document: bytes) -> None:
    tracemalloc.start()
    try:
        found = list(read_content(document, Context("line 3")))
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    [place] = found
    assert isinstance(place, Unrecognised)
    assert str(place).endswith(": more than 5,000,000 values in one document: split it")
    assert most_bytes < 4 * len(document)


def test_commas_in_texts_are_no_values() -> None:
    text = "1,2," * MANY
    step = json.dumps(step_object("step_a", metadata={"note": f'{text}\\"'})).encode()

    [found] = read_content(step, Context("line 1"))

    assert not isinstance(found, Unrecognised)


def test_an_item_and_documents_one_after_another_are_bounded_in_their_values_too(tmp_path: Path) -> None:
    many = b"0," * MANY + b"0"
    (tmp_path / "item.json").write_bytes(b'[{"id":"run_1"},\n{"x":[' + many + b"]}]" + b" " * 2**22)
    (tmp_path / "values.json").write_bytes(b'{"x":\n1}\n{"x":[' + many + b"]}")

    item = list(read_documents(tmp_path / "item.json", whole_bytes=2**23 + 2**22))
    values = list(read_documents(tmp_path / "values.json"))

    assert [type(found) for found in item] == [Document, Damage]
    assert "more than 5,000,000 values" in str(item[-1])
    assert values == [Damage("line 1", "more than 5,000,000 values: the rest of the file was not read")]
