"""What archives prove: that a list is whole, or that something is missing, which is named, counted, and exit 4."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from duckdb import connect

from pipeline.archives.landing import ArchiveLander
from pipeline.archives.ranges import hash_file
from pipeline.archives.unread import unread_of
from pipeline.protocol.pages import ArchiveFile
from pipeline.raw.parts import IMPORT_KIND, RawStore, new_sync_id
from pipeline.raw.places import raw_store
from pipeline.verbs.archive_evidence import Evidence, read_evidence
from pipeline.verbs.archive_import import ImportRequest, import_archives
from pipeline.warehouse.checks import run_check, run_checks
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts, rebuild
from pipeline.warehouse.overview import read_status
from tests.answered import response
from tests.archived import (
    NOW,
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
from tests.attached import looking_into
from tests.syncs import read_all, run_cli

RUN = run_object()
STEPS = [step_object("step_a", at=1), step_object("step_b", at=2), step_object("step_c", at=3)]
PATH = "/threads/thread_1/runs/run_1/steps"
RUNS = [run_object(f"run_{number}", created_at=1_700_000_000 + number) for number in range(1, 4)]


def evidence_of(folder: Path, *documents: Any, apart: bool = False) -> Evidence:
    """Of an import of these documents, each a file; with `apart` each an import of its own."""
    files = [write_json(folder / f"{index}.json", document) for index, document in enumerate(documents)]
    for number, batch in enumerate([[file] for file in files] if apart else [files]):
        import_here(folder / "data", *batch, now=NOW + timedelta(minutes=number))
    return read_evidence(warehouse_path(folder / "data"), source="archive")


def exit_code_of(folder: Path, *names: str) -> int:
    """Of an import of these files; what it says to a machine is on stdout, what it warns of on stderr."""
    request = ImportRequest([str(folder / name) for name in names], "archive", folder / "data")
    return import_archives(request, quiet=False, as_json=True, log_format="text")


def of_thread(document: Any, number: int) -> Any:
    """The same of another thread and run."""
    text = json.dumps(document).replace("thread_1", f"thread_{number}_").replace("run_1", f"run_{number}_")
    return json.loads(text)


def import_kinds(folder: Path, kinds: Mapping[str, Sequence[Any]], *, apart: bool = False) -> Evidence:
    """Of an import of the documents of all kinds, each of a thread of its own; `apart` of the first of each, ..."""
    rounds = max(map(len, kinds.values())) if apart else 1
    for turn in range(rounds):
        files = [
            write_json(folder / f"{turn}-{number}-{place}.json", of_thread(document, number))
            for number, documents in enumerate(kinds.values())
            for place, document in enumerate(documents[turn : turn + 1] if apart else documents)
        ]
        import_here(folder / "data", *files, now=NOW + timedelta(minutes=turn))
    return read_evidence(warehouse_path(folder / "data"), source="archive")


def states(folder: Path) -> dict[str, str]:
    """Of each run by its id."""
    return dict(read_all(folder / "data", "select run_id, state from completeness"))


def is_failing(folder: Path, check: str) -> bool:
    with looking_into(warehouse_path(folder / "data")) as connection:
        finding = run_check(connection, check)
    return finding is not None and finding.level == "fail"


def failing_checks(folder: Path) -> set[str]:
    with looking_into(warehouse_path(folder / "data")) as connection:
        return {finding.name for finding in run_checks(connection) if finding.level == "fail"}


NEWEST, OLDEST = STEPS[:0:-1], STEPS[:1]
CUT: dict[str, list[Any]] = {
    "newest first": [RUN, envelope(NEWEST, has_more=True)],
    "oldest first": [RUN, envelope(STEPS[:2], has_more=True)],
    "one item": [RUN, envelope(STEPS[2:], has_more=True)],
    "all that the run counted": [RUN, envelope(STEPS, has_more=True)],
    "in the run": [RUN | {"steps": envelope(NEWEST, has_more=True)}],
    "no run": [envelope(NEWEST, has_more=True)],
    "a recording": [RUN, recording(exchange(PATH, envelope(NEWEST, has_more=True)))],
    "an empty page that says more": [RUN, recording(exchange(PATH, envelope([], has_more=True)))],
    "an item that could not be read": [RUN, envelope([*STEPS, {"id": [1]}])],
    "an error in place of an item": [
        RUN,
        envelope([*STEPS, {"error": {"message": "timed out", "type": "server_error"}}]),
    ],
    "a page after one that is not here": [RUN, recording(exchange(f"{PATH}?after=step_z", envelope(STEPS)))],
}


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evidence]:
    folder = tmp_path_factory.mktemp("cut")
    return folder, import_kinds(folder, CUT)


@pytest.mark.parametrize("kind", CUT)
def test_a_list_of_steps_that_goes_on_where_nothing_is_is_cut(cut: tuple[Path, Evidence], kind: str) -> None:
    folder, evidence = cut
    number = list(CUT).index(kind)

    assert len(evidence.cut_lists) == len(CUT)
    assert len([line for line in evidence.cut_lists if f"steps of run_{number}_ in thread_{number}_" in line]) == 1
    assert is_failing(folder, "lists_cut")
    assert states(folder).get(f"run_{number}_", "list_cut") == "list_cut"


FOLLOWED: dict[str, list[Any]] = {
    "newest first": [RUN, envelope(NEWEST, has_more=True), envelope(OLDEST)],
    "oldest first": [RUN, envelope(STEPS[:2], has_more=True), envelope(STEPS[2:])],
    "one a page": [RUN, *(envelope([step], has_more=step is not STEPS[0]) for step in STEPS[::-1])],
    "the whole list at another time": [RUN, envelope(NEWEST, has_more=True), envelope(STEPS[::-1])],
    "a recording": [
        RUN,
        recording(exchange(PATH, envelope(NEWEST, has_more=True)), exchange(f"{PATH}?after=step_b", envelope(OLDEST))),
    ],
}


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "one after another"])
def test_a_list_that_goes_on_in_another_page_is_not_cut(tmp_path: Path, apart: bool) -> None:
    evidence = import_kinds(tmp_path, FOLLOWED, apart=apart)

    assert evidence.gaps == []
    assert failing_checks(tmp_path) == set()
    assert states(tmp_path) == {f"run_{number}_": "complete" for number in range(len(FOLLOWED))}


@pytest.mark.parametrize(
    "page",
    [envelope(RUNS[:0:-1], has_more=True), recording(exchange("/threads/thread_1/runs?after=run_9", envelope(RUNS)))],
)
def test_a_list_of_runs_that_is_cut_is_told_too(tmp_path: Path, page: JsonObject) -> None:
    [line] = evidence_of(tmp_path, page).cut_lists

    assert "runs of thread_1" in line


def test_a_list_of_runs_that_goes_on_is_not_cut(tmp_path: Path) -> None:
    pages = [envelope(RUNS[:0:-1], has_more=True), envelope(RUNS[:1])]

    assert evidence_of(tmp_path, *pages, apart=True).gaps == []


@pytest.mark.parametrize("steps", [STEPS[:1], STEPS[:2], [*STEPS, step_object("step_d")]], ids=["few", "most", "more"])
def test_a_run_whose_steps_come_to_another_usage_is_named(tmp_path: Path, steps: list[JsonObject]) -> None:
    evidence = evidence_of(tmp_path, [RUN, *steps])

    tokens = 10 * len(steps)
    said = f"{tokens} of the 30 tokens of the run" if tokens < 30 else f"{tokens} tokens, the run says 30"
    assert evidence.differences == [f"run_1 in thread_1: its steps have {said}"]
    assert is_failing(tmp_path, "completeness_broken")


def at(entry: JsonObject, second: int) -> JsonObject:
    return entry | {"startedDateTime": f"2023-11-14T23:00:{second:02}.000Z"}


NO_USAGE = run_object(total=None)
WHOLE = [
    at(exchange(PATH, envelope(NEWEST, has_more=True)), 5),
    at(exchange(f"{PATH}?after=step_b", envelope(OLDEST)), 6),
]


RECORDED: dict[str, tuple[list[JsonObject], str]] = {
    "two pages": (WHOLE, "no_usage"),
    "one page": ([at(exchange(PATH, envelope(STEPS)), 5)], "no_usage"),
    "no steps": ([at(exchange(PATH, envelope([])), 5)], "no_usage"),
    "the first page": (WHOLE[:1], "list_cut"),
    "the last page": (WHOLE[1:], "list_cut"),
    "no word": ([at(exchange(PATH, envelope(STEPS, has_more=None)), 5)], "steps_missing"),
    "unreadable": ([at(exchange(PATH, envelope([*STEPS, {"id": [1]}])), 5)], "list_cut"),
    "too early": (
        [at(exchange(PATH, envelope(STEPS)), 5) | {"startedDateTime": "2023-11-14T22:13:30Z"}],
        "steps_missing",
    ),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The states of runs that were asked for once more after their steps."""
    folder = tmp_path_factory.mktemp("recorded")
    run = at(exchange("/threads/thread_1/runs/run_1", NO_USAGE), 9)
    import_kinds(folder, {kind: [recording(*entries, run)] for kind, (entries, _) in RECORDED.items()})
    return states(folder)


