"""Each kind of server: what a request to it carries, and what its refusals are said to mean."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.emulator import Corpus, generate_corpus, running_emulator
from pipeline.errors import ConfigurationError
from pipeline.protocol.kinds import COMMON_HINTS, KINDS, find_hint, hint_for_all
from pipeline.settings.invocation import Settings
from pipeline.settings.lookup import read_settings
from tests.syncs import environ_for, read_all, run_cli

ALWAYS = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": "run-steps-pipeline"}


def settings_of(folder: Path, profile: str, **environ: str) -> Settings:
    (folder / "pipeline.toml").write_text(f"[profiles.default]\n{profile}\n")
    return read_settings({}, environ, folder)


@pytest.mark.parametrize(
    ("profile", "environ", "url", "headers"),
    [
        (
            'kind = "openai"\nbase_url = "https://api.openai.com/v1"\nbeta = "assistants=v1"',
            {"OPENAI_API_KEY": "marker-key", "OPENAI_ORG_ID": "org_1", "OPENAI_PROJECT_ID": "proj_1"},
            "https://api.openai.com/v1/threads",
            {
                "OpenAI-Beta": "assistants=v1",
                "OpenAI-Organization": "org_1",
                "OpenAI-Project": "proj_1",
                "Authorization": "Bearer marker-key",
            },
        ),
        (
            'kind = "azure-openai"\nbase_url = "https://res.openai.azure.com/openai"',
            {"AZURE_OPENAI_API_KEY": "marker-key", "OPENAI_API_KEY": "other", "OPENAI_ORG_ID": "org_1"},
            "https://res.openai.azure.com/openai/threads?api-version=2024-05-01-preview",
            {"api-key": "marker-key"},
        ),
        (
            'kind = "azure-openai"\nbase_url = "https://res.openai.azure.com/openai"\nauth = "bearer"\n'
            'params = {api-version = "2025-01-01-preview"}',
            {"AZURE_OPENAI_API_KEY": "marker-token"},
            "https://res.openai.azure.com/openai/threads?api-version=2025-01-01-preview",
            {"Authorization": "Bearer marker-token"},
        ),
        (
            'kind = "foundry"\nbase_url = "https://res.services.ai.azure.com/api/projects/p"',
            {"AZURE_AI_TOKEN": "marker-token", "OPENAI_BASE_URL": "https://elsewhere.example/v1"},
            "https://res.services.ai.azure.com/api/projects/p/threads?api-version=v1",
            {"Authorization": "Bearer marker-token"},
        ),
        (
            'kind = "portkey"\nheaders_env = {x-portkey-virtual-key = "PORTKEY_VIRTUAL_KEY"}',
            {"PORTKEY_API_KEY": "marker-key", "PORTKEY_VIRTUAL_KEY": "marker-virtual"},
            "https://api.portkey.ai/v1/threads",
            {
                "OpenAI-Beta": "assistants=v2",
                "x-portkey-virtual-key": "marker-virtual",
                "x-portkey-api-key": "marker-key",
            },
        ),
        (
            'kind = "portkey"\nbase_url = "http://127.0.0.1:8787/v1"\nauth = "bearer"\napi_key_env = "UPSTREAM_KEY"\n'
            'headers = {x-portkey-provider = "openai", x-portkey-custom-host = "http://127.0.0.1:9/v1"}',
            {"UPSTREAM_KEY": "marker-key"},
            "http://127.0.0.1:8787/v1/threads",
            {
                "OpenAI-Beta": "assistants=v2",
                "x-portkey-provider": "openai",
                "x-portkey-custom-host": "http://127.0.0.1:9/v1",
                "Authorization": "Bearer marker-key",
            },
        ),
        (
            'kind = "litellm"',
            {"LITELLM_API_KEY": "marker-key", "OPENAI_API_KEY": "other"},
            "http://127.0.0.1:4000/openai/v1/threads",
            {"OpenAI-Beta": "assistants=v2", "Authorization": "Bearer marker-key"},
        ),
        (
            'kind = "compatible"\nbase_url = "https://assistants.example"\nheaders_env = {X-Team = "TEAM"}',
            {"TEAM": "blue"},
            "https://assistants.example/threads",
            {"X-Team": "blue"},
        ),
    ],
    ids=["openai-v1", "azure-key", "azure-entra", "foundry", "portkey", "portkey-self-hosted", "litellm", "compatible"],
)
def test_a_request_carries_exactly_what_its_kind_of_server_wants(
    profile: str, environ: dict[str, str], url: str, headers: dict[str, str], tmp_path: Path
) -> None:
    endpoint = settings_of(tmp_path, profile, **environ).endpoint()

    assert endpoint.url(["threads"]) == url
    assert endpoint.headers == {**ALWAYS, **headers}


def test_openais_variables_do_not_send_another_servers_key_elsewhere(tmp_path: Path) -> None:
    profile = 'kind = "foundry"\nbase_url = "https://res.services.ai.azure.com/api/projects/p"'

    with pytest.raises(ConfigurationError, match="AZURE_AI_TOKEN"):
        settings_of(tmp_path, profile, OPENAI_API_KEY="marker-key").endpoint()


def test_a_kind_that_does_not_exist_names_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'watson'.*openai, azure-openai, foundry, portkey, litellm, compat"):
        settings_of(tmp_path, 'kind = "watson"')


@pytest.mark.parametrize(
    ("dialect", "auth", "base_path", "profile"),
    [
        ("openai", "bearer", "/v1", 'kind = "openai"'),
        ("azure", "api-key", "/openai", 'kind = "azure-openai"'),
        ("azure", "bearer", "/openai", 'kind = "azure-openai"\nauth = "bearer"'),
        ("foundry", "bearer", "/api/projects/p", 'kind = "foundry"'),
        ("plain", "none", "", 'kind = "compatible"'),
        ("openai", "bearer", "/openai/v1", 'kind = "litellm"'),
    ],
    ids=["openai", "azure-key", "azure-entra", "foundry", "compatible-without-v1", "litellm"],
)
def test_each_kind_syncs_from_a_server_that_demands_what_the_real_one_does(
    dialect: Any, auth: Any, base_path: str, profile: str, tmp_path: Path
) -> None:
    corpus = generate_corpus(threads=3)
    with running_emulator(corpus, dialect=dialect, auth=auth, base_path=base_path) as server:
        key = 'api_key_env = "SERVER_KEY"' if auth != "none" else 'auth = "none"'
        (tmp_path / "pipeline.toml").write_text(
            f'[profiles.default]\n{profile}\nbase_url = "{server.base_url}"\n{key}\n'
        )
        done = run_cli(
            tmp_path, "sync", "--quiet", *corpus.thread_ids(), environ=environ_for(SERVER_KEY=server.api_key)
        )

    assert (done.returncode, done.stderr) == (0, "")
    assert read_all(tmp_path / "data", "select count(*) from run_steps") == [(corpus.truth().steps,)]


def test_foundry_names_its_threads_itself_and_its_agents_threads_come_along(tmp_path: Path) -> None:
    corpus = generate_corpus(threads=27)
    with running_emulator(corpus, dialect="foundry") as server:
        (tmp_path / "pipeline.toml").write_text(
            f'[profiles.default]\nkind = "foundry"\nbase_url = "{server.base_url}"\nworkers = 1\n'
        )
        environ = environ_for(AZURE_AI_TOKEN=server.api_key)
        done = run_cli(tmp_path, "sync", "--quiet", "--all-threads", environ=environ)

    assert (done.returncode, done.stderr) == (0, "")
    assert read_all(tmp_path / "data", "select count(*), count(*) filter (status = 'synced') from threads") == [
        (27, 27)
    ]
    assert read_all(tmp_path / "data", "select count(*) from run_steps") == [(corpus.truth().steps,)]


@pytest.mark.parametrize(("base_path", "said"), [("/v1", 0), ("", 1)])
def test_every_thread_gone_on_a_server_of_ones_own_is_no_switch_off_but_may_be_a_wrong_path(
    base_path: str, said: int, tmp_path: Path
) -> None:
    with running_emulator(generate_corpus(threads=3), base_path=base_path) as server:
        done = run_cli(tmp_path, "sync", "--quiet", "thread_1", "thread_2", environ=environ_for(server))

    assert done.returncode == 4
    assert done.stderr.count(f"is it {server.base_url}/v1?") == said
    assert "switched" not in done.stderr


def test_one_thread_that_is_gone_among_others_is_not_explained_by_the_switch_off(tmp_path: Path) -> None:
    corpus = generate_corpus(threads=3)
    with running_emulator(corpus) as server:
        environ = environ_for(server)
        done = run_cli(tmp_path, "sync", "--quiet", "thread_1", *corpus.thread_ids(), environ=environ)

    assert done.returncode == 0
    assert "switched" not in done.stderr


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (404, b'{"detail":"Not Found"}', "http://HOST:4000/openai/v1"),
        (405, b'{"detail":"Method Not Allowed"}', "http://HOST:4000/openai/v1"),
        (400, b'{"status":"failure","message":"no provider"}', "x-portkey-virtual-key"),
        (500, b"Message: fetch failed", "x-portkey-custom-host"),
        (404, b'{"error":{"message":"No thread found"}}', None),
        (500, b'{"error":{"message":"fetch failed"}}', None),
    ],
)
def test_an_answer_is_explained_only_where_its_body_says_who_it_is(status: int, body: bytes, found: str | None) -> None:
    hint = find_hint(COMMON_HINTS, status, body)

    assert (hint is None) if found is None else (hint is not None and found in hint)


def test_a_text_500_is_explained_for_portkey_only() -> None:
    assert find_hint(KINDS["portkey"].hints, 500, b"Internal Server Error") is not None
    assert find_hint(COMMON_HINTS, 500, b"Internal Server Error") is None


@pytest.mark.parametrize(
    ("kind", "base_url", "found"),
    [
        ("openai", "https://api.openai.com/v1", "switched their Assistants APIs off"),
        ("azure-openai", "https://res.openai.azure.com/openai", "switched their Assistants APIs off"),
        ("openai", "https://gateway.example/v1", None),
        ("openai", "https://notapi.openai.com.example/v1", None),
        ("openai", "https://gateway.example", "is it https://gateway.example/v1?"),
        ("compatible", "http://127.0.0.1:8000/", "is it http://127.0.0.1:8000/v1?"),
        ("compatible", "http://127.0.0.1:8000/api/v1", None),
        ("litellm", "http://127.0.0.1:4000/openai", "is it http://127.0.0.1:4000/openai/v1?"),
        ("foundry", "https://res.services.ai.azure.com/api/projects/p", None),
        ("azure-openai", "https://gateway.example/openai", None),
    ],
)
def test_what_it_means_that_every_thread_is_unknown_depends_on_whose_server_it_is(
    kind: str, base_url: str, found: str | None
) -> None:
    hint = hint_for_all(KINDS[kind], base_url, 404)

    assert (hint is None) if found is None else (hint is not None and found in hint)


@pytest.mark.parametrize(
    ("body", "setting"),
    [
        (b'{"error":{"message":"You must provide the \'OpenAI-Beta\' header"}}', 'beta = "assistants=v2"'),
        (b'{"error":{"code":"invalid_beta","message":"unknown"}}', 'beta = "assistants=v2"'),
        (b'{"error":{"message":"Unknown parameter","param":"include[]"}}', "--no-search-content"),
        (b'{"error": {"message": "bad", "param": "include"}}', "include_content = false"),
        (b'{"error":{"message":"The api-version query parameter is required."}}', "params = { api-version"),
    ],
)
def test_a_400_that_a_setting_cures_names_it(body: bytes, setting: str) -> None:
    assert setting in (find_hint(COMMON_HINTS, 400, body) or "")
    assert find_hint(COMMON_HINTS, 500, body) is None


def parents_and_children(data_dir: Path) -> list[tuple[Any, ...]]:
    return read_all(
        data_dir,
        "select child_thread_id, child_run_id, is_child_known from connected_agent_costs"
        " where child_thread_id is not null order by all",
    )


def linked_thread(corpus: Corpus) -> tuple[str, str]:
    """A thread whose connected agent worked on another thread, and that thread."""
    for thread in corpus.threads:
        for run in thread.runs:
            for step in run.steps:
                for call in json.loads(step.body)["step_details"].get("tool_calls", []):
                    child = call.get("connected_agent", {}).get("thread_id")
                    if child in corpus.thread_ids():
                        return thread.item.object_id, child
    raise AssertionError("the corpus has no connected agents")


def test_threads_of_connected_agents_are_followed_and_their_cost_is_counted_once(tmp_path: Path) -> None:
    corpus = generate_corpus(threads=27)
    parent, child = linked_thread(corpus)
    with running_emulator(corpus) as server:
        environ = environ_for(server)
        done = run_cli(tmp_path, "sync", "--quiet", "--json", "--follow-agents", parent, environ=environ)
        requests = len(server.requests())
        again = run_cli(tmp_path, "sync", "--quiet", "--follow-agents", parent, environ=environ)
        again_requests = len(server.requests()) - requests

    data = tmp_path / "data"
    assert (done.returncode, done.stderr, again.returncode) == (0, "", 0)
    assert '"threads": 2' in done.stdout
    assert child in [row[0] for row in parents_and_children(data) if row[2]]
    # What the children cost is in the total of runs exactly once.
    assert read_all(
        data,
        "select (select sum(cost_usd) from run_costs) = (select sum(cost_usd) from step_costs),"
        " (select count(*) from run_costs) = (select count(*) from runs)",
    ) == [(True, True)]
    shown = "select distinct child_run_id, child_cost_usd from connected_agent_costs where is_child_known"
    costs = read_all(data, f"select child_cost_usd = cost_usd from ({shown}) join run_costs on run_id = child_run_id")
    assert costs == [(True,)]
    # One request each time for the parent; the child is sealed.
    assert again_requests == 1


def test_threads_of_connected_agents_are_left_alone_unless_asked_for(tmp_path: Path) -> None:
    corpus = generate_corpus(threads=27)
    parent, _ = linked_thread(corpus)
    with running_emulator(corpus) as server:
        run_cli(tmp_path, "sync", "--quiet", parent, environ=environ_for(server))

    assert read_all(tmp_path / "data", "select thread_id from threads") == [(parent,)]


def test_a_deployments_name_is_priced_as_the_model_that_the_profile_says_it_is(tmp_path: Path) -> None:
    corpus = generate_corpus(threads=3)
    with running_emulator(corpus, dialect="azure", auth="api-key", base_path="/openai") as server:
        deployments = {run["model"] for run in all_runs(corpus) if run["model"]}
        models = ", ".join(f'"{name}" = "gpt-4o"' for name in sorted(deployments))
        (tmp_path / "pipeline.toml").write_text(
            f'[profiles.default]\nkind = "azure-openai"\nbase_url = "{server.base_url}"\nmodels = {{{models}}}\n'
        )
        environ = environ_for(AZURE_OPENAI_API_KEY=server.api_key)
        done = run_cli(tmp_path, "sync", "--quiet", *corpus.thread_ids(), environ=environ)

    data = tmp_path / "data"
    assert (done.returncode, done.stderr) == (0, "")
    assert read_all(
        data, "select distinct model, priced_model from step_costs where price_id is not null order by all"
    ) == [(name, "gpt-4o") for name in sorted(deployments)]


def all_runs(corpus: Corpus) -> list[dict[str, Any]]:
    return [json.loads(run.item.body) for thread in corpus.threads for run in thread.runs]
