"""Forgetting: no byte of a thread is left in the data folder, nothing brings it back, all others stay as they are."""

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.emulator import generate_corpus, running_emulator
from pipeline.errors import ConfigurationError, IncompleteError, WarehouseLockedError
from pipeline.flatten.cache import FlatStore
from pipeline.privacy.content import hiding_with
from pipeline.privacy.forget_record import RECORD, leave_out_forgotten, read_forgotten
from pipeline.privacy.hiding import ContentKey
from pipeline.protocol.pages import ArchiveFile, SyncSummary
from pipeline.raw.digest import digest_rows
from pipeline.raw.parts import RawStore
from pipeline.raw.places import raw_store
from pipeline.raw.prune_record import PrunedPart, add_pruned, read_pruned
from pipeline.raw.writer import PartWriter
from pipeline.settings.lookup import read_settings
from pipeline.storage.writer_lock import only_writer
from pipeline.upkeep.data_folder import DataFolder
from pipeline.upkeep.removal import forget_contents, forget_threads
from pipeline.upkeep.removal_targets import Wanted, find_targets
from pipeline.verbs.forget import ForgetRequest
from pipeline.verbs.forget import forget as forget_data
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts, rebuild
from pipeline.warehouse.part_rewriting import rewrite_part, without_threads
from tests.landed import Listing, instant, land, run_of, step_of
from tests.marked import MARK, find_marks
from tests.syncs import (
    environ_for,
    raw_files,
    read_all,
    read_raw,
    read_tables,
    run_cli,
    started_cli,
    sync_here,
    wait_until,
)

NOW = datetime(2026, 11, 20, tzinfo=UTC)
KEY = ContentKey(b"marker-key-marker-key-marker-key")
# Walks are numbered in their sync.
NUMBERED = dict.fromkeys(("runs", "run_steps", "rejects", "walks"), ("walk_id",))


