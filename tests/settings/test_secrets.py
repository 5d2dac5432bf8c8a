"""No key in any output: every byte that a sync writes, also of those that fail, is searched for it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus, running_emulator
from pipeline.settings.invocation import SAMPLE_KEY
from tests.syncs import ROOT, environ_for, raw_files, read_raw, read_tables, run_cli

KEY = "marker-key"
HEADER = "marker-header"
ORGANIZATION = "marker-organization"
SECRETS = (KEY, HEADER)
PROFILE = '[profiles.default]\nkind = "compatible"\nheaders_env = { "X-Gateway" = "GATEWAY_TOKEN" }\n'

# Keys of OpenAI and of gateways, tokens in headers, the sample server's key and what its variable is set to.
KEYS = re.compile(rf"\bsk-[A-Za-z0-9_-]{{8,}}|Bearer [A-Za-z0-9._-]{{8,}}|\b{SAMPLE_KEY}\b|API_KEY=\S")
IMAGES = re.compile(r'"image/png": "[^"]*"')


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_corpus(threads=12)


@pytest.fixture
def server(corpus: Corpus) -> Iterator[RunningEmulator]:
    with running_emulator(corpus, api_key=KEY) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pipeline.toml").write_text(PROFILE)
    return tmp_path


def environ(server: RunningEmulator) -> dict[str, str]:
    return environ_for(server, GATEWAY_TOKEN=HEADER, OPENAI_ORG_ID=ORGANIZATION)


def leaks(folder: Path, *outputs: str) -> list[str]:
    """Where a secret is found: in what was printed, in any file of the folder, or inside a compressed part."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    rows = read_raw(folder / "data").rows() if raw_files(folder / "data") else []
    return [
        *(output for output in outputs if any(secret in output for secret in SECRETS)),
        *(path.name for path in files if any(secret.encode() in path.read_bytes() for secret in SECRETS)),
        *(repr(row) for row in rows if any(secret in repr(row) for secret in SECRETS)),
    ]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_whole_sync_shows_no_key_anywhere(server: RunningEmulator, folder: Path, log_format: str) -> None:
    arguments = ["sync", *server.corpus.thread_ids(), "--log-format", log_format]

    ended = run_cli(folder, *arguments, environ=environ(server))

    assert ended.returncode == 0, ended.stderr
    assert len(raw_files(folder / "data")) > 0
    assert leaks(folder, ended.stdout, ended.stderr) == []


def test_neither_the_report_nor_the_warehouse_of_a_sync_holds_a_key(server: RunningEmulator, folder: Path) -> None:
    synced = run_cli(folder, "sync", *server.corpus.thread_ids(), environ=environ(server))
    reported = run_cli(folder, "report", environ=environ(server))

    [report] = folder.rglob("*.html")
    assert (synced.returncode, reported.returncode) == (0, 0), reported.stderr
    assert report.stat().st_size > 10_000
    # A database packs its texts: what it shows is looked through row by row.
    rows = repr([frame.rows() for frame in read_tables(folder / "data").values()])
    assert leaks(folder, rows, reported.stdout, reported.stderr) == []


def test_the_notebooks_that_are_kept_with_their_results_hold_no_key() -> None:
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    outputs = [
        json.dumps(cell.get("outputs", []))
        for path in notebooks
        for cell in json.loads(path.read_text("utf-8"))["cells"]
    ]

    assert len(notebooks) > 0
    assert sum(len(output) > 100 for output in outputs) > 0
    assert [found.group() for output in outputs for found in KEYS.finditer(IMAGES.sub("", output))] == []


def test_a_dotenv_with_a_header_s_secret_that_others_can_read_is_refused_also_by_doctor(
    server: RunningEmulator, folder: Path
) -> None:
    (folder / ".env").write_text(f"GATEWAY_TOKEN={HEADER}\n")
    (folder / ".env").chmod(0o644)

    ended = run_cli(folder, "sync", "thread_1", environ=environ_for(server))
    examined = run_cli(folder, "doctor", "--offline", environ=environ_for(server))

    assert (ended.returncode, examined.returncode) == (2, 5)
    assert "chmod 600" in ended.stderr
    assert "fail  configuration" in examined.stdout
    (folder / ".env").unlink()
    assert leaks(folder, ended.stdout, ended.stderr, examined.stdout, examined.stderr) == []


def test_status_shows_where_the_key_comes_from_but_not_what_it_is(server: RunningEmulator, folder: Path) -> None:
    text = run_cli(folder, "status", "--config", environ=environ(server))
    as_json = run_cli(folder, "status", "--config", "--json", environ=environ(server))

    assert (text.returncode, as_json.returncode) == (0, 0)
    assert "OPENAI_API_KEY in the environment" in text.stdout
    assert leaks(folder, text.stdout, text.stderr, as_json.stdout, as_json.stderr) == []


