"""Responses that are named by their ids: one that cannot be had fails alone, what is open is completed later."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.emulator import RunningEmulator, running_emulator
from pipeline.emulator.successors.responses import Story
from tests.syncs import environ_for, read_all, run_cli, sync_here


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningEmulator]:
    with running_emulator(threads=1, phase=1) as server:
        yield server


@pytest.fixture
def server(shared: RunningEmulator) -> RunningEmulator:
    shared.clear_faults()
    shared.clear_requests()
    return shared


def chain_with_functions(server: RunningEmulator) -> Story:
    """A chain whose next-to-last response calls functions and whose last has their outputs put into it."""
    return next(
        story
        for story in server.emulation.successors.stories
        if story.conversation_id is None
        and len(story.histories) > 1
        and any(item["type"] == "function_call" for item in story.histories[-2].after["output"])
    )


def outputs_of(folder: Path, run_id: str) -> list[tuple[bool]]:
    sql = "select output is not null from tool_calls where run_id = $run and type = 'function'"
    return read_all(folder, sql, {"run": run_id})


@pytest.mark.parametrize(
    ("fault", "verdict", "status"),
    [
        ({"fault": "status", "status": 404}, "complete", "missing"),
        ({"fault": "status", "status": 400}, "incomplete", "failed"),
        ({"fault": "not_envelope", "kind": "object"}, "incomplete", "failed"),
    ],
    ids=["gone", "malformed-id", "no-response"],
)
def test_an_id_that_cannot_be_had_fails_alone(
    server: RunningEmulator, tmp_path: Path, fault: dict[str, object], verdict: str, status: str
) -> None:
    first, second = [history.after["id"] for history in server.emulation.successors.histories[:2]]
    server.set_faults([{"route": "get_response", "match": {"run_id": first}, **fault}])

    result = sync_here(server, tmp_path, protocol="responses", thread_ids=[first, second])

    assert result.verdict == verdict
    assert read_all(tmp_path, "select run_id from runs") == [(second,)]
    assert read_all(tmp_path, "select status from threads where thread_id = $id", {"id": first}) == [(status,)]


def test_of_a_response_that_is_not_found_it_is_said_how_long_they_are_kept(
    server: RunningEmulator, tmp_path: Path
) -> None:
    (tmp_path / "pipeline.toml").write_text('[profiles.default]\nkind = "responses"\n')
    (tmp_path / "log").write_text('{"resp_id": "resp_0123456789", "resp_time": 7}')

    ended = run_cli(tmp_path, "sync", "--responses", "log", environ=environ_for(server))

    assert "1 of 1 threads do not exist on the server (404)" in ended.stderr
    assert "OpenAI keeps them for 30 days" in ended.stderr


def test_a_response_that_is_had_later_leaves_no_thread_of_its_own(server: RunningEmulator, tmp_path: Path) -> None:
    story = next(story for story in server.emulation.successors.stories if story.conversation_id and story.histories)
    response_id = story.histories[0].after["id"]
    server.set_faults([{"route": "get_response", "fault": "status", "status": 400}])
    sync_here(server, tmp_path, protocol="responses", thread_ids=[response_id])
    assert read_all(tmp_path, "select thread_id from threads") == [(response_id,)]

    server.clear_faults()
    sync_here(server, tmp_path, protocol="responses", thread_ids=[response_id])
    assert read_all(tmp_path, "select thread_id, status from threads") == [(story.conversation_id, "synced")]


def test_a_gateway_s_new_id_for_each_answer_does_not_matter(server: RunningEmulator, tmp_path: Path) -> None:
    response_id = chain_with_functions(server).histories[0].after["id"]
    server.set_faults([{"route": "get_response", "fault": "record", "kind": "odd_ids"}])
    for _ in range(2):
        sync_here(server, tmp_path, protocol="responses", thread_ids=[response_id], full=True)
    assert read_all(tmp_path, "select thread_id, run_id, extra->>'id' <> run_id from runs") == [
        (response_id, response_id, True)
    ]


def test_outputs_come_with_the_response_that_goes_on_whenever_that_is_named(
    server: RunningEmulator, tmp_path: Path
) -> None:
    calling, answering = [history.after["id"] for history in chain_with_functions(server).histories[-2:]]
    sync_here(server, tmp_path, protocol="responses", thread_ids=[calling])
    assert not any(answered for (answered,) in outputs_of(tmp_path, calling))
    assert read_all(tmp_path, "select sealed from runs") == [(False,)]

    sync_here(server, tmp_path, protocol="responses", thread_ids=[answering])
    sync_here(server, tmp_path, protocol="responses", thread_ids=[calling])

    assert all(answered for (answered,) in outputs_of(tmp_path, calling))
    assert read_all(tmp_path, "select distinct sealed from runs") == [(True,)]


def test_a_list_that_ends_after_100_items_without_an_output_is_said(server: RunningEmulator, tmp_path: Path) -> None:
    story = max(server.emulation.successors.stories, key=lambda story: len(story.histories))
    server.set_faults([{"route": "list_conversation_items", "fault": "oldest_only"}])
    result = sync_here(server, tmp_path, protocol="responses", thread_ids=[str(story.conversation_id)])
    assert result.verdict == "incomplete"
    (error,) = read_all(tmp_path, "select error from walks where resource = 'runs'")[0]
    assert "ends after exactly 100 items and lacks outputs" in error
    assert read_all(tmp_path, "select count(*) from runs") == [(len(story.histories),)]


def test_what_litellm_cannot_do_is_not_asked_for_again(server: RunningEmulator, tmp_path: Path) -> None:
    message = "GET responses is not supported for deepseek"
    server.set_faults([{"route": "get_response", "fault": "status", "status": 500, "message": message}])
    response_id = server.emulation.successors.histories[0].after["id"]
    assert sync_here(server, tmp_path, protocol="responses", thread_ids=[response_id]).verdict == "incomplete"
    assert len(server.requests()) == 1


def test_a_chain_is_fetched_back_to_its_start_on_request(server: RunningEmulator, tmp_path: Path) -> None:
    story = chain_with_functions(server)
    ids = [history.after["id"] for history in story.histories]
    (tmp_path / "pipeline.toml").write_text(
        f'[profiles.default]\nkind = "responses"\nbase_url = "{server.base_url}"\nworkers = 1\n'
    )
    (tmp_path / "app.log").write_text(f"stored {ids[-1]}\n")
    environ, folder = environ_for(OPENAI_API_KEY=server.api_key), tmp_path / "data"

    more: list[str]
    for more, known in (([], ids[-1:]), (["--chains", "--full"], ids)):
        ended = run_cli(tmp_path, "sync", "--responses", "app.log", *more, environ=environ)
        assert ended.returncode == 0, ended.stderr
        assert {run_id for (run_id,) in read_all(folder, "select run_id from runs")} == set(known)
    assert read_all(folder, "select run_id from runs where previous_run_id is null") == [(ids[0],)]
    called = sum(item["type"] == "function_call" for history in story.histories for item in history.after["output"])
    assert read_all(folder, "select count(output) from tool_calls where type = 'function'") == [(called,)]
    assert read_all(folder, "select count(*) from runs where not sealed") == [(0,)]


def sync_chain(server: RunningEmulator, folder: Path, *more: str) -> int:
    """The exit code of a sync of the last response of the longest chain."""
    (folder / "pipeline.toml").write_text(
        f'[profiles.default]\nkind = "responses"\nbase_url = "{server.base_url}"\nworkers = 1\n'
    )
    (folder / "app.log").write_text(f"stored {longest_chain(server)[-1]}\n")
    environ = environ_for(OPENAI_API_KEY=server.api_key)
    return run_cli(folder, "sync", "--responses", "app.log", *more, environ=environ).returncode


def longest_chain(server: RunningEmulator) -> list[str]:
    stories = [story for story in server.emulation.successors.stories if story.conversation_id is None]
    return [history.after["id"] for history in max(stories, key=lambda story: len(story.histories)).histories]


@pytest.mark.parametrize("known", [1, 2], ids=["the last", "some"])
def test_a_chain_goes_on_where_it_was_left(server: RunningEmulator, tmp_path: Path, known: int) -> None:
    ids = longest_chain(server)
    assert len(ids) > known + 1
    for response_id in ids[-known:]:
        sync_here(server, tmp_path / "data", protocol="responses", thread_ids=[response_id])

    assert sync_chain(server, tmp_path, "--chains") == 0

    assert {run_id for (run_id,) in read_all(tmp_path / "data", "select run_id from runs")} == set(ids)


@pytest.mark.parametrize("gone", [0, -2], ids=["the first", "the last but one"])
def test_a_chain_whose_earlier_responses_are_gone_is_as_complete_as_it_can_be(
    server: RunningEmulator, tmp_path: Path, gone: int
) -> None:
    ids = longest_chain(server)
    server.set_faults([{"route": "get_response", "match": {"run_id": ids[gone]}, "fault": "status", "status": 404}])

    assert [sync_chain(server, tmp_path, "--chains") for _ in range(2)] == [0, 0]

    missing = "select thread_id from threads where status = 'missing'"
    assert read_all(tmp_path / "data", missing) == [(ids[gone],)]


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [
        ("responses", ["--all-threads"], "lists neither conversations nor the responses of one"),
        ("responses", ["conv_1"], "lists neither conversations nor the responses of one"),
        ("agents", ["--responses", "log"], "--responses is for servers that have responses"),
        ("foundry", ["--known", "--chains"], "--chains is for servers that have responses"),
        ("compatible", ["--responses", "log"], "--responses is for servers that have responses"),
        ("responses", ["--responses", "empty"], "no response ids in empty"),
    ],
)
def test_what_a_kind_does_not_have_is_refused_with_what_it_has(
    tmp_path: Path, kind: str, arguments: list[str], said: str
) -> None:
    (tmp_path / "pipeline.toml").write_text(
        f'[profiles.default]\nkind = "{kind}"\nbase_url = "http://127.0.0.1:9/v1"\n'
    )
    (tmp_path / "log").write_text("resp_1")
    (tmp_path / "empty").write_text("nothing")
    ended = run_cli(tmp_path, "sync", *arguments, environ=environ_for(OPENAI_API_KEY="x", AZURE_AI_TOKEN="x"))
    assert (ended.returncode, said in ended.stderr) == (2, True)