@pytest.mark.parametrize("kind", RECORDED)
def test_a_recording_from_the_start_to_the_end_after_the_run_had_ended_is_proof_without_usage(
    recorded: dict[str, str], kind: str
) -> None:
    assert recorded[f"run_{list(RECORDED).index(kind)}_"] == RECORDED[kind][1]


def test_a_plain_list_is_no_proof(tmp_path: Path) -> None:
    assert evidence_of(tmp_path, NO_USAGE, envelope(STEPS)).unproven["runs_without_usage"] == 1


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([envelope(RUNS)], "3 runs have no steps here"),
        ([STEPS], "1 run is not here, only its steps"),
        ([[NO_USAGE, *STEPS]], "1 run has steps and no usage to compare"),
        (
            [[run_object(total=0), step_object("step_a", usage=None)]],
            "1 run has steps and no usage to compare",
        ),
        ([[run_object(status="in_progress", completed_at=None, total=None)]], "1 run had not ended"),
    ],
)
def test_what_nothing_tells_of_is_said_in_one_line_and_ends_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], documents: list[Any], said: str
) -> None:
    for index, document in enumerate(documents):
        write_json(tmp_path / f"{index}.json", document)

    assert exit_code_of(tmp_path, "0.json") == 0

    assert f"nothing tells whether more is missing: {said}\n" in capsys.readouterr().err


