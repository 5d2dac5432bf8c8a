"""Where each setting comes from, what reaches the server, and what is refused or never shown."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigurationError
from pipeline.protocol.kinds import KINDS
from pipeline.settings.invocation import Settings
from pipeline.settings.lookup import BOUNDS, DEFAULTS, read_settings
from pipeline.settings.profiles import Profile

MARKER = "marker-key"
SERVER = "https://api.example/v1"


def write(
    folder: Path,
    *,
    toml: str | None = None,
    dotenv: str | bytes | None = None,
    mode: int = 0o600,
    toml_mode: int = 0o600,
) -> Path:
    if toml is not None:
        (folder / "pipeline.toml").write_text(toml, "utf-8")
        (folder / "pipeline.toml").chmod(toml_mode)
    if dotenv is not None:
        path = folder / ".env"
        path.write_bytes(dotenv.encode() if isinstance(dotenv, str) else dotenv)
        path.chmod(mode)
    return folder


def read(folder: Path, flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    return read_settings(flags or {}, environ or {}, folder)


def origin(settings: Settings, name: str) -> tuple[Any, str]:
    setting = settings.settings[name]
    return setting.value, setting.origin


# --- precedence -------------------------------------------------------------------------------------------------------


def test_a_flag_comes_before_the_environment_before_dotenv_before_the_file_before_the_default(tmp_path: Path) -> None:
    toml = '[profiles.default]\nbase_url = "https://file.example"\n'
    dotenv = "OPENAI_BASE_URL=https://dotenv.example\n"
    flags = {"base_url": "https://flag.example"}
    environ = {"OPENAI_BASE_URL": "https://environment.example"}

    assert origin(read(tmp_path), "base_url") == (None, "default")
    write(tmp_path, toml=toml)
    assert origin(read(tmp_path), "base_url") == ("https://file.example", "pipeline.toml [profiles.default]")
    write(tmp_path, dotenv=dotenv)
    assert origin(read(tmp_path), "base_url") == ("https://dotenv.example", "OPENAI_BASE_URL in .env")
    assert origin(read(tmp_path, environ=environ), "base_url") == (
        "https://environment.example",
        "OPENAI_BASE_URL in the environment",
    )
    assert origin(read(tmp_path, flags, environ), "base_url") == ("https://flag.example", "--base-url")


def test_the_key_comes_from_the_environment_before_dotenv(tmp_path: Path) -> None:
    write(tmp_path, dotenv="OPENAI_API_KEY=from-dotenv\n")
    assert origin(read(tmp_path), "api_key") == ("from-dotenv", "OPENAI_API_KEY in .env")
    found = read(tmp_path, environ={"OPENAI_API_KEY": "from-environment"})
    assert origin(found, "api_key") == ("from-environment", "OPENAI_API_KEY in the environment")


def test_an_empty_variable_and_a_flag_that_is_not_given_say_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, {"base_url": None, "concurrency": None}, {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": ""})
    assert origin(found, "base_url") == (None, "default")
    assert origin(found, "concurrency") == (32, "default")
    assert origin(found, "api_key") == (None, "default")


def test_flags_with_names_of_their_own_are_shown_by_those(tmp_path: Path) -> None:
    found = read(tmp_path, {"plain_http_hosts": ["gateway.internal"], "include_content": False})
    assert origin(found, "plain_http_hosts") == (["gateway.internal"], "--allow-http")
    assert origin(found, "include_content") == (False, "--search-content/--no-search-content")


def test_the_profile_is_chosen_by_flag_then_environment_then_file(tmp_path: Path) -> None:
    write(tmp_path, toml='profile = "a"\ndata_dir = "kept"\n[profiles.a]\n[profiles.b]\n[profiles.c]\n')
    assert origin(read(tmp_path), "profile") == ("a", "pipeline.toml")
    environ = {"PIPELINE_PROFILE": "b", "PIPELINE_DATA_DIR": "elsewhere"}
    assert origin(read(tmp_path, environ=environ), "profile") == ("b", "PIPELINE_PROFILE in the environment")
    assert origin(read(tmp_path, {"profile": "c"}, environ), "profile") == ("c", "--profile")
    assert read(tmp_path).data_dir == Path("kept")
    assert read(tmp_path, environ=environ).data_dir == Path("elsewhere")


# --- what reaches the server ------------------------------------------------------------------------------------------

FULL_PROFILE = """
[profiles.full]
kind = "compatible"
base_url = "http://gateway.internal/v1/"
api_key_env = "MY_KEY"
auth = "api-key"
organization = "org-1"
project = "proj-1"
beta = "assistants=v1"
headers = { x-team = "blue" }
headers_env = { x-virtual-key = "VIRTUAL" }
params = { api-version = "v9" }
plain_http_hosts = ["gateway.internal"]
concurrency = 7
requests_per_minute = 90
timeout_s = 12.5
attempts = 3
longest_retry_after_s = 40
include_content = false
"""


def test_every_field_of_a_profile_reaches_the_endpoint_or_the_policy(tmp_path: Path) -> None:
    write(tmp_path, toml=FULL_PROFILE)
    found = read(tmp_path, {"profile": "full"}, {"MY_KEY": MARKER, "VIRTUAL": "virtual-1"})
    endpoint = found.endpoint()
    assert endpoint.base_url == "http://gateway.internal/v1"
    assert endpoint.headers == {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "User-Agent": "run-steps-pipeline",
        "OpenAI-Beta": "assistants=v1",
        "OpenAI-Organization": "org-1",
        "OpenAI-Project": "proj-1",
        "x-team": "blue",
        "x-virtual-key": "virtual-1",
        "api-key": MARKER,
    }
    assert endpoint.params == (("api-version", "v9"),)
    assert {MARKER, "virtual-1"} <= set(endpoint.secrets)
    assert endpoint.timeout_s == 12.5
    assert (found.retry_policy.attempts, found.retry_policy.longest_retry_after_s) == (3, 40.0)
    assert (found["concurrency"], found["requests_per_minute"], found["include_content"]) == (7, 90.0, False)


def test_every_field_of_a_profile_has_a_default() -> None:
    fields = set(Profile.__struct_fields__) - {"api_key_env", "content_key_env"}
    assert fields <= set(DEFAULTS)


@pytest.mark.parametrize(
    "kind, variable, header, value",
    [
        ("openai", "OPENAI_API_KEY", "Authorization", f"Bearer {MARKER}"),
        ("azure-openai", "AZURE_OPENAI_API_KEY", "api-key", MARKER),
        ("foundry", "AZURE_AI_TOKEN", "Authorization", f"Bearer {MARKER}"),
        ("portkey", "PORTKEY_API_KEY", "x-portkey-api-key", MARKER),
        ("litellm", "LITELLM_API_KEY", "Authorization", f"Bearer {MARKER}"),
        ("compatible", "OPENAI_API_KEY", "Authorization", f"Bearer {MARKER}"),
    ],
)
def test_each_kind_carries_its_key_in_its_header(
    tmp_path: Path, kind: str, variable: str, header: str, value: str
) -> None:
    write(tmp_path, toml=f'[profiles.default]\nkind = "{kind}"\nbase_url = "{SERVER}"\n')
    endpoint = read(tmp_path, environ={variable: MARKER}).endpoint()
    assert endpoint.headers[header] == value
    assert [name for name, sent in endpoint.headers.items() if MARKER in sent] == [header]


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.key_required])
def test_a_missing_key_is_refused_with_the_variable_to_set(tmp_path: Path, kind: str) -> None:
    write(tmp_path, toml=f'[profiles.default]\nkind = "{kind}"\nbase_url = "{SERVER}"\n')
    with pytest.raises(ConfigurationError, match=f"set the environment variable {KINDS[kind].key_variable} "):
        read(tmp_path).endpoint()


def test_a_server_that_wants_no_key_gets_none(tmp_path: Path) -> None:
    write(tmp_path, toml=f'[profiles.default]\nauth = "none"\nbase_url = "{SERVER}"\n')
    headers = read(tmp_path, environ={"OPENAI_API_KEY": MARKER}).endpoint().headers
    assert MARKER not in str(headers)


def test_no_server_is_an_error_that_says_what_to_type() -> None:
    with pytest.raises(ConfigurationError, match="python -m pipeline sync --sample") as raised:
        read(Path("/nowhere"), environ={"OPENAI_API_KEY": MARKER}).endpoint()
    assert raised.value.exit_code == 2


def test_a_header_whose_variable_is_not_set_is_an_error(tmp_path: Path) -> None:
    toml = f'[profiles.default]\nkind = "compatible"\nbase_url = "{SERVER}"\nheaders_env = {{ x-key = "NOT_SET" }}\n'
    write(tmp_path, toml=toml)
    with pytest.raises(ConfigurationError, match="the header x-key is to come from NOT_SET, which is not set"):
        read(tmp_path).endpoint()


@pytest.mark.parametrize("key", [f"{MARKER}\nx", "schlüssel-" + MARKER, f"{MARKER}\x00", f"{MARKER}“"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigurationError, match="the header Authorization") as raised:
        read(tmp_path, {"base_url": SERVER}, {"OPENAI_API_KEY": key}).endpoint()
    assert MARKER not in str(raised.value)


def test_a_line_end_after_the_key_is_not_part_of_it(tmp_path: Path) -> None:
    endpoint = read(tmp_path, {"base_url": SERVER}, {"OPENAI_API_KEY": f" {MARKER}\r\n"}).endpoint()
    assert endpoint.headers["Authorization"] == f"Bearer {MARKER}"
    assert endpoint.secrets == (MARKER,)


def test_the_sample_takes_nothing_of_a_real_server_along(tmp_path: Path) -> None:
    write(tmp_path, toml=FULL_PROFILE)
    found = read(tmp_path, {"profile": "full"}, {"MY_KEY": MARKER, "VIRTUAL": "virtual-1"})
    sample = found.for_sample("http://127.0.0.1:9/v1", source="sample")
    endpoint = sample.endpoint()
    assert sample.source == "sample"
    assert endpoint.base_url == "http://127.0.0.1:9/v1"
    assert MARKER not in str(endpoint.headers)
    assert "virtual-1" not in str(endpoint.headers)


# --- what is never shown ----------------------------------------------------------------------------------------------


def test_secrets_are_masked_wherever_settings_are_shown(tmp_path: Path) -> None:
    toml = (
        f'[profiles.default]\nbase_url = "https://user:{MARKER}@api.example/v1?key={MARKER}"\n'
        f'headers = {{ x-virtual-key = "{MARKER}" }}\nheaders_env = {{ x-other = "OTHER" }}\n'
        f'params = {{ api-version = "v1", code = "{MARKER}" }}\n'
    )
    write(tmp_path, toml=toml)
    found = read(tmp_path, environ={"OPENAI_API_KEY": MARKER, "OTHER": MARKER})
    rows = {name: (value, where) for name, value, where in found.describe()}
    assert rows["api_key"] == ("(set, not shown)", "OPENAI_API_KEY in the environment")
    assert rows["headers"][0] == "x-virtual-key: (set, not shown)"
    assert rows["params"][0] == "api-version: v1, code: (set, not shown)"
    assert rows["base_url"][0] == "https://api.example/v1"
    assert MARKER not in f"{rows} {found!r} {found.settings!r}"


def test_what_the_kind_decides_is_shown_as_the_kind_s_until_something_else_says_it(tmp_path: Path) -> None:
    toml = f"""
