"""A sync that dies loses nothing that had landed, asks for none of it again, and ends with the right totals."""

import random
import signal
from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline.emulator import Corpus, RunningEmulator, generate_corpus
from tests.landed_pairs import asked_pairs, landed_pairs
from tests.measuring import measured
from tests.syncs import (
    environ_for,
    hold_back,
    raw_files,
    read_all,
    run_cli,
    started_cli,
    wait_until,
)

# Bodies are blown up to this, with spaces, so that a small corpus makes several parts.
BODY_BYTES = 2_000_000


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_corpus(threads=12, seed=11)


def sync_arguments(server: RunningEmulator) -> list[str]:
    return ["sync", *server.corpus.thread_ids(), "--data-dir", "data", "--concurrency", "4", "--attempts", "1000"]


def slow_down(server: RunningEmulator, *, after_requests: int) -> None:
    """Answer with large bodies, and from some request on not at all, so that no sync ends before it is stopped."""
    held = {"fault": "status", "status": 503, "headers": {"retry-after-ms": "20"}}
    server.set_faults(
        [
            {"fault": "big_body", "bytes": BODY_BYTES, "route": "list_steps"},
            {"fault": "latency_ms", "latency_ms": 5.0},
            {"after_requests": after_requests, **held},
        ]
    )


def assert_goes_on(server: RunningEmulator, folder: Path) -> None:
    """The same command again ends well, with the right totals, and asks for nothing that had landed."""
    landed = landed_pairs(folder / "data")
    before = {path.name for path in raw_files(folder / "data")}
    server.clear_faults()
    server.clear_requests()

    ended = run_cli(folder, *sync_arguments(server), environ=environ_for(server))

    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    assert landed & asked_pairs(server) == set()
    assert asdict(measured(folder / "data", 0)) == asdict(server.truth())
    assert before < {path.name for path in raw_files(folder / "data")}
    assert read_all(folder / "data", "select count(*) from threads where status <> 'synced'") == [(0,)]


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_a_random_request_a_sync_goes_on_where_it_stood(
    server: RunningEmulator, tmp_path: Path, seed: int
) -> None:
    requests = random.Random(seed).randint(1, 75)
    slow_down(server, after_requests=requests)

    with started_cli(tmp_path, *sync_arguments(server), environ=environ_for(server)) as process:
        wait_until(lambda: len(server.requests()) >= requests, what=f"request {requests}", of=process)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL

    assert_goes_on(server, tmp_path)


@pytest.mark.parametrize("parts", [2, 4])
def test_killed_after_some_parts_have_landed_a_sync_asks_for_none_of_them_again(
    server: RunningEmulator, tmp_path: Path, parts: int
) -> None:
    # some steps are never answered
    slow_down(server, after_requests=60)

    with started_cli(tmp_path, *sync_arguments(server), environ=environ_for(server)) as process:
        wait_until(lambda: len(raw_files(tmp_path / "data")) >= parts, what=f"part {parts}", of=process)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL

    assert len(landed_pairs(tmp_path / "data")) > 0
    assert_goes_on(server, tmp_path)


def test_killed_again_and_again_a_sync_still_gets_there(server: RunningEmulator, tmp_path: Path) -> None:
    for _ in range(3):
        slow_down(server, after_requests=12)
        server.clear_requests()
        with started_cli(tmp_path, *sync_arguments(server), environ=environ_for(server)) as process:
            wait_until(lambda: len(server.requests()) >= 14, what="request 14", of=process)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL

    assert_goes_on(server, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_a_sync_lands_what_it_has_says_how_to_go_on_and_does(
    server: RunningEmulator, tmp_path: Path, number: signal.Signals
) -> None:
    hold_back(server, after_requests=30)

    with started_cli(tmp_path, *sync_arguments(server), environ=environ_for(server)) as process:
        wait_until(lambda: len(server.requests()) >= 34, what="request 34", of=process)
        process.send_signal(number)
        stdout, stderr = process.communicate()

    assert process.returncode == 130
    assert "interrupted: what has landed is kept; run the same command again to go on" in stderr
    assert ("Traceback" in stderr, stdout) == (False, "")
    assert len(landed_pairs(tmp_path / "data")) > 20
    assert [path.name for path in (tmp_path / "data").rglob("*.writing")] == []
    assert_goes_on(server, tmp_path)


def test_interrupted_before_anything_was_fetched_a_sync_ends_as_quietly(
    server: RunningEmulator, tmp_path: Path
) -> None:
    hold_back(server, after_requests=0, route="*")

    with started_cli(tmp_path, *sync_arguments(server), environ=environ_for(server)) as process:
        wait_until(lambda: len(server.requests()) >= 1, what="the first request", of=process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()

    assert (process.returncode, "Traceback" in stderr) == (130, False)
    assert_goes_on(server, tmp_path)
