"""The verbs `runs` and `steps`: what a server sent, byte for byte, with every parameter of the protocol."""

import json
from pathlib import Path

import pytest

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus
from pipeline.verbs.objects import one_line
from tests.syncs import environ_for, run_cli


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_corpus(threads=27)


@pytest.fixture
def server(shared_server: RunningEmulator) -> RunningEmulator:
    shared_server.clear_faults()
    shared_server.clear_requests()
    return shared_server


def long_run(corpus: Corpus) -> tuple[str, str, list[bytes]]:
    """Thread, run and the bodies of the steps of a run with 230 steps."""
    (found,) = (
        (thread.item.object_id, run.item.object_id, [step.body for step in run.steps])
        for thread in corpus.threads
        for run in thread.runs
        if len(run.steps) == 230
    )
    return found


def run_verb(folder: Path, server: RunningEmulator, *arguments: str) -> tuple[int, list[bytes], str]:
    done = run_cli(folder, *arguments, environ=environ_for(server))
    return done.returncode, [line.encode() for line in done.stdout.splitlines()], done.stderr


def step_id(body: bytes) -> str:
    return str(json.loads(body)["id"])


def test_steps_list_prints_one_page_as_sent_and_says_that_there_is_more(
    corpus: Corpus, server: RunningEmulator, tmp_path: Path
) -> None:
    thread, run, bodies = long_run(corpus)

    code, lines, said = run_verb(tmp_path, server, "steps", "list", thread, run)

    assert (code, lines) == (0, bodies[:-21:-1])
    assert said == f"there are more: --all, or --after {step_id(bodies[-20])}\n"


def test_steps_list_all_prints_every_step_in_the_order_asked_for(
    corpus: Corpus, server: RunningEmulator, tmp_path: Path
) -> None:
    thread, run, bodies = long_run(corpus)

    code, lines, said = run_verb(tmp_path, server, "steps", "list", thread, run, "--all", "--order", "asc")

    assert (code, lines, said) == (0, bodies, "")
    # One of them asks at the edge of the first page whether the cursor skips items.
    assert [request["limit"] for request in server.requests()] == ["100", "100", "1", "100"]


def test_limit_order_after_and_before_reach_the_server(corpus: Corpus, server: RunningEmulator, tmp_path: Path) -> None:
    thread, run, bodies = long_run(corpus)
    cursors = ("--after", step_id(bodies[9]), "--before", step_id(bodies[14]))

    code, lines, _ = run_verb(
        tmp_path, server, *("steps", "list", thread, run, "--limit", "3", "--order", "asc"), *cursors
    )

    assert (code, lines) == (0, bodies[10:13])
    (request,) = server.requests()
    assert (request["limit"], request["order"]) == ("3", "asc")
    assert (request["after"], request["before"]) == (step_id(bodies[9]), step_id(bodies[14]))


def test_all_goes_on_from_after_in_pages_of_the_limit(corpus: Corpus, server: RunningEmulator, tmp_path: Path) -> None:
    thread, run, bodies = long_run(corpus)
    options = ("--all", "--order", "asc", "--limit", "50", "--after", step_id(bodies[99]))

    code, lines, _ = run_verb(tmp_path, server, "steps", "list", thread, run, *options)

    assert (code, lines) == (0, bodies[100:])
    assert [request["limit"] for request in server.requests()] == ["50", "50", "1", "50"]


def test_include_content_brings_the_texts_that_file_searches_found(
    corpus: Corpus, server: RunningEmulator, tmp_path: Path
) -> None:
    thread, run, step = next(
        (thread.item.object_id, run.item.object_id, step)
        for thread in corpus.threads
        for run in thread.runs
        for step in run.steps
        if step.body_with_content is not None
    )

    ids = (thread, run, step.object_id)
    without = run_verb(tmp_path, server, "steps", "get", *ids)
    with_content = run_verb(tmp_path, server, "steps", "get", *ids, "--include", "content")
    listed = run_verb(tmp_path, server, "steps", "list", thread, run, "--all", "--include", "content")

    assert without == (0, [step.body], "")
    assert with_content == (0, [step.body_with_content], "")
    assert step.body_with_content in listed[1]


def test_runs_list_and_runs_get_print_runs_as_sent(corpus: Corpus, server: RunningEmulator, tmp_path: Path) -> None:
    (thread,) = (thread for thread in corpus.threads if len(thread.runs) == 120)
    bodies = [run.item.body for run in thread.runs]

    listed = run_verb(tmp_path, server, "runs", "list", thread.item.object_id, "--all", "--order", "asc")
    got = run_verb(tmp_path, server, "runs", "get", thread.item.object_id, thread.runs[0].item.object_id)

    assert listed == (0, bodies, "")
    assert got == (0, [bodies[0]], "")


def test_an_object_that_is_not_there_ends_with_4_and_the_servers_words(
    corpus: Corpus, server: RunningEmulator, tmp_path: Path
) -> None:
    thread, run, _ = long_run(corpus)

    code, lines, said = run_verb(tmp_path, server, "steps", "get", thread, run, "step_none")

    assert (code, lines) == (4, [])
    assert "HTTP 404" in said
    assert "No run step found with id 'step_none'" in said


def test_a_wrong_key_ends_with_3(corpus: Corpus, server: RunningEmulator, tmp_path: Path) -> None:
    thread, _, _ = long_run(corpus)

    done = run_cli(tmp_path, "runs", "list", thread, environ={**environ_for(server), "OPENAI_API_KEY": "marker-key"})

    assert (done.returncode, done.stdout) == (3, "")


def test_a_walk_that_breaks_prints_what_came_before_and_ends_with_4(
    corpus: Corpus, server: RunningEmulator, tmp_path: Path
) -> None:
    thread, run, bodies = long_run(corpus)
    server.set_faults([{"fault": "empty_page_more", "from_page": 1}])

    code, lines, said = run_verb(tmp_path, server, "steps", "list", thread, run, "--all", "--order", "asc")

    assert (code, lines) == (4, bodies[:100])
    assert "is empty but says has_more" in said


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_all_of_a_server_that_answers_lists_whole_is_proven_from_the_other_end(
    order: str, corpus: Corpus, server: RunningEmulator, tmp_path: Path
) -> None:
    thread, run, bodies = long_run(corpus)
    server.set_faults([{"fault": "limit_ignored"}, {"fault": "missing_has_more"}])

    code, lines, _ = run_verb(tmp_path, server, "steps", "list", thread, run, "--all", "--order", order)

    assert (code, lines) == (0, bodies if order == "asc" else bodies[::-1])


def test_all_and_before_together_are_refused(server: RunningEmulator, tmp_path: Path) -> None:
    code, _, said = run_verb(tmp_path, server, "steps", "list", "thread_1", "run_1", "--all", "--before", "step_1")

    assert code == 2
    assert "--before is for one page" in said


def test_an_id_that_would_change_the_path_is_refused(server: RunningEmulator, tmp_path: Path) -> None:
    code, _, _ = run_verb(tmp_path, server, "runs", "get", "thread_1", "..")

    assert (code, server.requests()) == (2, [])


def test_only_line_breaks_of_the_formatting_go_and_nothing_else() -> None:
    assert one_line(b'{\r\n  "text": "a\\n b",\n  "n": 1.50\n}\n') == b'{  "text": "a\\n b",  "n": 1.50}'
