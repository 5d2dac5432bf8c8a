"""The pipeline through the real Portkey gateway and the real LiteLLM proxy, with the emulator behind them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.emulator import RunningEmulator, generate_corpus, running_emulator
from tests.peers.processes import PEERS, free_port, running
from tests.peers.test_openai_client import dumped_and_synced
from tests.syncs import environ_for, read_tables, run_cli

# A proxy refuses master keys that look weak.
MASTER_KEY = "sk-" + "emulated-master-" + "0" * 16
# What differs between two syncs of the same threads.
PASSING = {
    "runs": ["observed_at", "walk_id", "page_index"],
    "run_steps": ["walk_id", "page_index"],
}
TABLES = ["runs", "run_steps", "tool_calls", "code_interpreter_outputs", "file_search_results"]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningEmulator]:
    with running_emulator(generate_corpus(threads=30), dialect="openai") as emulator:
        yield emulator


@pytest.fixture(scope="module")
def portkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    start = PEERS / "node_modules/@portkey-ai/gateway/build/start-server.js"
    command = ["node", str(start), f"--port={port}", "--headless"]
    with running(command, port=port, log=tmp_path_factory.mktemp("portkey") / "log"):
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture(scope="module")
def litellm(server: RunningEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, folder = free_port(), tmp_path_factory.mktemp("litellm")
    config = folder / "config.yaml"
    config.write_text(f"general_settings:\n  master_key: {MASTER_KEY}\n")
    command = [str(PEERS / "litellm/bin/litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    environ = {
        # It asks for /v1/... below this by itself.
        "OPENAI_API_BASE": server.base_url.removesuffix("/v1"),
        "OPENAI_API_KEY": server.api_key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
    }
    with running(command, port=port, log=folder / "log", environ=environ):
        yield f"http://127.0.0.1:{port}"


def write_profile(folder: Path, name: str, **settings: object) -> None:
    lines = [f"[profiles.{name}]", *(f"{key} = {_toml(value)}" for key, value in settings.items()), ""]
    with (folder / "pipeline.toml").open("a") as file:
        file.write("\n".join(lines))


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = "{text}"' for key, text in value.items()) + "}"
    return json.dumps(value)


def portkey_headers(server: RunningEmulator) -> dict[str, str]:
    return {"x-portkey-provider": "openai", "x-portkey-custom-host": server.base_url}


def sync_directly(folder: Path, server: RunningEmulator, thread_ids: list[str]) -> dict[str, list[tuple[object, ...]]]:
    folder.mkdir()
    write_profile(folder, "gateway", kind="openai", base_url=server.base_url, api_key_env="GATEWAY_KEY")
    done = run_cli(
        folder, "sync", "--quiet", "--profile", "gateway", *thread_ids, environ=environ_for(GATEWAY_KEY=server.api_key)
    )
    assert (done.returncode, done.stderr) == (0, "")
    return read_rows(folder)


def read_rows(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    frames = read_tables(folder / "data", named=TABLES, without=PASSING)
    return {name: frame.rows() for name, frame in frames.items()}


def test_a_sync_through_a_self_hosted_portkey_gateway_gives_the_rows_of_a_direct_one(
    portkey: str, server: RunningEmulator, tmp_path: Path
) -> None:
    thread_ids = server.corpus.thread_ids()
    headers = portkey_headers(server)
    write_profile(
        tmp_path, "gateway", kind="portkey", base_url=portkey, auth="bearer", api_key_env="GATEWAY_KEY", headers=headers
    )

    done = run_cli(
        tmp_path,
        "sync",
        "--quiet",
        "--profile",
        "gateway",
        *thread_ids,
        environ=environ_for(GATEWAY_KEY=server.api_key),
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert read_rows(tmp_path) == sync_directly(tmp_path / "direct", server, thread_ids)


def test_portkeys_retry_after_and_rate_limits_are_obeyed(portkey: str, server: RunningEmulator, tmp_path: Path) -> None:
    write_profile(
        tmp_path,
        "gateway",
        kind="portkey",
        base_url=portkey,
        auth="bearer",
        api_key_env="GATEWAY_KEY",
        headers=portkey_headers(server),
    )
    limited = {
        "fault": "status",
        "status": 429,
        "error_code": "rate_limit_exceeded",
        "headers": {"retry-after-ms": "50"},
    }
    server.set_faults([{"route": "list_steps", "times": 3, **limited}])
    thread_id = server.corpus.thread_ids()[0]

    done = run_cli(
        tmp_path,
        *("sync", "--json", "--quiet", "--profile", "gateway", thread_id),
        environ=environ_for(GATEWAY_KEY=server.api_key),
    )
    server.clear_faults()

    summary = json.loads(done.stdout)
    assert (done.returncode, summary["verdict"]) == (0, "complete")
    assert summary["retries"] == 3


def test_what_the_portkey_gateway_says_itself_is_explained(
    portkey: str, server: RunningEmulator, tmp_path: Path
) -> None:
    write_profile(tmp_path, "bare", kind="portkey", base_url=portkey, auth="bearer", api_key_env="GATEWAY_KEY")
    unreachable = {"x-portkey-provider": "openai", "x-portkey-custom-host": "http://127.0.0.1:9/v1"}
    write_profile(
        tmp_path,
        "lost",
        kind="portkey",
        base_url=portkey,
        auth="bearer",
        api_key_env="GATEWAY_KEY",
        headers=unreachable,
    )
    environ = environ_for(GATEWAY_KEY=server.api_key)

    answers = [
        run_cli(tmp_path, "sync", "--quiet", "--attempts", "1", "--profile", name, "thread_1", environ=environ)
        for name in ("bare", "lost")
    ]

    assert [done.returncode for done in answers] == [4, 4]
    assert "x-portkey-virtual-key, x-portkey-config or x-portkey-provider" in answers[0].stderr
    assert "does not reach the server behind it" in answers[1].stderr


def test_a_sync_through_the_litellm_proxy_gives_the_rows_of_a_direct_one(
    litellm: str, server: RunningEmulator, tmp_path: Path
) -> None:
    thread_ids = server.corpus.thread_ids()
    write_profile(tmp_path, "gateway", kind="litellm", base_url=f"{litellm}/openai/v1", api_key_env="GATEWAY_KEY")

    done = run_cli(
        tmp_path, "sync", "--quiet", "--profile", "gateway", *thread_ids, environ=environ_for(GATEWAY_KEY=MASTER_KEY)
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert read_rows(tmp_path) == sync_directly(tmp_path / "direct", server, thread_ids)


def test_litellms_native_route_and_a_wrong_key_are_explained(litellm: str, tmp_path: Path) -> None:
    environ = environ_for(LITELLM_API_KEY=MASTER_KEY)
    write_profile(tmp_path, "native", kind="litellm", base_url=f"{litellm}/v1")
    write_profile(tmp_path, "right", kind="litellm", base_url=f"{litellm}/openai/v1")

    listed = run_cli(tmp_path, "sync", "--quiet", "--profile", "native", "thread_1", environ=environ)
    steps = run_cli(tmp_path, "steps", "list", "thread_1", "run_1", "--profile", "native", environ=environ)
    wrong = run_cli(
        tmp_path, "sync", "--quiet", "--profile", "right", "thread_1", environ=environ_for(LITELLM_API_KEY="sk-marker")
    )

    assert (listed.returncode, steps.returncode, wrong.returncode) == (4, 4, 4)
    assert "set the base URL to http://HOST:4000/openai/v1" in listed.stderr
    assert "set the base URL to http://HOST:4000/openai/v1" in steps.stderr
    assert "knows only its master key" in wrong.stderr


@pytest.mark.parametrize("gateway", ["portkey", "litellm"])
def test_single_objects_come_through_a_gateway_as_the_server_sent_them(
    gateway: str, portkey: str, litellm: str, server: RunningEmulator, tmp_path: Path
) -> None:
    profiles: dict[str, dict[str, object]] = {
        "portkey": {"base_url": portkey, "auth": "bearer", "headers": portkey_headers(server)},
        "litellm": {"base_url": f"{litellm}/openai/v1"},
    }
    keys = {"portkey": server.api_key, "litellm": MASTER_KEY}
    write_profile(tmp_path, gateway, kind=gateway, api_key_env="GATEWAY_KEY", **profiles[gateway])
    thread = next(thread for thread in server.corpus.threads if thread.runs and thread.runs[0].steps)
    run, step = thread.runs[0], thread.runs[0].steps[0]

    done = run_cli(
        tmp_path,
        *("steps", "get", thread.item.object_id, run.item.object_id, step.object_id, "--profile", gateway),
        environ=environ_for(GATEWAY_KEY=keys[gateway]),
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(step.body)


def chain_ids(server: RunningEmulator) -> list[str]:
    """The responses of all chains without a conversation, as they are named in logs."""
    chains = [story for story in server.emulation.successors.stories if story.conversation_id is None]
    return [history.after["id"] for chain in chains for history in chain.histories if history.before is not None]


def test_responses_through_litellms_pass_through_are_those_of_a_direct_sync(
    litellm: str, server: RunningEmulator, tmp_path: Path
) -> None:
    found = {}
    keys = {f"{litellm}/openai_passthrough/v1": MASTER_KEY, server.base_url: server.api_key}
    for number, (base_url, key) in enumerate(keys.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "ids.txt").write_text("\n".join(chain_ids(server)))
        write_profile(folder, "gateway", kind="responses", base_url=base_url, api_key_env="GATEWAY_KEY")
        done = run_cli(
            folder,
            *("sync", "--quiet", "--profile", "gateway", "--responses", "ids.txt"),
            environ=environ_for(GATEWAY_KEY=key),
        )
        assert (done.returncode, done.stderr) == (0, "")
        found[number] = read_rows(folder)

    assert len(found[0]["runs"]) == len(chain_ids(server)) > 30
    assert found[0] == found[1]


def test_what_openais_client_dumps_through_litellm_is_what_a_sync_through_it_brings(
    litellm: str, server: RunningEmulator, tmp_path: Path
) -> None:
    # What is put into the next response is in no dump of one.
    calling = {
        history.after["id"]
        for history in server.emulation.successors.histories
        if any(item["type"] == "function_call" for item in history.after["output"])
    }
    ids = [response_id for response_id in chain_ids(server) if response_id not in calling]
    base_url = f"{litellm}/openai_passthrough/v1"

    assert dumped_and_synced(tmp_path, base_url, MASTER_KEY, ids) == len(ids) > 20


def test_sessions_through_litellm_are_refused_in_words_that_say_why(
    litellm: str, server: RunningEmulator, tmp_path: Path
) -> None:
    """It leaves out the header that names the beta."""
    write_profile(
        tmp_path, "agents", kind="agents", base_url=f"{litellm}/openai_passthrough/v1", api_key_env="GATEWAY_KEY"
    )
    session_id = server.emulation.successors.sessions[0].session["id"]

    done = run_cli(
        tmp_path,
        *("sync", "--quiet", "--profile", "agents", session_id),
        environ=environ_for(GATEWAY_KEY=MASTER_KEY),
    )

    assert done.returncode == 4
    assert "a gateway may leave it out" in done.stderr