def test_the_command_line_names_and_counts_what_is_missing(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", [RUN, *STEPS[:1]])
    write_json(tmp_path / "b.json", envelope(STEPS[:1], has_more=True))

    ended = run_cli(tmp_path, "import", "a.json", "b.json", "--json", "--data-dir", "data")

    assert ended.returncode == 4
    summary = json.loads(ended.stdout)
    assert (summary["exit_code"], summary["cut_lists"], summary["usage_differs"]) == (4, 1, 0)
    assert summary["missing"] == [
        "b.json: $.data: the page says has_more, and what follows is not here (steps of run_1 in thread_1)"
    ]
    assert "archives are not whole: 1 list cut" in ended.stderr


def test_everything_else_was_imported_is_said_only_where_something_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text(str(RUN))
    (tmp_path / "b.jsonl").write_bytes(lines_of([RUN | {"usage": None}]) + f"{RUN}\n".encode())

    exit_code_of(tmp_path, "a.json")
    assert "everything else" not in capsys.readouterr().err
    exit_code_of(tmp_path, "b.jsonl")
    assert "everything else was imported" in capsys.readouterr().err


SAME = [{"created_at": 1_700_000_100}] * 2
FALLING = [{"created_at": 1_700_000_020}, {"created_at": 1_700_000_010}]


@pytest.mark.parametrize("times", [FALLING, FALLING[::-1]], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["one a line", "a list a line"])
def test_steps_of_one_second_stand_as_the_other_runs_of_the_file_do(
    tmp_path: Path, times: list[JsonObject], wrapped: bool
) -> None:
    shows = [step_object(f"step_x{n}", run_id="run_x") | time for n, time in enumerate(times)]
    same = [step_object(f"step_{n}", run_id="run_y") | time for n, time in enumerate(SAME)]
    (tmp_path / "a.jsonl").write_bytes(lines_of([envelope(same), envelope(shows)] if wrapped else [*same, *shows]))

    import_here(tmp_path / "data", tmp_path / "a.jsonl")

    rows = read_all(tmp_path / "data", "select step_id from run_steps where run_id = 'run_y' order by step_index")
    assert [step_id for (step_id,) in rows] == (["step_1", "step_0"] if times is FALLING else ["step_0", "step_1"])


def test_a_list_that_was_asked_for_ascending_and_falls_is_turned(tmp_path: Path) -> None:
    steps = [*STEPS[::-1], step_object("step_0", at=1)]

    import_here(
        tmp_path / "data", write_json(tmp_path / "a.har", recording(exchange(f"{PATH}?order=asc", envelope(steps))))
    )

    rows = read_all(tmp_path / "data", "select step_id from run_steps order by step_index")
    assert rows == [("step_0",), ("step_a",), ("step_b",), ("step_c",)]


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, "its steps have 30 tokens, the run says 0"),
        ({"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "its steps have 30 tokens, the run says 10"),
        ({"prompt_tokens": 90}, "its steps have 30 tokens, the run says 90"),
        ({"prompt_tokens": 30, "completion_tokens": 20}, "its steps have 30 of the 50 tokens of the run"),
    ],
)
def test_steps_that_do_not_come_to_what_their_run_says_are_named_whatever_it_says(
    tmp_path: Path, usage: JsonObject, said: str
) -> None:
    steps = [step_object(f"step_{letter}", at=at, total=10) for at, letter in enumerate("abc")]

    found = evidence_of(tmp_path, [run_object(usage=usage), *steps])

    assert found.differences == [f"run_1 in thread_1: {said}"]
    assert found.unproven["runs_without_usage"] == 0