[profiles.plain]
kind = "foundry"
base_url = "{SERVER}"
[profiles.said]
kind = "portkey"
auth = "bearer"
params = {{ a = "{MARKER}" }}
[profiles.azure]
kind = "azure-openai"
params = {{ a = "{MARKER}" }}
"""
    write(tmp_path, toml=toml)
    plain, said, azure = (
        {name: (value, where) for name, value, where in read(tmp_path, {"profile": profile}).describe()}
        for profile in ("plain", "said", "azure")
    )

    assert plain["auth"] == ("bearer", "kind foundry")
    assert plain["params"] == ("api-version: v1", "kind foundry")
    assert plain["token_scope"] == ("https://ai.azure.com/.default", "kind foundry")
    assert plain["follow_agents"] == ("True", "kind foundry")
    assert plain["beta"] == ("", "default")
    assert said["auth"] == ("bearer", "pipeline.toml [profiles.said]")
    assert said["beta"] == ("assistants=v2", "kind portkey")
    assert said["base_url"] == ("https://api.portkey.ai/v1", "kind portkey")
    assert said["params"][1] == "pipeline.toml [profiles.said]"
    assert azure["params"] == (
        "api-version: 2024-05-01-preview, a: (set, not shown)",
        "kind azure-openai, pipeline.toml [profiles.azure]",
    )


@pytest.mark.parametrize(
    "line", ['base_url = "api.example"', 'base_url = "https://api.example/v1"\nheaders_env = { x-a = "NOT_SET" }']
)
def test_a_profile_that_leads_to_no_server_is_named(tmp_path: Path, line: str) -> None:
    write(tmp_path, toml=f"[profiles.other]\n{line}\n")
    with pytest.raises(ConfigurationError, match="profile 'other'"):
        read(tmp_path, {"profile": "other"}, {"OPENAI_API_KEY": MARKER}).endpoint()


def test_headers_written_into_the_file_are_secrets_of_the_endpoint(tmp_path: Path) -> None:
    toml = f'[profiles.default]\nbase_url = "{SERVER}"\nheaders = {{ x-virtual-key = "virtual-1", x-flag = "1" }}\n'
    write(tmp_path, toml=toml)
    endpoint = read(tmp_path, environ={"OPENAI_API_KEY": MARKER}).endpoint()
    assert endpoint.redact("virtual-1 in 10 tries") == "[secret] in 10 tries"


def test_a_token_is_a_secret_without_its_scheme_too(tmp_path: Path) -> None:
    toml = (
        f'[profiles.default]\nbase_url = "{SERVER}"\n'
        'headers_env = { Authorization = "GW" }\nheaders = { X-Proxy-Auth = "Basic marker+word=" }\n'
    )
    write(tmp_path, toml=toml)
    endpoint = read(tmp_path, environ={"OPENAI_API_KEY": MARKER, "GW": "Bearer marker-gateway"}).endpoint()
    told = endpoint.redact("Bearer marker-gateway, marker-gateway, marker+word=, marker%2Bword%3D: no Bearer")
    assert told == "[secret], [secret], [secret], [secret]: no Bearer"


def test_parameters_are_secrets_of_the_endpoint_as_they_are_and_as_a_url_has_them(tmp_path: Path) -> None:
    params = '{ subscription-key = "marker/word 1", "x" = "marker-other", "api-version" = "2026-01-01", region = "eu" }'
    write(tmp_path, toml=f'[profiles.default]\nbase_url = "{SERVER}"\nparams = {params}\n')
    endpoint = read(tmp_path, environ={"OPENAI_API_KEY": MARKER}).endpoint()
    told = endpoint.redact("marker/word 1 marker%2Fword%201 marker/word%201 marker%2Fword+1 marker-other 2026-01-01 eu")
    assert told == "[secret] [secret] [secret] [secret] [secret] 2026-01-01 eu"


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "toml, message",
    [
        (f'[profiles.default]\napi_key = "{MARKER}"\n', "a key belongs into the environment"),
        ("[profiles.default\n", "pipeline.toml cannot be read"),
        ("[profiles.default]\nspeed = 3\n", r"\[profiles.default\]: Object contains unknown field `speed`"),
        ('[profiles.default]\nconcurrency = "many"\n', r"\[profiles.default\]: .*concurrency"),
        ('[profiles.default]\nauth = "password"\n', "password"),
        ('colour = "red"\n', "unknown field `colour`"),
        ('profiles = "x"\n', "profiles"),
        ('[profiles.default]\nkind = "gopher"\n', r"kind = 'gopher' \(pipeline.toml \[profiles.default\]\) is not one"),
        ("[profiles.default]\nconcurrency = 0\n", r"concurrency = 0 \(pipeline.toml \[profiles.default\]\) is too"),
        ("[profiles.default]\nattempts = 0\n", "attempts = 0"),
        ("[profiles.default]\ntimeout_s = 0\n", "timeout_s = 0"),
        ("[profiles.default]\nrequests_per_minute = 0\n", "requests_per_minute = 0"),
        ("[profiles.default]\ntimeout_s = nan\n", "timeout_s = nan"),
        ('profile = "../x"\n[profiles."../x"]\n', "may have letters, digits, - and _ only"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_place(tmp_path: Path, toml: str, message: str) -> None:
    write(tmp_path, toml=toml)
    with pytest.raises(ConfigurationError, match=message) as raised:
        read(tmp_path)
    assert MARKER not in str(raised.value)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"pipeline.toml cannot be read"):
        read(tmp_path)


def test_an_unknown_profile_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    write(tmp_path, toml="[profiles.b]\n[profiles.a]\n")
    with pytest.raises(ConfigurationError, match=r"no profile 'c' \(there is: a, b\): add \[profiles.c\]"):
        read(tmp_path, {"profile": "c"})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_dotenv_with_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    write(tmp_path, dotenv=f"OPENAI_API_KEY={MARKER}\n", mode=mode)
    with pytest.raises(ConfigurationError, match=r"\.env holds a key and others can read it: chmod 600") as raised:
        read(tmp_path)
    assert MARKER not in str(raised.value)


GATEWAY = "[profiles.default]\nheaders_env = { X-Gateway = 'GATEWAY_PASS' }\n[profiles.b]\napi_key_env = 'ACCESS'\n"


@pytest.mark.parametrize("variable", ["GATEWAY_PASS", "ACCESS", "ANY_TOKEN", "AZURE_CLIENT_SECRET"])
def test_a_dotenv_with_any_variable_that_a_secret_is_taken_from_is_refused_where_others_can_read_it(
    tmp_path: Path, variable: str
) -> None:
    write(tmp_path, toml=GATEWAY, dotenv=f"{variable}={MARKER}\n", mode=0o644)
    with pytest.raises(ConfigurationError, match=rf"chmod 600 .*\.env \(the key: {variable}\)") as raised:
        read(tmp_path)
    assert MARKER not in str(raised.value)


WRITTEN = {
    "headers = { Authorization = 'Bearer %s' }": r"\[profiles.b\] spells out the header Authorization.* in headers_env",
    "headers = { api-key = '%s' }": "the header api-key",
    "headers = { x-portkey-api-key = '%s' }": "the header x-portkey-api-key",
    "headers = { X-Vault-Token = '%s' }": "the header X-Vault-Token",
    "headers = { X-My-ClientSecret = '%s' }": "the header X-My-ClientSecret",
    "headers = { X-Gateway = 'Basic %s' }": "the header X-Gateway",
    "params = { subscription-key = '%s' }": r"the parameter subscription-key.*chmod 600 \S+$",
    "token_command = ['curl', '-H', 'X-Vault-Token: %s-0123456789']": "an argument of token_command, which looks like",
    "api_key_command = ['sh', '-c', 'PASS=%s-0123456789 get']": "an argument of api_key_command",
    "api_key_command = ['get', '--token', '%s-0123456789']": "an argument of api_key_command",
    "content_key_command = ['curl', '-H', 'Authorization: Bearer %s-0123456789']": "an argument of content_key_command",
}


@pytest.mark.parametrize(
    "command",
    [
        ["az", "account", "get-access-token", "--resource", "https://cognitiveservices.azure.com", "-o", "tsv"],
        ["op", "read", "op://vault-1/production-openai-1/credential"],
        ["aws", "secretsmanager", "get-secret-value", "--secret-id", "prod/openai"],
        ["aws", "get", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/openai-AbCdEf"],
        ["gcloud", "secrets", "versions", "access", "latest", "--secret=openai-key"],
        ["sh", "-c", 'curl -H "Authorization: Bearer $GATEWAY_TOKEN_OF_2026" https://keys.example'],
    ],
)
def test_commands_that_fetch_a_credential_may_be_read_by_others(tmp_path: Path, command: list[str]) -> None:
    write(tmp_path, toml=f"[profiles.default]\napi_key_command = {json.dumps(command)}\n", toml_mode=0o644)
    assert read(tmp_path)["api_key_command"] == command


@pytest.mark.parametrize(
    "place", ["s3://K:marker-secret@bucket/x", "az://box/x?sig=marker-secret", "s3://K:marker-secret/w@bucket"]
)
def test_a_place_is_shown_without_its_credentials(tmp_path: Path, place: str) -> None:
    rows = {name: value for name, value, _ in read(tmp_path, environ={"PIPELINE_RAW": place}).describe()}
    assert rows["raw"] == "(not shown: it holds a user name, a query or a fragment)"


@pytest.mark.parametrize("line", WRITTEN)
def test_a_credential_that_the_file_spells_out_is_refused_where_others_can_read_it(tmp_path: Path, line: str) -> None:
    write(tmp_path, toml=f"[profiles.b]\n{line % MARKER}\n", toml_mode=0o644)
    with pytest.raises(ConfigurationError, match=WRITTEN[line]) as raised:
        read(tmp_path)
    assert MARKER not in str(raised.value)
    (tmp_path / "pipeline.toml").chmod(0o600)
    assert read(tmp_path, {"profile": "b"}).source == "b"


def test_other_headers_may_be_read_by_others(tmp_path: Path) -> None:
    line = "headers = { x-max-tokens = '5', x-portkey-provider = 'openai', x-team = 'blue', x-empty-key = '' }"
    write(tmp_path, toml=f"[profiles.default]\n{line}\nparams = {{ api-version = 'v1' }}\n", toml_mode=0o644)
    assert read(tmp_path)["params"] == {"api-version": "v1"}


def test_of_a_command_only_the_program_is_shown(tmp_path: Path) -> None:
    command = f'["/usr/bin/curl", "-H", "X-Vault-Token: {MARKER}"]'
    write(tmp_path, toml=f'[profiles.default]\napi_key_command = {command}\ncontent_key_command = ["keys"]\n')
    rows = {name: value for name, value, _ in read(tmp_path).describe()}
    assert (rows["api_key_command"], rows["content_key_command"]) == ("curl (arguments not shown)", "keys")
    assert MARKER not in str(rows)


def test_a_dotenv_without_a_key_may_be_read_by_others(tmp_path: Path) -> None:
    write(tmp_path, dotenv=f"OPENAI_BASE_URL={SERVER}\n", mode=0o644)
    assert read(tmp_path)["base_url"] == SERVER


def test_a_dotenv_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    write(tmp_path, dotenv=b"OPENAI_API_KEY=\xff\n")
    with pytest.raises(ConfigurationError, match=r"\.env is not UTF-8"):
        read(tmp_path)


@pytest.mark.parametrize(
    "flags, message", [({"concurrency": 0}, r"concurrency = 0 \(--concurrency\)"), ({"attempts": -1}, "--attempts")]
)
def test_a_flag_out_of_bounds_is_refused_by_its_name(tmp_path: Path, flags: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path, flags)


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("value", [10**9, -1, float("nan"), float("inf")])
def test_a_number_beyond_its_bounds_is_refused_with_where_it_came_from(name: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name} = .* is too (small: at least|large: at most)"):
        read_settings({name: value}, {}, tmp_path)


def test_how_long_a_run_is_asked_for_again_comes_from_a_flag_before_the_environment_before_the_profile(
    tmp_path: Path,
) -> None:
    assert read_settings({}, {}, tmp_path).settle_after == "1d"
    (tmp_path / "pipeline.toml").write_text('[profiles.default]\nkind = "agents"\n')
    assert read_settings({}, {}, tmp_path).settle_after == "3d"
    (tmp_path / "pipeline.toml").write_text('[profiles.default]\nsettle_after = "2d"\n')
    assert read_settings({}, {}, tmp_path).settle_after == "2d"
    assert read_settings({}, {"PIPELINE_SETTLE_AFTER": "3d"}, tmp_path).settle_after == "3d"
    assert read_settings({"settle_after": "4d"}, {"PIPELINE_SETTLE_AFTER": "3d"}, tmp_path).settle_after == "4d"
