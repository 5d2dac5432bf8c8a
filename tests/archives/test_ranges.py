"""A large archive of one document a line, cut into ranges: the same documents, the same tables, one record."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.archives.files import read_documents
from pipeline.archives.large import Damage, Document
from pipeline.archives.progress import ImportProgress
from pipeline.archives.ranges import Scanned, hash_file, read_range, read_range_documents, scan_file
from pipeline.cluster.ray_import import RayImport
from pipeline.cluster.ray_reading import FilesJob, FilesRead
from pipeline.errors import ConfigurationError, IncompleteError
from pipeline.raw.places import raw_store
from pipeline.storage.writer_lock import is_being_written
from pipeline.warehouse.database import warehouse_path
from tests.archived import NOW, JsonObject, envelope, function_step, import_here, lines_of, run_object, step_object
from tests.contents import assert_same_contents
from tests.syncs import read_all
from tests.thread_cluster import ThreadCluster

RANGE_BYTES = 3_000


def documents_of(path: Path, scanned: Scanned) -> list[Document | Damage]:
    """What all ranges give, one after another."""
    return [
        document for place in scanned.ranges for document in read_range_documents(read_range(path, place) or b"", place)
    ]


STEPS = [json.dumps(step_object(f"step_{number}", run_id=f"run_{number % 3}")).encode() for number in range(6)]
LINES = st.sampled_from([b"", b"  ", b"\xef\xbb\xbf{}", b"half a line", *STEPS])


@given(lines=st.lists(LINES, max_size=30), end=st.sampled_from([b"", b"\n"]), range_bytes=st.integers(1, 3_000))
@settings(max_examples=60, deadline=None)
def test_ranges_give_the_documents_of_the_whole_file_at_the_same_places(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], end: bytes, range_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("archive") / "a.jsonl"
    path.write_bytes(b"\n".join([b"\xef\xbb\xbf{}", *lines]) + end)

    scanned = scan_file(path, range_bytes=range_bytes)

    assert scanned.sha256 == hash_file(path)
    if scanned.ranges:
        assert documents_of(path, scanned) == list(read_documents(path))
        assert sum(place.size_bytes for place in scanned.ranges) == path.stat().st_size


def test_a_cut_waits_for_the_end_of_a_run_and_not_longer_than_for_another_range(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    run = [function_step(f"step_{number}", "x" * 100, run_id="run_1") for number in range(3)]
    endless = [function_step(f"step_{number}", "x" * 100, run_id="run_2") for number in range(3, 10)]
    path.write_bytes(lines_of([*run, *endless]))

    scanned = scan_file(path, range_bytes=600)

    assert [place.first_line for place in scanned.ranges] == [1, 4, 7, 10]


@pytest.mark.parametrize(
    "content",
    [
        b'{\n"object": "list",\n"data": []}\n' * 100,
        b'{"a": ' + b"[" * 10 + b"\n" + b'{"b": 1}\n' * 1_000,
        lines_of([{"text": "x" * 4_000}]).strip(),
        lines_of([{}] * 1_200 + [{"text": "x" * 4_000}] + [{}] * 1_200),
        lines_of([{}] * 10),
    ],
    ids=["of many lines", "first line broken", "one line", "a line that is too long", "small"],
)
def test_what_is_not_read_line_by_line_to_its_end_is_not_cut(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)

    assert scan_file(path, range_bytes=RANGE_BYTES, whole_bytes=4_000) == Scanned(hash_file(path))


def test_a_line_as_long_as_may_be_does_not_keep_a_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    longest = lines_of([{"text": "x" * 3_987}])
    path.write_bytes(lines_of([{}] * 1_200) + longest + lines_of([{}] * 1_200))

    assert len(longest) == 4_000
    assert len(scan_file(path, range_bytes=RANGE_BYTES, whole_bytes=4_000).ranges) > 1


def test_a_range_whose_bytes_have_changed_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of([{"number": 1}] * 1_200))
    first, *_, last = scan_file(path, range_bytes=RANGE_BYTES).ranges

    path.write_bytes(path.read_bytes()[:-3] + b"2}\n")

    assert read_range(path, first) is not None
    assert read_range(path, last) is None


def import_cut(folder: Path, archive: Path, threads: ThreadCluster | None = None) -> ImportProgress:
    progress = ImportProgress(files_total=1)
    cluster: Any = threads or ThreadCluster()
    work = RayImport(cluster, folder, "archive", None, range_bytes=RANGE_BYTES)
    work.run([archive], progress=progress, now=lambda: NOW, lock_wait_s=1.0)
    return progress


def steps_of_one_second(run_id: str, count: int) -> list[JsonObject]:
    """Steps whose ids do not tell their order."""
    return [step_object(f"step_{run_id}_{97 - number}", run_id=run_id) for number in range(count)]


def runs_together(name: str = "run") -> list[JsonObject]:
    runs = [f"{name}_{number}" for number in range(6)]
    return [item for run_id in runs for item in (run_object(run_id), *steps_of_one_second(run_id, 4))]


def runs_far_apart(name: str = "run") -> list[JsonObject]:
    """A step of each run in turns."""
    steps = [steps_of_one_second(f"{name}_{number}", 12) for number in range(3)]
    return [step for each in zip(*steps, strict=True) for step in each]


def runs_backwards(name: str) -> list[JsonObject]:
    """Each run from its newest step to its oldest, two of a second, all of it smaller than a range."""
    runs = [steps_of_one_second(f"{name}_{number}", 6) for number in range(6)]
    return [step | {"created_at": step["created_at"] - number // 2} for run in runs for number, step in enumerate(run)]


def lists_far_apart(name: str) -> list[JsonObject]:
    """Pages of lists in the order of the API, newest first, those of three runs in turns."""
    return [envelope(runs_far_apart(name)[number::-3][:4]) for number in (35, 34, 33, 23, 22, 21, 11, 10, 9)]


def states_far_apart(name: str) -> list[JsonObject]:
    """All steps open, then half of them ended, then all open once more."""
    steps = runs_far_apart(name)
    waiting = [step | {"status": "in_progress", "completed_at": None} for step in steps]
    return [*waiting, *steps[::2], *waiting]


def damaged(name: str) -> list[Any]:
    broken = step_object(f"{name}_1", run_id=name, usage="none", created_at="soon")
    return ["?", broken, {"id": 1}, *runs_far_apart(name), broken, broken | {"id": f"{name}_2"}, [1]]


@pytest.mark.parametrize(
    "shapes",
    [[runs_together, runs_far_apart, lists_far_apart, states_far_apart, damaged], [runs_backwards] * 20],
    ids=["mixed", "backwards"],
)
def test_a_cut_archive_comes_to_the_tables_of_one_that_is_read_in_one_go(
    tmp_path: Path, shapes: list[Callable[[str], list[Any]]]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(lines_of(shape(f"{shape.__name__}_{index}")) for index, shape in enumerate(shapes)))
    whole = import_here(tmp_path / "whole", path)

    cut = import_cut(tmp_path / "cut", path)

    assert len(scan_file(path, range_bytes=RANGE_BYTES).ranges) > 12
    # Each import has an id of its own.
    assert [replace(archive, sync_id="") for archive in cut.archives] == [
        replace(archive, sync_id="") for archive in whole.archives
    ]
    assert cut.values() == whole.values()
    # A list that is on both sides of a cut has a walk for each of them.
    assert_same_contents(tmp_path / "cut", tmp_path / "whole", but=["walks"])


def test_steps_of_one_second_from_two_imports_stand_by_their_places_in_each(tmp_path: Path) -> None:
    """Monday has the newest three with contents, in the last range of its file; Tuesday has all six without."""
    monday = [function_step(f"step_{number}", "a long answer", run_id="run_1") for number in (9, 8, 7)]
    tuesday = [function_step(f"step_{number}", "-", run_id="run_1") for number in (9, 8, 7, 6, 5, 4)]
    others = [function_step(f"other_{number}", "y" * 200, run_id=f"run_o{number}") for number in range(12)]
    (tmp_path / "monday.jsonl").write_bytes(lines_of([*others, *monday]))
    (tmp_path / "tuesday.jsonl").write_bytes(lines_of(tuesday))

    import_cut(tmp_path / "data", tmp_path / "monday.jsonl")
    import_here(tmp_path / "data", tmp_path / "tuesday.jsonl")

    steps = read_all(tmp_path / "data", "select step_id from run_steps where run_id = 'run_1' order by step_index")
    assert [step_id for (step_id,) in steps] == [f"step_{number}" for number in (9, 8, 7, 6, 5, 4)]


@pytest.mark.parametrize("runs_first", [True, False], ids=["runs first", "steps first"])
def test_a_run_is_charged_once_whichever_of_it_and_its_steps_is_loaded_first(tmp_path: Path, runs_first: bool) -> None:
    (tmp_path / "1.jsonl").write_bytes(lines_of([run_object("run_1")]))
    (tmp_path / "2.jsonl").write_bytes(lines_of(steps_of_one_second("run_1", 3)))

    for name in ("1.jsonl", "2.jsonl") if runs_first else ("2.jsonl", "1.jsonl"):
        import_here(tmp_path / "data", tmp_path / name)

    assert read_all(tmp_path / "data", "select count(*) from cost_ledger") == [(3,)]


def test_only_the_first_places_that_nobody_could_read_are_named_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of([{"unknown": number} for number in range(2_000)]))

    [archive] = import_cut(tmp_path / "cut", path).archives

    assert archive.unrecognised == 2_000
    assert archive.first_unrecognised == ["line 1, line 2, line 3 and 1,997 more: neither a run nor a step"]


@dataclass
class BreaksOff(ThreadCluster):
    """Machines that go away after some tasks."""

    after: int = 0

    def run(self, work: Callable[..., Any], jobs: Iterable[Any]) -> Iterator[Any]:
        for number, job in enumerate(jobs):
            if isinstance(job, FilesJob) and number == self.after:
                raise KeyboardInterrupt
            yield work(job)


@pytest.mark.parametrize("after", [2, 3])
def test_an_import_that_breaks_off_lets_go_of_the_warehouse_before_anyone_hears_of_it(
    tmp_path: Path, after: int
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of(runs_far_apart()))

    with pytest.raises(KeyboardInterrupt):
        import_cut(tmp_path / "cut", path, BreaksOff(after=after))

    assert not is_being_written(warehouse_path(tmp_path / "cut"))


def test_an_import_that_breaks_off_leaves_no_record_and_the_next_one_reads_the_file_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of(runs_far_apart()))
    with pytest.raises(KeyboardInterrupt):
        import_cut(tmp_path / "cut", path, BreaksOff(after=2))
    before = raw_store(tmp_path / "cut").read_archives("archive")

    progress = import_cut(tmp_path / "cut", path)

    import_here(tmp_path / "whole", path)
    assert (before, progress.files_known, progress.steps) == ([], 0, 36)
    assert len(raw_store(tmp_path / "cut").read_archives("archive")) == 1
    assert_same_contents(tmp_path / "cut", tmp_path / "whole", but=["walks"])


def test_a_file_whose_parts_are_gone_gets_no_record(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of(runs_together()))

    class Loses(ThreadCluster):
        def run(self, work: Callable[..., Any], jobs: Iterable[Any]) -> Iterator[Any]:
            for found in super().run(work, jobs):
                if isinstance(found, FilesRead) and found.place is not None and not found.place.start:
                    (tmp_path / "cut" / "raw" / "archive" / f"{found.parts[0].name}.parquet").unlink()
                yield found

    with pytest.raises(IncompleteError, match="raw parts that workers landed 1 are not in"):
        import_cut(tmp_path / "cut", path, Loses())

    assert raw_store(tmp_path / "cut").read_archives("archive") == []


def test_an_archive_that_changes_after_it_was_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of(runs_together()))

    class ChangesIt(ThreadCluster):
        def run(self, work: Callable[..., Any], jobs: Iterable[Any]) -> Iterator[Any]:
            yield from super().run(work, jobs)
            path.write_bytes(lines_of(runs_far_apart()))

    with pytest.raises(ConfigurationError, match=r"a\.jsonl has changed, or is another file than elsewhere"):
        import_cut(tmp_path / "cut", path, ChangesIt())


def test_a_cut_archive_that_is_known_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of(runs_together()))
    import_cut(tmp_path / "cut", path)

    again = import_cut(tmp_path / "cut", path)

    assert (again.files_known, again.files_done, again.steps) == (1, 1, 0)
    assert read_all(tmp_path / "cut", "select count(*) from run_steps") == [(24,)]


@pytest.mark.parametrize("cut", [True, False], ids=["in ranges", "in one go"])
def test_all_that_an_import_records_is_of_the_clock_it_was_given(tmp_path: Path, cut: bool) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of(runs_together()))

    (import_cut if cut else import_here)(tmp_path / "data", path)

    recorded = "select distinct unnest([started_at, finished_at]) from syncs union select landed_at from loaded_parts"
    assert read_all(tmp_path / "data", recorded) == [(NOW,)]
