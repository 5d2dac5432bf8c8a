"""Where keys and tokens come from, and that a token stays valid while a sync runs."""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from pipeline.emulator import generate_corpus, running_emulator
from pipeline.errors import ConfigurationError, RefusedError
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.http.tokens import Token, TokenSource, read_key_file, read_token, run_key_command
from pipeline.protocol.endpoint import Endpoint
from pipeline.protocol.json_text import decode_with
from pipeline.settings.lookup import read_settings
from tests.fake_clock import FakeClock
from tests.scripted_server import ScriptedServer, reply
from tests.syncs import environ_for, read_all, run_cli

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
decode = decode_with(dict[str, object], "an object")


def numbered(lifetime: timedelta | None = None) -> Callable[[datetime], Token]:
    """Tokens token-1, token-2 and so on, each valid that long."""
    given: list[str] = []

    def fetch(now: datetime) -> Token:
        given.append(f"token-{len(given) + 1}")
        return Token(given[-1], None if lifetime is None else now + lifetime)

    return fetch


def ask(source: TokenSource, *moments: timedelta) -> list[str]:
    async def run() -> list[str]:
        return [await source.current(NOON + moment) for moment in moments]

    return asyncio.run(run())


def test_a_token_is_used_until_five_minutes_before_its_end_and_then_replaced() -> None:
    source = TokenSource(numbered(timedelta(hours=1)))

    minutes = [timedelta(minutes=minute) for minute in (0, 30, 54, 55, 56)]

    assert ask(source, *minutes) == ["token-1", "token-1", "token-1", "token-2", "token-2"]


def test_a_token_that_is_almost_over_is_not_fetched_for_each_request() -> None:
    source = TokenSource(numbered(timedelta(minutes=4)))

    assert ask(source, timedelta(), timedelta(seconds=29), timedelta(seconds=30)) == ["token-1", "token-1", "token-2"]


def test_a_token_of_unknown_end_is_kept() -> None:
    assert ask(TokenSource(numbered()), timedelta(), timedelta(days=2)) == ["token-1", "token-1"]


def test_a_token_that_cannot_be_renewed_serves_until_its_end_and_then_stops_the_sync() -> None:
    tokens = [Token("token-1", NOON + timedelta(minutes=10))]

    def fetch(_now: datetime) -> Token:
        if not tokens:
            raise ConfigurationError("nobody is signed in")
        return tokens.pop()

    source = TokenSource(fetch)

    assert ask(source, timedelta(), timedelta(minutes=6)) == ["token-1", "token-1"]
    with pytest.raises(RefusedError, match="nobody is signed in"):
        ask(source, timedelta(minutes=10))


def client_of(valid: set[str], source: TokenSource, seen: list[str]) -> ApiClient:
    def answer(request: httpx.Request) -> httpx.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        seen.append(token)
        if token in valid:
            return httpx.Response(200, json={"id": "run_1"})
        return httpx.Response(401, json={"error": {"message": f"the token {token} has expired", "code": "expired"}})

    transport = httpx.MockTransport(answer)
    return ApiClient(Endpoint("https://foundry.example"), Pacer(concurrency=4), transport=transport, tokens=source)


def get_runs(client: ApiClient, count: int) -> None:
    async def run() -> None:
        async with client:
            for _ in range(count):
                await client.get(["runs"], decode=decode)

    asyncio.run(run())


def test_a_token_that_the_server_refuses_is_replaced_once() -> None:
    seen: list[str] = []

    get_runs(client_of({"token-2"}, TokenSource(numbered()), seen), 2)

    assert seen == ["token-1", "token-2", "token-2"]


def test_a_second_refusal_in_a_row_stops_the_sync_without_showing_the_token() -> None:
    seen: list[str] = []

    with pytest.raises(RefusedError, match=r"the token \[secret\] has expired") as caught:
        get_runs(client_of(set(), TokenSource(numbered()), seen), 1)

    assert seen == ["token-1", "token-2"]
    assert "token-2" not in str(caught.value)


def test_what_goes_over_the_wire_is_the_token_that_is_valid_now() -> None:
    time = FakeClock()
    found = '{"id": "run_1"}'

    async def run() -> list[str]:
        async with ScriptedServer((reply(), reply(401), reply(body=found), reply(body=found)), time) as server:
            pacer = Pacer(concurrency=1, clock=time.clock())
            endpoint = Endpoint(server.base_url, {"X-Team": "one", "Authorization": "Basic gateway"})
            async with ApiClient(endpoint, pacer, clock=time.clock(), tokens=TokenSource(numbered())) as client:
                for _ in range(2):
                    await client.get(["runs"], decode=decode)
            return [f"{seen.headers['authorization']}, {seen.headers['x-team']}" for seen in server.seen]

    tokens = ["token-1", "token-1", "token-2", "token-2"]
    assert asyncio.run(run()) == [f"Bearer {token}, one" for token in tokens]


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("marker-token\n", Token("marker-token")),
        ('{"accessToken": "t", "expiresOn": "2020-01-01 00:00:00", "expires_on": 1795176000}', Token("t", NOON)),
        ('{"accessToken": "t", "expiresOn": "2026-11-20T13:00:00+01:00"}', Token("t", NOON)),
        ('{"access_token": "t", "expires_in": 3600}', Token("t", NOON + timedelta(hours=1))),
        ('{"token": "t", "expires_on": "1795176000"}', Token("t", NOON)),
        ('{"accessToken": "t", "expiresOn": "soon"}', Token("t")),
    ],
)
def test_tokens_are_read_as_text_and_from_the_json_of_known_commands(text: str, token: Token) -> None:
    assert read_token(text, now=NOON, where="the command") == token


