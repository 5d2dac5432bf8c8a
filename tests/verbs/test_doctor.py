"""What `doctor` sees and advises: each thing that can be amiss, with real servers, files and processes."""

import asyncio
import email.utils
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import trustme

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus, running_emulator
from pipeline.raw.parts import PartName
from pipeline.raw.places import raw_store
from pipeline.settings.lookup import read_settings
from pipeline.storage.private_files import aside_of
from pipeline.storage.writer_lock import only_writer
from pipeline.verbs.doctor.command import Examination, find_diagnoses
from pipeline.verbs.doctor.diagnosis import Diagnosis
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts
from pipeline.warehouse.loaded_parts import prune_parts
from tests.http.test_transport import TlsServer
from tests.landed import Listing, instant, land, run_of, step_of
from tests.scripted_server import ScriptedServer, error_body, list_body, reply
from tests.syncs import environ_for, run_cli, sync_here

KEY = "marker-key"
CHECKS = [
    "configuration", "key", "server", "clock", "disk", "rights", "lock", "warehouse", "raw parts", "leftovers",
    "values", "prices", "open runs",
]  # fmt: skip


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_corpus(threads=3)


@pytest.fixture
def server(corpus: Corpus) -> Iterator[RunningEmulator]:
    with running_emulator(corpus, api_key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "data"
    store = raw_store(folder)
    run = run_of("run_1", model="gpt-4o", created_at=1_700_000_000, usage={"prompt_tokens": 1, "total_tokens": 1})
    land(store, Listing(0, [run]), Listing(1, [step_of("step_1")], run_id="run_1"), sync_id="sync_1")
    load_new_parts(store, warehouse_path(folder), wait_s=0)
    return folder


@pytest.fixture
def loaded(made: Path, tmp_path: Path) -> Path:
    """A data folder with one loaded part."""
    return shutil.copytree(made, tmp_path / "data")


def examine(folder: Path, environ: dict[str, str] | None = None, *, all_parts: bool = False) -> list[Diagnosis]:
    settings = read_settings({}, environ or {}, folder)
    examination = Examination(settings, None, folder / "data", all_parts=all_parts)
    return list(find_diagnoses(examination, now=datetime.now(UTC)))


def one(diagnoses: list[Diagnosis], check: str) -> Diagnosis:
    [diagnosis] = [each for each in diagnoses if each.check == check]
    return diagnosis


def environ_of(base_url: str) -> dict[str, str]:
    return {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": KEY}


# --- the whole ------------------------------------------------------------------------------------------------------


def test_where_all_is_well_each_thing_has_a_line_and_no_key_is_shown(server: RunningEmulator, tmp_path: Path) -> None:
    sync_here(server, tmp_path / "data")
    (tmp_path / "data").chmod(0o700)
    server.clear_requests()

    ended = run_cli(tmp_path, "doctor", environ=environ_for(server))

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [line[6:19].strip() for line in ended.stdout.splitlines()] == CHECKS
    assert {line[:4] for line in ended.stdout.splitlines()[:10]} == {"ok  "}
    assert len(server.requests()) == 1
    assert KEY not in ended.stdout + ended.stderr


def test_with_nothing_configured_and_nothing_fetched_it_says_how_to_begin_and_makes_nothing(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "doctor", "--json")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    outcome = json.loads(ended.stdout)
    assert (outcome["healthy"], outcome["checks"][0]["state"]) == (True, "warn")
    assert "sync --sample" in outcome["checks"][0]["advice"]
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_that_cannot_be_read_fails_and_the_data_is_looked_at_all_the_same(loaded: Path) -> None:
    (loaded.parent / "pipeline.toml").write_text("[profiles")

    ended = run_cli(loaded.parent, "doctor")

    lines = ended.stdout.splitlines()
    assert (ended.returncode, "Traceback" in ended.stderr) == (5, False)
    assert lines[0].startswith("fail  configuration  ")
    assert any(line.startswith("ok    warehouse ") for line in lines)


# --- the server -----------------------------------------------------------------------------------------------------


ECHO = f"no such key: {KEY}"
ANSWERS = {
    "a list": (reply(200, list_body("run_1")), "ok", "answered HTTP 200"),
    "an unknown thread": (reply(404, error_body(message="No thread")), "ok", "does not know a made-up thread"),
    "a refused key": (reply(401, error_body(message=ECHO)), "fail", "[secret]"),
    "a used-up quota": (reply(429, error_body(code="insufficient_quota")), "fail", "insufficient_quota"),
    "too many requests": (reply(429, error_body(code="slow_down")), "warn", "come again later"),
    "a page of another server": (reply(200, "<html></html>"), "fail", "not with a list of runs"),
    "an unknown route": (reply(404, "<html></html>"), "warn", "look at the base URL"),
    "a route that LiteLLM lacks": (reply(404, '{"detail":"Not Found"}'), "warn", "/openai/v1"),
    "a redirect": (reply(302, "", {"Location": "https://other.example/"}), "fail", "set the base URL"),
    "nothing": (b"", "fail", "no answer"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_of_the_server_tells_what_to_do(tmp_path: Path, name: str) -> None:
    answer, state, said = ANSWERS[name]

    async def run() -> tuple[list[Diagnosis], int]:
        async with ScriptedServer([answer]) as server:
            return await asyncio.to_thread(examine, tmp_path, environ_of(server.base_url)), len(server.seen)

    diagnoses, requests = asyncio.run(run())
    diagnosis = one(diagnoses, "server")
    assert (diagnosis.state, requests) == (state, 1)
    assert said in diagnosis.line
    assert KEY not in repr(diagnoses)


@pytest.mark.parametrize(
    ("base_url", "said"),
    [("https://nobody.invalid/v1", "NO_PROXY"), ("https://127.0.0.1:9/v1", "Connection refused")],
)
def test_a_server_that_is_not_there_is_named_with_the_step_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base_url: str, said: str
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)

    diagnoses = examine(tmp_path, environ_of(base_url))

    assert one(diagnoses, "server").state == "fail"
    assert said in one(diagnoses, "server").line


def test_a_certificate_that_nobody_vouches_for_is_named_with_where_to_put_the_authority(tmp_path: Path) -> None:
    async def run() -> list[Diagnosis]:
        async with TlsServer(trustme.CA().issue_cert("127.0.0.1")).running() as server:
            return await asyncio.to_thread(examine, tmp_path, environ_of(f"https://127.0.0.1:{server.port}/v1"))

    diagnosis = one(asyncio.run(run()), "server")

    assert (diagnosis.state, "SSL_CERT_FILE" in diagnosis.line) == ("fail", True)


@pytest.mark.parametrize(
    ("ahead_s", "state", "said"),
    [
        (0, "ok", ""),
        (120, "warn", "NTP"),
        (3600, "fail", "NTP"),
        (-3600, "fail", "NTP"),
        (None, "warn", "not compared"),
    ],
)
def test_a_clock_that_differs_from_the_servers_is_seen(
    tmp_path: Path, ahead_s: int | None, state: str, said: str
) -> None:
    async def run() -> list[Diagnosis]:
        moment = datetime.now(UTC) + timedelta(seconds=ahead_s or 0)
        headers = {} if ahead_s is None else {"Date": email.utils.format_datetime(moment, usegmt=True)}
        async with ScriptedServer([reply(200, list_body("run_1"), headers)]) as server:
            return await asyncio.to_thread(examine, tmp_path, environ_of(server.base_url))

    diagnosis = one(asyncio.run(run()), "clock")

    assert diagnosis.state == state
    assert said in diagnosis.line


# --- the key --------------------------------------------------------------------------------------------------------


def test_a_missing_key_is_named_by_its_variable(tmp_path: Path) -> None:
    diagnoses = examine(tmp_path, {"OPENAI_BASE_URL": "https://api.example/v1"})

    assert one(diagnoses, "key").state == "fail"
    assert "OPENAI_API_KEY" in one(diagnoses, "key").line
    assert "server" not in [diagnosis.check for diagnosis in diagnoses]


def test_a_key_file_that_others_can_read_fails_with_the_command_that_mends_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o644)
    profile = '[profiles.default]\nbase_url = "https://api.example/v1"\napi_key_file = "key"\n'
    (tmp_path / "pipeline.toml").write_text(profile)

    diagnosis = one(examine(tmp_path), "key")

    assert (diagnosis.state, "chmod 600" in diagnosis.line, KEY in diagnosis.line) == ("fail", True, False)


def test_a_base_url_that_would_carry_the_key_in_the_open_fails(tmp_path: Path) -> None:
    diagnosis = one(examine(tmp_path, environ_of("http://api.example/v1")), "configuration")

    assert (diagnosis.state, "plain http" in diagnosis.line) == ("fail", True)


# --- the data -------------------------------------------------------------------------------------------------------


def test_a_warehouse_of_another_schema_fails_with_the_way_to_make_it_anew(loaded: Path) -> None:
    with duckdb.connect(str(warehouse_path(loaded))) as connection:
        connection.execute("update schema_version set version = 99")

    diagnosis = one(examine(loaded.parent), "warehouse")

    assert (diagnosis.state, "load --rebuild" in diagnosis.line) == ("fail", True)


def test_a_file_that_is_no_warehouse_fails(loaded: Path) -> None:
    warehouse_path(loaded).write_bytes(b"not a database" * 1000)

    assert one(examine(loaded.parent), "warehouse").state == "fail"


def test_a_load_that_is_under_way_is_seen(loaded: Path) -> None:
    with only_writer(warehouse_path(loaded), wait_s=0):
        assert one(examine(loaded.parent), "lock").state == "warn"

    assert one(examine(loaded.parent), "lock").state == "ok"


def test_a_process_that_holds_the_warehouse_is_named(loaded: Path) -> None:
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(warehouse_path(loaded))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        diagnoses = examine(loaded.parent)
        process.communicate("")

    assert (one(diagnoses, "lock").state, one(diagnoses, "warehouse").state) == ("warn", "warn")
    assert f"process {process.pid} " in one(diagnoses, "lock").line


def test_a_part_that_waits_is_named_with_the_command_that_loads_it(loaded: Path) -> None:
    land(raw_store(loaded), Listing(2, [run_of("run_2")]), sync_id="sync_2")

    diagnosis = one(examine(loaded.parent), "raw parts")

    assert (diagnosis.state, "pipeline load" in diagnosis.line) == ("warn", True)


def test_a_damaged_part_fails_and_one_that_was_set_aside_warns(loaded: Path) -> None:
    store, part = raw_store(loaded), PartName("main", "sync_1-0-000001")
    store.path(part).write_bytes(store.path(part).read_bytes()[:-40] + bytes(40))
    assert one(examine(loaded.parent), "raw parts").state == "fail"

    store.set_aside(part)

    said = [diagnosis.line for diagnosis in examine(loaded.parent) if diagnosis.check == "raw parts"]
    assert [line[:4] for line in said] == ["warn", "warn"]
    assert "set aside: sync_1-0-000001.parquet.damaged" in said[0]
    assert "gone since: sync_1-0-000001" in said[1]


def test_a_part_that_was_pruned_is_well_until_its_warehouse_is_gone(loaded: Path) -> None:
    prune_parts(raw_store(loaded), warehouse_path(loaded), before=instant(60), now=instant(90), wait_s=0)
    assert one(examine(loaded.parent), "raw parts").line.endswith(
        "1 pruned: keep a copy of the warehouse, it alone has what they held and no rebuild brings it back"
    )

    warehouse_path(loaded).unlink()

    diagnosis = one(examine(loaded.parent), "raw parts")
    assert (diagnosis.state, "restore it" in diagnosis.line) == ("fail", True)


def test_models_without_a_price_and_runs_that_stay_open_are_named(tmp_path: Path) -> None:
    store = raw_store(tmp_path / "data")
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    run = run_of("run_1", "in_progress", model="contoso-chat", created_at=1_700_000_000)
    step = step_of("step_1", created_at=1_700_000_001, usage=usage)
    land(store, Listing(0, [run]), Listing(1, [step], run_id="run_1", run_status="in_progress"))
    load_new_parts(store, warehouse_path(tmp_path / "data"), wait_s=0)

    diagnoses = examine(tmp_path)

    assert "1 model without a price: contoso-chat" in one(diagnoses, "prices").line
    assert "1 run open for more than 7 days" in one(diagnoses, "open runs").line


def test_a_data_folder_that_is_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")

    diagnosis = one(examine(tmp_path), "disk")

    assert (diagnosis.state, "--data-dir" in diagnosis.line) == ("fail", True)


def test_files_that_others_can_read_are_named(loaded: Path) -> None:
    warehouse_path(loaded).chmod(0o644)

    diagnosis = one(examine(loaded.parent), "rights")

    assert (diagnosis.state, "chmod -R go-rwx" in diagnosis.line) == ("warn", True)


def test_what_a_dead_process_left_is_named_but_not_what_a_living_one_is_writing(loaded: Path) -> None:
    part = raw_store(loaded).path(PartName("main", "sync_9-0-000001"))
    aside_of(part).write_bytes(b"ours")
    assert one(examine(loaded.parent), "leftovers").state == "ok"

    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    left = aside_of(part).name.replace(f".{os.getpid()}-", f".{process.pid}-")
    part.with_name(left).write_bytes(b"theirs")

    diagnosis = one(examine(loaded.parent), "leftovers")
    assert (diagnosis.state, left in diagnosis.line) == ("warn", True)