@pytest.mark.parametrize(
    ("documents", "open_runs"),
    [
        ([run_object()], 0),
        ([run_object(), STEPS[:1]], 0),
        ([run_object(total=None)], 0),
        ([run_object(status="expired", completed_at=None)], 0),
        ([run_object(status="in_progress", completed_at=None, total=None)], 1),
        ([run_object(status="requires_action"), run_object("run_2")], 1),
        ([run_object(status=None)], 1),
    ],
)
def test_status_counts_the_runs_of_an_archive_that_had_not_ended_as_open(
    tmp_path: Path, documents: list[Any], open_runs: int
) -> None:
    import_here(tmp_path / "data", write_json(tmp_path / "a.json", documents))

    status = read_status(raw_store(tmp_path / "data"), warehouse_path(tmp_path / "data"))

    assert [source["open_runs"] for source in status.as_dict()["sources"]] == [open_runs]


@pytest.mark.parametrize(
    "gap", [[envelope(NEWEST, has_more=True)], [RUN, STEPS[:1]], [{"object": "list", "data": RUNS, "has_more": True}]]
)
def test_an_import_is_judged_by_what_its_own_files_say(tmp_path: Path, gap: list[Any]) -> None:
    write_json(tmp_path / "broken.json", gap)
    whole = run_object("run_9", thread_id="thread_9", total=10)
    write_json(tmp_path / "whole.json", [whole, step_object("step_9", run_id="run_9", thread_id="thread_9")])

    codes = [
        exit_code_of(tmp_path, *files)
        for files in (["broken.json"], ["whole.json"], ["whole.json"], ["broken.json"], ["whole.json", "broken.json"])
    ]

    assert codes == [4, 0, 0, 4, 4]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(RUN) + "\n" + str(RUN),
        str(RUN),
        json.dumps([RUN, {"object": "thread.run.step", "id": "step_1", "run_id": "run_1"}]),
        json.dumps(RUN)[:-9],
        "PK\x03\x04",
    ],
)
def test_what_of_an_archive_could_not_be_read_fails_check(tmp_path: Path, body: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(body, "utf-8")
    progress = import_here(tmp_path / "data", path)

    assert progress.unrecognised == 1
    assert is_failing(tmp_path, "unread_archives")
    rebuild(RawStore(tmp_path / "data/raw"), warehouse_path(tmp_path / "data"), wait_s=1)
    assert is_failing(tmp_path, "unread_archives")


def test_a_file_that_a_newer_version_reads_fails_check_no_more(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", [RUN, *STEPS])
    hash_of = hash_file(path)
    store = RawStore(tmp_path / "data/raw")
    old = ArchiveFile(file="a.json", sha256=hash_of, size_bytes=1, pipeline_version="0.0.1", unrecognised=1)
    sync_id = new_sync_id(NOW, kind=IMPORT_KIND)
    lander = ArchiveLander(store, source="archive", now=NOW, content_key=None, sync_id=sync_id)
    lander.finish_file(old)
    lander.close(NOW, unread=unread_of([old], []))
    load_new_parts(store, warehouse_path(tmp_path / "data"), wait_s=1)
    before = is_failing(tmp_path, "unread_archives")

    import_here(tmp_path / "data", path, now=NOW + timedelta(minutes=1))

    assert (before, is_failing(tmp_path, "unread_archives")) == (True, False)


SEVERAL = {
    "runs of two threads": [run_object("run_1"), run_object("run_2", thread_id="thread_2")],
    "steps of two runs": [step_object("step_1"), step_object("step_2", run_id="run_2")],
    "responses of no conversation": [response(response_id=name, conversation=None) for name in ("resp_1", "resp_2")],
}


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("items", [pytest.param(items, id=key) for key, items in SEVERAL.items()])
def test_a_list_of_several_threads_that_goes_on_is_cut_unless_the_next_page_is_here(
    tmp_path: Path, items: list[JsonObject], *, recorded: bool
) -> None:
    def imported(name: str, *pages: JsonObject) -> list[str]:
        files = [write_json(tmp_path / f"{name}-{index}.json", page) for index, page in enumerate(pages)]
        return import_here(tmp_path / name, *files).open_lists

    first, last = envelope(items[:2], has_more=True), envelope([items[0] | {"id": "last"}])
    pages = [first, last]
    if recorded:
        after = items[-1]["id"]
        places = ["/responses?order=asc", f"/responses?order=asc&after={after}"]
        pages = [recording(exchange(*each)) for each in zip(places, pages, strict=True)]
    assert imported("whole", *pages) == []
    assert imported("turned", *pages[::-1]) == []
    [line] = imported("cut", pages[0])
    assert line.endswith("the page says has_more, and what follows is not here")


@pytest.mark.parametrize("apart", [False, True])
def test_a_step_that_names_no_thread_names_both_that_have_its_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, apart: bool
) -> None:
    runs = [run_object(), run_object(thread_id="thread_2", created_at=1_700_000_001), run_object("run_2")]
    steps = [step_object(f"step_{run_id}", run_id=run_id, thread_id=None) for run_id in ("run_1", "run_2")]
    write_json(tmp_path / "runs.json", runs)
    write_json(tmp_path / "steps.json", steps)
    if apart:
        assert exit_code_of(tmp_path, "runs.json") == 0
        capsys.readouterr()

    assert exit_code_of(tmp_path, "steps.json", *([] if apart else ["runs.json"])) == 4

    said = capsys.readouterr()
    line = "run_1 is in thread_1 and in thread_2: of which its steps are that name no thread, nothing tells"
    assert line in said.err
    assert [json.loads(said.out)[name] for name in ("runs_in_two_threads", "missing")] == [1, [line]]


@pytest.mark.parametrize(
    "said", [{"has_more": "true"}, {"has_more": 1}, {"next_cursor": "abc"}, {"next": "/v1/x?page=2"}, {"nextLink": "x"}]
)
def test_a_page_that_has_another_word_for_more_is_cut(tmp_path: Path, said: JsonObject) -> None:
    page = {"object": "list", "data": [NO_USAGE]} | said

    assert len(evidence_of(tmp_path, page).cut_lists) == 1


@pytest.mark.parametrize("said", [{"has_more": "false"}, {"has_more": 0}, {"next_cursor": None}, {"next": ""}, {}])
def test_a_page_that_has_no_word_for_more_is_not(tmp_path: Path, said: JsonObject) -> None:
    page = {"object": "list", "data": [NO_USAGE]} | said

    assert evidence_of(tmp_path, page).cut_lists == []


def test_what_landed_and_is_in_no_table_is_named(tmp_path: Path) -> None:
    assert evidence_of(tmp_path, [RUN, *STEPS]).dropped == []
    with connect(warehouse_path(tmp_path / "data")) as connection:
        connection.execute("delete from run_steps where step_id <> 'step_a'")
        connection.execute("delete from runs")
    assert read_evidence(warehouse_path(tmp_path / "data"), source="archive").dropped == [
        "run_1 in thread_1: 2 of 3 steps that were found are in no table",
        "thread_1: 1 of 1 runs that were found are in no table",
    ]