# What servers and gateways answer when something is wrong: many repeat the key that they were given.
ECHO = f"Incorrect API key provided: {KEY} (via {HEADER}). You can find your API key in the settings."
FAULTS: dict[str, dict[str, Any]] = {
    "401 that repeats the key": {"fault": "status", "status": 401, "message": ECHO},
    "403 that repeats the key": {"fault": "status", "status": 403, "message": ECHO},
    "a key at the place where messages are cut": {"fault": "status", "status": 401, "message": "x" * 294 + KEY},
    "a quota 429 whose code is the key": {
        "fault": "status",
        "status": 429,
        "error_type": "insufficient_quota",
        "error_code": KEY,
        "message": ECHO,
    },
    "500 with a text": {"fault": "status", "status": 500, "body": "plain", "message": ECHO},
    "500 of a gateway": {"fault": "status", "status": 500, "body": "portkey", "message": ECHO},
    "404 of a gateway": {"fault": "status", "status": 404, "body": "litellm", "message": ECHO},
    "400 with a code": {"fault": "status", "status": 400, "error_code": KEY, "message": ECHO},
    "a redirect with the key": {"fault": "redirect", "location": f"https://{KEY}.example/{KEY}?key={KEY}"},
    "a long wait": {"fault": "status", "status": 429, "headers": {"retry-after": "9999"}, "message": ECHO},
    "HTML": {"fault": "html_200"},
    "half a body": {"fault": "half_json"},
    "a reset": {"fault": "reset"},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_sync_that_fails_shows_no_key_anywhere(server: RunningEmulator, folder: Path, name: str) -> None:
    server.set_faults([FAULTS[name]])
    log_format = ("text", "json")[list(FAULTS).index(name) % 2]
    arguments = ["sync", *server.corpus.thread_ids()[:2], "--attempts", "1", "--log-format", log_format]

    ended = run_cli(folder, *arguments, environ=environ(server))

    assert ended.returncode in (3, 4), ended.stderr
    assert "Traceback" not in ended.stderr
    assert leaks(folder, ended.stdout, ended.stderr) == []


def test_neither_a_token_without_its_scheme_nor_a_parameter_is_shown_anywhere(
    server: RunningEmulator, folder: Path
) -> None:
    profile = 'headers_env = { "X-Gateway" = "GATEWAY_TOKEN" }\nparams = { subscription-key = "marker-header/2" }\n'
    (folder / "pipeline.toml").write_text(f'[profiles.default]\nkind = "compatible"\n{profile}')
    (folder / "pipeline.toml").chmod(0o600)
    message = "not for you: token marker-header-of-gateway, subscription-key=marker-header%2F2, marker-header/2"
    server.set_faults([{"fault": "status", "status": 400, "message": message}])
    served = environ_for(server, GATEWAY_TOKEN="Bearer marker-header-of-gateway")

    synced = run_cli(folder, "sync", "thread_1", "--attempts", "1", environ=served)
    examined = run_cli(folder, "doctor", environ=served)
    (folder / "pipeline.toml").unlink()

    assert "token [secret], subscription-key=[secret], [secret]" in synced.stderr
    assert "not for you: token [secret]" in examined.stdout
    assert leaks(folder, synced.stdout, synced.stderr, examined.stdout, examined.stderr) == []


def test_a_beginning_of_the_key_is_not_shown_either(server: RunningEmulator, folder: Path) -> None:
    server.set_faults([FAULTS["a key at the place where messages are cut"]])

    ended = run_cli(folder, "sync", "thread_1", environ=environ(server))

    assert ended.returncode == 3
    assert KEY[:4] not in ended.stderr


def test_a_wrong_key_is_not_repeated_and_its_variable_is_named(server: RunningEmulator, folder: Path) -> None:
    variables = environ(server) | {"OPENAI_API_KEY": f"wrong-{KEY}"}

    ended = run_cli(folder, "sync", *server.corpus.thread_ids(), environ=variables)

    assert (ended.returncode, "Traceback" in ended.stderr) == (3, False)
    assert "refuses us" in ended.stderr
    assert leaks(folder, ended.stdout, ended.stderr) == []


@pytest.mark.parametrize("base_url", [f"http://user:{KEY}@127.0.0.1:9/v1", f"http://127.0.0.1:9/v1?key={KEY}"])
def test_a_key_in_the_base_url_is_refused_without_repeating_it(
    server: RunningEmulator, folder: Path, base_url: str
) -> None:
    ended = run_cli(folder, "sync", "thread_1", environ=environ(server) | {"OPENAI_BASE_URL": base_url})

    assert ended.returncode == 2
    assert leaks(folder, ended.stdout, ended.stderr) == []


def test_a_key_in_the_configuration_file_is_refused_without_repeating_it(
    server: RunningEmulator, tmp_path: Path
) -> None:
    (tmp_path / "pipeline.toml").write_text(f'[profiles.default]\napi_key = "{KEY}"\n')

    ended = run_cli(tmp_path, "sync", "thread_1", environ=environ(server))

    assert (ended.returncode, KEY in ended.stdout + ended.stderr) == (2, False)
    assert "api_key_env" in ended.stderr