def call(arguments: str, **fields: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": arguments, **fields}}


def listings(
    thread: str, text: str, *, minute: int = 1, customer: str = "x", child: str | None = None
) -> list[Listing]:
    """A thread with one run of one step with two calls and file search; every text holds `text`."""
    run_id, metadata = f"run_of_{thread}", {"customer": customer, "note": text}
    calls: list[dict[str, Any]] = [
        call(f"arguments {text}", output=f"output {text}"),
        {"id": "call_2", "type": "code_interpreter", "code_interpreter": {"input": text, "outputs": [
            {"type": "logs", "logs": text}]}},
        {"id": "call_3", "type": "file_search", "file_search": {"results": [
            {"file_id": "file_1", "file_name": text, "score": 0.5, "content": [{"type": "text", "text": text}]}]}},
    ]  # fmt: skip
    if child is not None:
        agent = {"name": "helper", "thread_id": child, "run_id": f"run_of_{child}"}
        calls.append({"id": "call_4", "type": "connected_agent", "connected_agent": agent})
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
    fields: dict[str, Any] = {"thread_id": thread, "usage": usage, "created_at": 1731000000, "metadata": metadata}
    run = run_of(run_id, model="gpt-4o", instructions=text, **fields)
    broken = {**run, "id": f"{run_id}_broken", "status": {"text": text}, "usage": text}
    step = step_of(f"step_of_{thread}", run_id=run_id, **fields)
    step["step_details"]["tool_calls"] = calls
    return [
        Listing(minute, [run, broken], thread_id=thread),
        Listing(minute + 1, [step], thread_id=thread, run_id=run_id),
    ]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three raw parts, loaded: thread_9k_a and thread_9k_b, thread_9k_a again, thread_9k_c."""
    data_dir = tmp_path_factory.mktemp("forget") / "data"
    store = raw_store(data_dir)
    plain = listings("thread_9k_b", "plain", minute=3, customer="bee")
    both = [*listings("thread_9k_a", MARK, customer="ay", child="thread_9k_c"), *plain]
    land(store, *both, sync_id="sync_1", planned=["thread_9k_a", "thread_9k_b"], started=0, verdict="complete")
    land(store, *listings("thread_9k_a", MARK, minute=20, customer="ay now", child="thread_9k_c"), sync_id="sync_2")
    land(store, *listings("thread_9k_c", MARK, minute=30, customer="child"), sync_id="sync_3")
    load_new_parts(store, warehouse_path(data_dir), wait_s=1)
    return data_dir


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> DataFolder:
    """A copy of it."""
    data_dir = tmp_path / "data"
    shutil.copytree(original, data_dir)
    return DataFolder(data_dir, raw_store(data_dir), warehouse_path(data_dir), 1.0)


def forget(folder: DataFolder, wanted: Wanted, keys: dict[str, ContentKey] | None = None) -> list[str]:
    """Forget them; the ids of what was found."""
    targets = find_targets(folder, wanted, keys or {})
    forget_threads(folder, targets, folder.unreadable(), now=NOW)
    return [target.thread_id for target in targets]


def other_threads(folder: DataFolder) -> DataFolder:
    """A data folder that never had anything but thread_9k_b."""
    data_dir = folder.data_dir.parent / "other"
    store = raw_store(data_dir)
    plain = listings("thread_9k_b", "plain", minute=3, customer="bee")
    land(store, *plain, sync_id="sync_1", planned=["thread_9k_b"], started=0, verdict="complete")
    load_new_parts(store, warehouse_path(data_dir), wait_s=1)
    return DataFolder(data_dir, store, warehouse_path(data_dir))


def test_the_search_finds_what_is_to_go(folder: DataFolder) -> None:
    assert [Path(name).suffix for name in find_marks(folder.data_dir)] == [".parquet"] * 3 + [".duckdb"]


def test_no_byte_of_a_thread_9k_and_of_the_agents_it_called_is_left(folder: DataFolder) -> None:
    found = forget(folder, Wanted(["thread_9k_a"]))

    assert found == ["thread_9k_a", "thread_9k_c"]
    assert find_marks(folder.data_dir) == []
    texts = [path.read_bytes() for path in folder.data_dir.rglob("*") if path.is_file()]
    assert not any(b"thread_9k_a" in text or b"thread_9k_c" in text for text in texts)
    assert "thread_9k_a" not in repr(read_raw(folder.data_dir).rows())


def test_all_other_rows_are_as_if_the_thread_had_never_been(folder: DataFolder) -> None:
    forget(folder, Wanted(["thread_9k_a"]))

    kept = read_tables(folder.data_dir, without=NUMBERED)
    never = read_tables(other_threads(folder).data_dir, without=NUMBERED)
    assert {name: frame.height for name, frame in kept.items() if not frame.equals(never[name])} == {"loaded_parts": 3}
    assert kept["cost_ledger"].height == 1


def test_a_rebuild_gives_the_same_rows_and_brings_nothing_back(folder: DataFolder) -> None:
    forget(folder, Wanted(["thread_9k_a"]))
    before = read_tables(folder.data_dir)

    rebuild(folder.store, folder.warehouse, wait_s=1)

    after = read_tables(folder.data_dir)
    assert [name for name, frame in before.items() if not frame.equals(after[name])] == []
    assert find_marks(folder.data_dir) == []


def test_parts_stay_whole_and_private(folder: DataFolder) -> None:
    forget(folder, Wanted(["thread_9k_a"]))

    for path in (*raw_files(folder.data_dir), folder.warehouse, folder.data_dir / RECORD):
        assert path.stat().st_mode & 0o077 == 0
    assert [len(folder.store.read_part(part).walks) for part in folder.store.list_parts()] == [2, 0, 0]
    for part in folder.store.list_parts():
        assert folder.store.read_metadata(part)["sha256"] == digest_rows(folder.store.read_rows(part))


def test_threads_are_found_by_metadata_also_by_what_it_was_before(folder: DataFolder) -> None:
    by_now = find_targets(folder, Wanted(metadata=[("customer", "ay now")]), {})
    by_before = find_targets(folder, Wanted(metadata=[("customer", "ay")]), {})
    by_none = find_targets(folder, Wanted(metadata=[("customer", "a")]), {})

    assert [target.thread_id for target in by_now] == ["thread_9k_a", "thread_9k_c"]
    assert [target.why for target in by_now] == ["metadata customer=ay now", "connected agent of thread_9k_a"]
    assert [target.thread_id for target in by_before] == ["thread_9k_a", "thread_9k_c"]
    assert by_none == []


def test_hidden_metadata_is_found_by_its_value(tmp_path: Path) -> None:
    store = raw_store(tmp_path)
    writer = PartWriter(store, source="main", sync_id="sync_1", hide=hiding_with(KEY))
    for listing in listings("thread_9k_a", MARK, customer="northwind"):
        writer.add_walk(listing.walk())
    summary = SyncSummary(started_at=instant(0), pipeline_version="1", content="hashed", content_key=KEY.fingerprint)
    writer.add_summary(summary, instant(0))
    writer.land(writer.take_rows())
    folder = DataFolder(tmp_path, store, warehouse_path(tmp_path))

    wanted = Wanted(metadata=[("customer", "northwind")])

    assert find_targets(folder, wanted, {}) == []
    assert [target.thread_id for target in find_targets(folder, wanted, {"main": KEY})] == ["thread_9k_a"]


def test_another_source_keeps_a_thread_of_the_same_id(folder: DataFolder) -> None:
    targets = find_targets(folder, Wanted(["thread_9k_a"], source="another"), {})

    assert targets == []


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("parts", [0, 2, 3])
def test_a_forget_that_dies_after_any_part_is_finished_by_the_same_command(folder: DataFolder, parts: int) -> None:
    targets = find_targets(folder, Wanted(metadata=[("customer", "ay")]), {})
    dying = DataFolder(folder.data_dir, DyingStore(folder.store.folder, writes=parts), folder.warehouse, 1.0)
    if parts < len(raw_files(folder.data_dir)):
        with pytest.raises(KilledError):
            forget_threads(dying, targets, dying.unreadable(), now=NOW)
    loaded = load_new_parts(folder.store, folder.warehouse, wait_s=1)

    forget(folder, Wanted(metadata=[("customer", "ay")]))

    assert loaded == 0
    assert find_marks(folder.data_dir) == []
    assert read_all(folder.data_dir, "select thread_id from threads") == [("thread_9k_b",)]


class DyingStore(RawStore):
    """A store whose process dies when it is to write one part more than these."""

    def __init__(self, folder: Path, *, writes: int) -> None:
        super().__init__(folder)
        self.writes = writes

    def write_part(self, *arguments: Any, **options: Any) -> None:
        """Write, or die."""
        if not self.writes:
            raise KilledError
        self.writes -= 1
        super().write_part(*arguments, **options)


def test_flattened_and_damaged_files_and_leftovers_go_as_well(folder: DataFolder) -> None:
    first = folder.store.list_parts()[0]
    FlatStore(folder.store).write(first)
    damaged = folder.store.path(first).with_name("old.parquet.damaged")
    damaged.write_bytes(folder.store.path(first).read_bytes())
    old_warehouse = folder.data_dir / "warehouse.duckdb.damaged"
    old_warehouse.write_bytes(MARK.encode())

    forget(folder, Wanted(["thread_9k_a"]))

    assert not FlatStore(folder.store).path(first).exists()
    assert not damaged.exists()
    assert not old_warehouse.exists()


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("by", [("--thread", "thread_9k_a"), ("--metadata", "customer=ay now")])
def test_a_loaded_part_that_was_damaged_since_is_named_and_goes_with_yes(folder: DataFolder, by: Sequence[str]) -> None:
    path = raw_files(folder.data_dir)[0]
    flip_bit(path)

    asked = run_cli(folder.data_dir.parent, "forget", *by)
    assert (asked.returncode, path.exists(), (folder.data_dir / RECORD).exists()) == (2, True, False)
    ended = run_cli(folder.data_dir.parent, "forget", *by, "--yes")

    assert str(path.relative_to(folder.data_dir.parent)) in asked.stdout
    assert "no rebuild will have it" in " ".join(asked.stdout.split())
    assert (ended.returncode, path.exists()) == (0, False)
    assert find_marks(folder.data_dir) == []
    assert read_all(folder.data_dir, "select thread_id from threads") == [("thread_9k_b",)]


def test_a_part_that_is_damaged_meanwhile_leaves_the_forgetting_unfinished_and_that_is_said(folder: DataFolder) -> None:
    targets, sound = find_targets(folder, Wanted(["thread_9k_a"]), {}), folder.unreadable()
    flip_bit(raw_files(folder.data_dir)[0])

    with pytest.raises(IncompleteError, match=r"not finished.*Run the same command again") as caught:
        forget_threads(folder, targets, sound, now=NOW)

    assert "sync --full" not in str(caught.value)
    assert forget(folder, Wanted(["thread_9k_a"])) == ["thread_9k_a", "thread_9k_c"]
    assert find_marks(folder.data_dir) == []


def test_contents_are_not_half_hidden_where_a_part_is_damaged(folder: DataFolder) -> None:
    flip_bit(raw_files(folder.data_dir)[-1])
    before = [path.read_bytes() for path in raw_files(folder.data_dir)]

    with pytest.raises(IncompleteError, match=r"nothing was hidden: the raw part .* is not what was written"):
        forget_contents(folder, "main", KEY)

    assert [path.read_bytes() for path in raw_files(folder.data_dir)] == before


def test_later_syncs_leave_a_forgotten_thread_out_until_it_is_named(folder: DataFolder) -> None:
    forget(folder, Wanted(["thread_9k_a"]))
    everything = ["thread_9k_a", "thread_9k_b"]

    assert leave_out_forgotten(folder.data_dir, "main", everything, (), wait_s=0) == ["thread_9k_b"]
    assert leave_out_forgotten(folder.data_dir, "another", everything, (), wait_s=0) == everything
    assert leave_out_forgotten(folder.data_dir, "main", everything, ["thread_9k_a"], wait_s=0) == everything
    assert leave_out_forgotten(folder.data_dir, "main", everything, (), wait_s=0) == everything
    assert len(read_forgotten(folder.data_dir).threads) == 1


def test_who_names_a_thread_again_waits_for_a_forget_that_is_at_work_and_changes_nothing(folder: DataFolder) -> None:
    forget(folder, Wanted(["thread_9k_a"]))
    with folder.alone(), pytest.raises(WarehouseLockedError, match="`forget` is at work"):
        leave_out_forgotten(folder.data_dir, "main", ["thread_9k_a"], ["thread_9k_a"], wait_s=0)
    with folder.alone():
        assert leave_out_forgotten(folder.data_dir, "main", ["thread_9k_a"], [], wait_s=0) == []

    assert read_forgotten(folder.data_dir).has("main", "thread_9k_a")


def test_the_record_names_no_thread(folder: DataFolder) -> None:
    forget(folder, Wanted(["thread_9k_a"]))

    assert b"thread" not in (folder.data_dir / RECORD).read_bytes()


def test_rows_of_a_part_without_forgotten_threads_are_left_as_they_are(folder: DataFolder) -> None:
    forgotten = read_forgotten(folder.data_dir)
    before = [path.stat().st_mtime_ns for path in raw_files(folder.data_dir)]

    changed = [
        rewrite_part(folder.store, part, lambda rows: without_threads(rows, forgotten))
        for part in folder.store.list_parts()
    ]

    assert changed == [False, False, False]
    assert [path.stat().st_mtime_ns for path in raw_files(folder.data_dir)] == before


def test_two_at_once_do_not_write_the_same_parts(folder: DataFolder) -> None:
    with (
        only_writer(folder.data_dir / "forget", wait_s=0),
        pytest.raises(WarehouseLockedError, match="another `forget` is at work"),
        folder.alone(),
    ):
        pass


def test_the_command_shows_what_would_go_and_removes_nothing_unasked(folder: DataFolder) -> None:
    before = {path: path.read_bytes() for path in raw_files(folder.data_dir)}

    asked = run_cli(folder.data_dir.parent, "forget", "--thread", "thread_9k_a", "--thread", "thread_x")

    assert asked.returncode == 2
    assert "connected agent of thread_9k_a" in asked.stdout
    assert "nothing is stored of thread_x" in asked.stdout
    assert "add --yes" in asked.stderr
    assert {path: path.read_bytes() for path in raw_files(folder.data_dir)} == before


def test_the_command_forgets_with_yes_and_a_later_import_leaves_the_thread_out(folder: DataFolder) -> None:
    place = folder.data_dir.parent
    [runs, _] = [listing.items for listing in listings("thread_9k_a", MARK)]

    ended = run_cli(place, "forget", "--metadata", "customer=ay", "--yes", "--json")
    (place / "archive.jsonl").write_text("\n".join(json.dumps(item) for item in runs))
    imported = run_cli(place, "import", "archive.jsonl", "--source", "main", "--json")

    said = json.loads(ended.stdout)
    assert (ended.returncode, said["forgotten"], said["parts"]) == (0, True, 3)
    assert [thread["thread_id"] for thread in said["threads"]] == ["thread_9k_a", "thread_9k_c"]
    assert (imported.returncode, json.loads(imported.stdout)["left_out"]) == (0, 2)
    assert find_marks(folder.data_dir) == []


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ForgetRequest(), "say what to forget"),
        (ForgetRequest(["t"], full_content=True), "say what to forget"),
        (ForgetRequest(metadata=["customer"]), "is not KEY=VALUE"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, request_: ForgetRequest, message: str) -> None:
    settings = read_settings({"data_dir": str(tmp_path)}, {}, tmp_path)

    with pytest.raises(ConfigurationError, match=message):
        forget_data(settings, request_, as_json=False)


def test_hidden_metadata_cannot_be_searched_with_another_key(tmp_path: Path) -> None:
    store = raw_store(tmp_path)
    writer = PartWriter(store, source="main", sync_id="sync_1")
    summary = SyncSummary(started_at=instant(0), pipeline_version="1", content="hashed", content_key="0123")
    writer.add_summary(summary, instant(0))
    writer.land(writer.take_rows())
    load_new_parts(store, warehouse_path(tmp_path), wait_s=1)
    settings = read_settings({"data_dir": str(tmp_path)}, {"PIPELINE_CONTENT_KEY": KEY.value.decode()}, tmp_path)

    with pytest.raises(ConfigurationError, match="hashed with another content key"):
        forget_data(settings, ForgetRequest(metadata=["customer=x"], yes=True), as_json=False)


def test_an_empty_folder_has_nothing_to_forget(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path, raw_store(tmp_path), warehouse_path(tmp_path))

    with pytest.raises(ConfigurationError, match="nothing to forget"):
        find_targets(folder, Wanted(["thread_9k_a"]), {})


def test_an_import_names_places_that_it_does_not_recognise_without_their_text(tmp_path: Path) -> None:
    [good, broken] = listings("thread_9k_a", MARK)[0].items
    lines = [good, {**broken, "id": None}, {"note": MARK}, {"object": "thread.run", "id": f"{MARK}_run"}]
    (tmp_path / "archive.jsonl").write_text("\n".join([*map(json.dumps, lines), f'"{MARK}"']))

    imported = run_cli(tmp_path, "import", "archive.jsonl", "--source", "main")
    (tmp_path / "archive.jsonl").unlink()
    ended = run_cli(tmp_path, "forget", "--thread", "thread_9k_a", "--yes")

    assert (imported.returncode, ended.returncode) == (4, 0)
    assert "archive.jsonl: line 2: a run without an id" in imported.stderr
    assert MARK not in imported.stderr
    assert find_marks(tmp_path) == []


def test_texts_that_records_of_archive_files_have_kept_go_too_also_those_of_pruned_parts(folder: DataFolder) -> None:
    places = [f'line 2: a run without an id: {{"thread_id": "thread_9k_a", "instructions": "{MARK}', "line 3: not JSON"]
    archive = ArchiveFile(
        file="archive.jsonl", sha256="0", size_bytes=1, pipeline_version="1", unrecognised=2, first_unrecognised=places
    )
    writer = PartWriter(folder.store, source="main", sync_id="20261120T000000000Z-import-000000")
    writer.add_archive(archive, instant(40))
    writer.land(writer.take_rows())
    gone = PrunedPart(source="main", part="gone", size_bytes=1, landed_at=instant(1), archives=[archive])
    add_pruned(folder.store, [gone])

    forget(folder, Wanted(["thread_9k_a"]))

    assert find_marks(folder.data_dir) == []
    [kept, pruned] = [*folder.store.read_archives("main"), *read_pruned(folder.store)[0].archives]
    assert kept == pruned
    assert (kept.sha256, kept.unrecognised) == ("0", 2)
    assert [place.partition(":")[0] for place in kept.first_unrecognised] == ["line 2", "line 3"]


def test_what_lands_of_a_thread_after_it_was_forgotten_is_not_loaded_and_leaves_the_raw_parts(
    folder: DataFolder,
) -> None:
    forget(folder, Wanted(["thread_9k_a"]))
    land(folder.store, *listings("thread_9k_a", MARK, minute=50), sync_id="sync_9")

    loaded = load_new_parts(folder.store, folder.warehouse, wait_s=1)

    assert loaded == 1
    assert find_marks(folder.data_dir) == []
    assert read_all(folder.data_dir, "select thread_id from threads") == [("thread_9k_b",)]


def test_a_rebuild_leaves_out_what_landed_of_a_forgotten_thread(folder: DataFolder) -> None:
    forget(folder, Wanted(["thread_9k_a"]))
    land(folder.store, *listings("thread_9k_a", MARK, minute=50), sync_id="sync_9")

    rebuild(folder.store, folder.warehouse, wait_s=1)

    assert find_marks(folder.data_dir) == []


@pytest.mark.parametrize("mode", [(), ("--no-load",)], ids=["loading", "landing only"])
def test_a_thread_that_is_forgotten_while_it_is_synced_does_not_come_back(tmp_path: Path, mode: Sequence[str]) -> None:
    corpus = generate_corpus(threads=4)
    first, *_ = ids = corpus.thread_ids()
    store, data_dir = raw_store(tmp_path / "data"), tmp_path / "data"
    folder = DataFolder(data_dir, store, warehouse_path(data_dir), 30.0)
    with running_emulator(corpus) as server:
        environ = environ_for(server)
        sync_here(server, data_dir)
        before = len(server.requests())
        # Held back without being pushed back, which would slow down all that follows.
        server.set_faults([{"fault": "status", "status": 408, "headers": {"retry-after-ms": "20"}}])
        arguments = ["sync", *ids, "--full", "--attempts", "1000", *mode]
        with started_cli(tmp_path, *arguments, environ=environ) as process:
            wait_until(lambda: len(server.requests()) > before, what="a request", of=process)
            forget(folder, Wanted([first]))
            server.clear_faults()
            _, stderr = process.communicate()

    assert process.returncode == 0, stderr
    assert "1 thread forgotten while this sync ran" in " ".join(stderr.split())
    assert first not in repr(read_raw(data_dir).rows())
    flat = [FlatStore(store).read(part) or {} for part in store.list_parts()]
    assert first not in repr([frame.rows() for frames in flat for frame in frames.values()])
    load_new_parts(store, folder.warehouse, wait_s=1)
    assert first not in repr([frame.rows() for frame in read_tables(data_dir).values()])
    assert read_all(data_dir, "select count(*) from threads") == [(3,)]
