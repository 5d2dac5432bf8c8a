"""Content-free mode as a whole: no text of a customer on disk or in what is printed, and every total is kept."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus, running_emulator
from pipeline.errors import ConfigurationError
from pipeline.privacy.hiding import ContentKey
from pipeline.settings.invocation import Settings
from pipeline.settings.lookup import read_settings
from pipeline.verbs.content_key import History, check_content, read_content_key, read_history
from pipeline.warehouse.database import warehouse_path
from tests.marked import MARK, find_marks, mark_corpus, mark_object
from tests.syncs import environ_for, read_all, read_raw, run_cli, sync_here

KEY = "marker-key-marker-key-marker-key"
OTHER_KEY = "other-key-other-key-other-key-other"
TELLING = {
    "fault": "status",
    "status": 400,
    "message": f"the text {MARK} is not allowed",
    "error_code": f"{MARK} code",
}


@pytest.fixture(scope="module")
def account() -> Corpus:
    """Every awkward case but the three longest threads."""
    corpus = generate_corpus(threads=27)
    return replace(corpus, threads=tuple(thread for thread in corpus.threads if len(thread.runs) < 50))


@pytest.fixture(scope="module")
def marked(account: Corpus) -> Corpus:
    """About 200 steps."""
    short = [thread for thread in account.threads if sum(len(run.steps) for run in thread.runs) < 100]
    return mark_corpus(replace(account, threads=tuple(short)))


@pytest.fixture
def server(marked: Corpus) -> Iterator[RunningEmulator]:
    with running_emulator(marked) as server:
        yield server


def environ(server: RunningEmulator | None, key: str | None = KEY) -> dict[str, str]:
    return environ_for(server, **({"PIPELINE_CONTENT_KEY": key} if key is not None else {}))


@pytest.mark.parametrize("workers", ["0", "2"])
def test_no_text_of_a_customer_is_on_disk_or_printed(server: RunningEmulator, tmp_path: Path, workers: str) -> None:
    (tmp_path / "pipeline.toml").write_text(
        f'[profiles.default]\nkind = "compatible"\ncontent = "hashed"\nworkers = {workers}\n'
    )

    ended = run_cli(tmp_path, "sync", *server.corpus.thread_ids(), environ=environ(server))

    # A run and a step of it are broken.
    assert ended.returncode == 4, ended.stderr
    assert MARK not in ended.stdout + ended.stderr
    assert find_marks(tmp_path) == []
    assert KEY not in "".join(repr(row) for row in read_raw(tmp_path / "data").rows())
    assert read_all(tmp_path / "data", "select count(*) from rejects where found like '%hmac:%'")[0][0] > 5
    assert read_all(
        tmp_path / "data",
        "select count(*) from rejects where json_path like '%tool_calls[6]' and starts_with(found, '\"hmac:')",
    ) == [(1,)]


def test_the_search_finds_the_texts_of_a_sync_that_keeps_them(server: RunningEmulator, tmp_path: Path) -> None:
    sync_here(server, tmp_path / "data")

    found = find_marks(tmp_path)

    assert "data/warehouse.duckdb" in found
    assert len(found) == 2


@pytest.mark.parametrize("code", [f"{MARK} code", f"{MARK}_is_ill", f"{MARK.title()}Error"])
def test_what_a_server_says_of_an_error_is_not_repeated(server: RunningEmulator, tmp_path: Path, code: str) -> None:
    server.set_faults([{"route": "list_steps", **TELLING, "error_code": code, "error_type": code}])

    ended = run_cli(tmp_path, "sync", "--content", "hashed", *server.corpus.thread_ids()[:3], environ=environ(server))

    assert ended.returncode == 4
    assert "HTTP 400" in ended.stderr
    assert MARK not in (ended.stdout + ended.stderr).lower()
    assert find_marks(tmp_path) == []


def test_totals_costs_waste_and_failures_are_those_of_full_mode(account: Corpus, tmp_path: Path) -> None:
    with running_emulator(account) as server:
        sync_here(server, tmp_path / "full")
        sync_here(server, tmp_path / "hashed", content_key=ContentKey(KEY.encode()))

    hidden = {word: ContentKey(KEY.encode()).hide(word) for word in ("quark_search", "telepathy")}
    for sql in (
        "select columns(* exclude (walk_id, last_error_message, metadata, extra)) from run_steps order by all",
        "select step_id, call_index, type, name, child_run_id, length(payload) > 0 from tool_calls order by all",
        "select columns(*) from tool_call_costs order by all",
        "select columns(*) from tool_usage order by all",
        "select columns(* exclude (arguments)) from repeated_tool_calls order by all",
        "select columns(* exclude (arguments, output, error_message)) from tool_failures order by all",
        "select columns(*) from step_costs order by all",
        "select columns(*) from run_costs order by all",
        "select columns(*) from daily_spend order by all",
        "select columns(*) from code_interpreter_sessions order by all",
        "select columns(*) from connected_agent_costs order by all",
        "select columns(* exclude (last_error_message)) from unfinished_run_costs order by all",
        "select file_id, score, output_index from file_search_results natural full join code_interpreter_outputs"
        " order by all",
        "select sum(cost_usd), count(*) from runs join run_costs using (source, thread_id, run_id)"
        " group by metadata->>'customer' order by all",
    ):
        hashed, full = read_all(tmp_path / "hashed", sql), read_all(tmp_path / "full", sql)
        assert len(full) > 1, sql
        # A type that nobody published is hidden; its rows are the same ones.
        known = [tuple(hidden.get(value, value) for value in row) for row in full]
        assert sorted(map(repr, hashed)) == sorted(map(repr, known)), sql
    methods = read_all(tmp_path / "hashed", "select distinct method from tool_call_costs order by all")
    assert methods == [("by_bytes",), ("even",), ("exact",)]


def test_the_same_key_gives_the_same_hashes_in_the_next_sync(server: RunningEmulator, tmp_path: Path) -> None:
    sql = "select run_id, instructions, metadata from runs order by all"
    key, thread_ids = ContentKey(KEY.encode()), server.corpus.thread_ids()[:3]
    sync_here(server, tmp_path, thread_ids=thread_ids, content_key=key)
    first = read_all(tmp_path, sql)

    sync_here(server, tmp_path, thread_ids=thread_ids, full=True, content_key=key)

    assert read_all(tmp_path, sql) == first
    assert read_all(tmp_path, "select count(*) from syncs") == [(2,)]


def settings_of(folder: Path, *, flags: dict[str, str] | None = None, **environ: str) -> Settings:
    return read_settings(flags or {}, environ, folder)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "set the environment variable PIPELINE_CONTENT_KEY"),
        (
            {"PIPELINE_CONTENT_KEY": "short"},
            r"PIPELINE_CONTENT_KEY in the environment\) has 5 signs and needs at least 32",
        ),
    ],
)
def test_a_key_that_is_missing_or_short_is_a_configuration_error(
    tmp_path: Path, environ: dict[str, str], message: str
) -> None:
    settings = settings_of(tmp_path, flags={"content": "hashed"}, **environ)

    with pytest.raises(ConfigurationError, match=message):
        read_content_key(settings)


def test_without_hashing_no_key_is_needed(tmp_path: Path) -> None:
    assert read_content_key(settings_of(tmp_path)) is None


def test_the_key_comes_from_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(
        '[profiles.default]\ncontent = "hashed"\ncontent_key_file = "content.key"\n'
    )
    key_file = tmp_path / "content.key"
    key_file.write_text(KEY + "\n")
    key_file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_content_key(settings_of(tmp_path))
    key_file.chmod(0o600)

    # A key that happens to be in the environment is not for a profile that names another place.
    found = read_content_key(settings_of(tmp_path, PIPELINE_CONTENT_KEY=OTHER_KEY))

    assert found == ContentKey(KEY.encode())


def test_the_key_comes_from_a_command_or_a_variable_that_the_profile_names(tmp_path: Path) -> None:
    config = tmp_path / "pipeline.toml"
    config.write_text(f'[profiles.default]\ncontent = "hashed"\ncontent_key_command = ["echo", "{KEY}"]\n')
    from_command = read_content_key(settings_of(tmp_path, PATH=os.environ["PATH"]))
    config.write_text('[profiles.default]\ncontent = "hashed"\ncontent_key_env = "OUR_KEY"\n')

    from_variable = read_content_key(settings_of(tmp_path, OUR_KEY=KEY))

    assert from_command == from_variable == ContentKey(KEY.encode())


def test_a_key_in_the_profile_itself_and_two_places_for_it_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "pipeline.toml"
    config.write_text(f'[profiles.default]\ncontent_key = "{KEY}"\n')
    with pytest.raises(ConfigurationError, match="content_key_env, content_key_file or content_key_command"):
        settings_of(tmp_path)
    config.write_text('[profiles.default]\ncontent_key_env = "A"\ncontent_key_file = "b"\n')

    with pytest.raises(ConfigurationError, match="say one place for the content key"):
        settings_of(tmp_path)


def test_the_key_is_masked_and_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    shown = settings_of(tmp_path, PIPELINE_CONTENT="hashed", PIPELINE_CONTENT_KEY=KEY)

    assert KEY not in repr(shown) + repr(shown.describe())
    assert ("content", "hashed", "PIPELINE_CONTENT in the environment") in shown.describe()
    with pytest.raises(ConfigurationError, match=r"content = .hash. .* is not one of full, hashed"):
        settings_of(tmp_path, PIPELINE_CONTENT="hash")


def test_a_source_that_was_hashed_is_kept_in_full_only_if_a_person_says_so(tmp_path: Path) -> None:
    history = History(newest="hashed", key="0123")
    with pytest.raises(ConfigurationError, match="were hashed so far and nothing says so now"):
        check_content(history, settings_of(tmp_path), "default", None)

    [notice] = check_content(history, settings_of(tmp_path, flags={"content": "full"}), "default", None)

    assert notice == "contents of source 'default' were hashed so far and are kept in full from now on (--content)"


def test_another_key_than_that_of_earlier_syncs_is_refused(tmp_path: Path) -> None:
    settings, key = settings_of(tmp_path), ContentKey(KEY.encode())
    assert check_content(History(newest="hashed", key=key.fingerprint), settings, "default", key) == []

    with pytest.raises(ConfigurationError, match="not the one that source 'default' was hashed with"):
        check_content(History(newest="full", key="0123"), settings, "default", key)


def test_a_person_is_told_that_texts_of_earlier_syncs_stay(tmp_path: Path) -> None:
    [notice] = check_content(
        History(newest="full", was_full=True), settings_of(tmp_path), "default", ContentKey(KEY.encode())
    )

    assert "kept contents in full, and they stay as they are" in notice
    assert "forget --full-content" in notice


def test_the_warehouse_knows_the_mode_and_the_key_of_a_source(server: RunningEmulator, tmp_path: Path) -> None:
    key, thread_id = ContentKey(KEY.encode()), server.corpus.thread_ids()[0]
    sync_here(server, tmp_path, thread_ids=[thread_id])
    sync_here(server, tmp_path, thread_ids=[thread_id], content_key=key)

    assert read_history(warehouse_path(tmp_path), "default") == History("hashed", key.fingerprint, was_full=True)
    assert read_history(warehouse_path(tmp_path), "another") == History()


def test_contents_that_were_kept_in_full_can_be_hidden_afterwards(server: RunningEmulator, tmp_path: Path) -> None:
    sync_here(server, tmp_path / "data")
    sync_here(server, tmp_path / "hashed", content_key=ContentKey(KEY.encode()))
    costs = "select columns(* exclude (type, name)) from tool_call_costs order by all"
    before = read_all(tmp_path / "data", costs)

    ended = run_cli(tmp_path, "forget", "--full-content", "--yes", environ=environ(server))

    assert ended.returncode == 0, ended.stderr
    assert find_marks(tmp_path / "data") == []
    sql = "select step_id, call_index, arguments, output, payload from tool_calls order by all"
    assert read_all(tmp_path / "data", sql) == read_all(tmp_path / "hashed", sql)
    assert read_all(tmp_path / "data", costs) == before
    assert not read_history(warehouse_path(tmp_path / "data"), "default").was_full


def test_an_import_hides_contents_and_what_nobody_recognises(account: Corpus, tmp_path: Path) -> None:
    run = next(run for thread in account.threads for run in thread.runs if run.steps)
    objects = [mark_object(json.loads(item.body)) for item in (run.item, *run.steps)]
    lines = [*(json.dumps(item) for item in objects), json.dumps({"a": MARK}), f"no JSON {MARK}", f'{{"{MARK}']
    (tmp_path / "archive.jsonl").write_text("\n".join(lines))

    ended = run_cli(tmp_path, "import", "archive.jsonl", "--content", "hashed", "--json", environ=environ(None))
    (tmp_path / "archive.jsonl").unlink()

    assert ended.returncode == 4, ended.stderr
    assert MARK not in ended.stdout + ended.stderr
    assert find_marks(tmp_path) == []
    assert read_all(tmp_path / "data", "select count(*) from run_steps") == [(len(run.steps),)]


def test_single_objects_and_lists_are_printed_without_contents(server: RunningEmulator, tmp_path: Path) -> None:
    thread = next(thread for thread in server.corpus.threads if any(run.steps for run in thread.runs))
    run = next(run for run in thread.runs if run.steps)
    place = [thread.item.object_id, run.item.object_id]
    variables = {**environ(server), "PIPELINE_CONTENT": "hashed"}

    ended = [
        run_cli(tmp_path, "runs", "get", *place, environ=variables),
        run_cli(tmp_path, "steps", "list", *place, "--all", environ=variables),
    ]

    assert [one.returncode for one in ended] == [0, 0]
    assert [one.stdout.count("hmac:") > 0 for one in ended] == [True, True]
    assert MARK not in "".join(one.stdout + one.stderr for one in ended)
