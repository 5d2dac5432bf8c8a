"""A sync of conversations, responses or sessions that dies loses nothing that had landed and ends with all there is."""

import signal
from pathlib import Path

import pytest

from pipeline.emulator import running_emulator
from pipeline.protocol.pages import Protocol
from tests.syncs import environ_for, raw_files, run_cli, started_cli, wait_until
from tests.verbs.test_sync_successors import NAMES, WAYS, counted, expected, named_ids

# So large that what was fetched lands in several parts.
BODY_BYTES = 2_000_000
LARGE = {NAMES[0]: "list_responses", NAMES[1]: "get_response", NAMES[2]: "list_turn_items"}
KINDS = {NAMES[0]: "foundry-responses", NAMES[1]: "responses", NAMES[2]: "agents"}


@pytest.mark.parametrize(("name", "way"), list(zip(NAMES, WAYS, strict=True)), ids=NAMES)
def test_killed_in_the_middle_it_goes_on_to_the_right_totals(
    tmp_path: Path, name: str, way: tuple[Protocol, bool]
) -> None:
    with running_emulator(threads=1, phase=1) as server:
        (tmp_path / "ids").write_text("\n".join(named_ids(server, phase=1)))
        (tmp_path / "pipeline.toml").write_text(
            f'[profiles.default]\nkind = "{KINDS[name]}"\nbase_url = "{server.base_url}"\nworkers = 1\n'
        )
        named = ["--responses", "ids"] if way[1] else ["--all-threads"]
        arguments = ["sync", *named, "--concurrency", "4", "--attempts", "1000"]
        environ = environ_for(OPENAI_API_KEY=server.api_key, AZURE_AI_TOKEN=server.api_key)
        held = {"fault": "status", "status": 503, "headers": {"retry-after-ms": "20"}, "after_requests": 45}
        server.set_faults([{"fault": "big_body", "bytes": BODY_BYTES, "route": LARGE[name]}, held])

        with started_cli(tmp_path, *arguments, environ=environ) as process:
            wait_until(lambda: len(server.requests()) >= 45, what="request 45", of=process)
            process.send_signal(signal.SIGKILL)
            process.wait()
        landed = len(raw_files(tmp_path / "data"))
        server.clear_faults()
        server.clear_requests()
        ended = run_cli(tmp_path, *arguments, environ=environ)

        assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
        assert counted(tmp_path / "data") == expected(server, way)
        assert 0 < landed < len(raw_files(tmp_path / "data"))