def test_a_token_without_a_zone_ends_in_local_time() -> None:
    token = read_token('{"accessToken": "t", "expiresOn": "2026-11-20 12:00:00.000000"}', now=NOON, where="az")

    assert token.expires_at == datetime(2026, 11, 20, 12).astimezone(UTC)


@pytest.mark.parametrize("text", ["", "two words", '{"error": "no"}', '{"accessToken": 1}', "{broken"])
def test_what_is_no_token_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^the command") as caught:
        read_token(text, now=NOON, where="the command")

    assert "two words" not in str(caught.value)


def test_a_key_file_must_be_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("marker-key\n")
    path.chmod(0o644)

    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_key_file(path)

    path.chmod(0o600)
    assert read_key_file(path) == "marker-key"


def test_a_command_that_is_missing_or_fails_is_named_and_what_it_said_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="'no-such-command' is not found"):
        run_key_command(["no-such-command"], environ={"PATH": ""})
    failing = [sys.executable, "-c", "import sys; print('marker-token', file=sys.stderr); sys.exit(3)"]
    with pytest.raises(ConfigurationError, match="ended with 3: run it by hand to see why") as caught:
        run_key_command(failing, environ={})
    assert "marker-token" not in str(caught.value)


def test_a_profile_that_names_two_places_for_its_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text('[profiles.default]\napi_key_file = "key"\ntoken_command = ["az"]\n')

    with pytest.raises(ConfigurationError, match="api_key_file and token_command"):
        read_settings({}, {}, tmp_path)


def test_a_key_in_the_environment_is_not_sent_where_the_profile_names_another_place(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("marker-file-key")
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "pipeline.toml").write_text(
        '[profiles.default]\nbase_url = "https://server.example/v1"\napi_key_file = "key"\n'
    )

    endpoint = read_settings({}, {"OPENAI_API_KEY": "marker-key"}, tmp_path).endpoint()

    assert endpoint.headers["Authorization"] == "Bearer marker-file-key"


IDENTITY = """
import collections
Found = collections.namedtuple("Found", "token expires_on")
class DefaultAzureCredential:
    def get_token(self, scope):
        assert scope == "https://ai.azure.com/.default", scope
        return Found("emulator-key", 4102444800)
"""


@pytest.mark.parametrize(
    "source",
    [
        f'api_key_command = ["{sys.executable}", "-c", "print(\'emulator-key\')"]',
        f'token_command = ["{sys.executable}", "-c", "print(\'{{\\"accessToken\\": \\"emulator-key\\"}}\')"]',
        "azure_identity = true",
        'api_key_file = "key"',
    ],
    ids=["api_key_command", "token_command", "azure_identity", "api_key_file"],
)
def test_a_sync_gets_its_key_from_wherever_the_profile_says(source: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("emulator-key\n")
    (tmp_path / "key").chmod(0o600)
    library = tmp_path / "library/azure"
    library.mkdir(parents=True)
    (library / "identity.py").write_text(IDENTITY)
    corpus = generate_corpus(threads=3)
    environ = environ_for()
    environ["PYTHONPATH"] += f":{library.parent}"
    with running_emulator(corpus, dialect="foundry", api_key="emulator-key") as server:
        (tmp_path / "pipeline.toml").write_text(
            f'[profiles.default]\nkind = "foundry"\nbase_url = "{server.base_url}"\n{source}\n'
        )
        done = run_cli(tmp_path, "sync", "--quiet", "--all-threads", environ=environ)

    assert (done.returncode, done.stderr) == (0, "")
    assert read_all(tmp_path / "data", "select count(*) from run_steps") == [(corpus.truth().steps,)]


def test_azure_identity_without_its_library_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(
        '[profiles.default]\nkind = "foundry"\nbase_url = "https://f.example"\nazure_identity = true\n'
    )
    blocked = tmp_path / "blocked/azure"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("")
    environ = environ_for()
    environ["PYTHONPATH"] += f":{blocked.parent}"

    done = run_cli(tmp_path, "sync", "--all-threads", environ=environ)

    assert done.returncode == 2
    assert "install" in done.stderr
    assert "[azure]" in done.stderr
