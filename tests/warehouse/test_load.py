"""The tables follow from the set of parts: not from their order, not from how often they were loaded."""

import random
import stat
from collections.abc import Iterator, Sequence
from datetime import timedelta
from math import nan as NAN  # noqa: N812 - a constant of the examples
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigurationError, PipelineError
from pipeline.flatten.part_frames import frames_of
from pipeline.raw.parts import Part, RawStore
from pipeline.raw.places import raw_store
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, frame_views, read_frame
from pipeline.warehouse.database import open_for_writing, warehouse_path
from pipeline.warehouse.load import load_batches, load_new_parts, load_parts, rebuild
from tests.landed import EPOCH, Json, Listing, land, run_of, step_of
from tests.syncs import read_all, read_tables

BROKEN_STEP: Json = step_of("step_bad", created_at="yesterday", usage=5)
LONE_STEP: Json = {**BROKEN_STEP, "id": "step_lone"}
# The ledger posts a sealed run at the price that held when it was loaded: there the time of loading is meant to count.
KEPT = ("prices", "price_discounts", "fees", "schema_version")
LEDGER = ("cost_ledger", "repricings")
# Two threads, runs that were open and then terminal, walks that broke, were empty, came late or twice.
HISTORY: list[tuple[str, list[Listing]]] = [
    ("sync_1", [Listing(1, [run_of("run_1", "in_progress"), run_of("run_2")]), Listing(1, [], run_id="run_2")]),
    ("sync_2", [Listing(2, [step_of("step_1")], run_id="run_1", run_status="in_progress")]),
    ("sync_3", [Listing(3, [step_of("step_1"), BROKEN_STEP], run_id="run_1", verdict="broken")]),
    ("sync_4", [Listing(4, [run_of("run_1", model="gpt-4o"), run_of("run_2", model="late")])]),
    ("sync_5", [Listing(5, [step_of("step_1", calls=2), step_of("step_2", calls=0)], run_id="run_1")]),
    ("sync_6", [Listing(6, [step_of("step_1")], run_id="run_1", verdict="failed")]),
    ("sync_7", [Listing(5, [step_of("step_1", calls=3), BROKEN_STEP], run_id="run_1")]),
    ("sync_8", [Listing(8, [], thread_id="thread_2", verdict="missing")]),
    ("sync_9", [Listing(7, [run_of("run_3", "queued")], thread_id="thread_2", first_index=4, after_id="run_0")]),
    ("sync_A", [Listing(9, [], run_id="run_2", verdict="failed"), Listing(9, [run_of("run_1", "in_progress")])]),
    ("sync_B", [Listing(6, [LONE_STEP], run_id="run_3", run_status=None, thread_id="thread_2", verdict="broken")]),
]


def land_history(store: RawStore, history: Sequence[tuple[str, list[Listing]]] = HISTORY) -> list[Part]:
    """The parts of a history; the first has a plan, and every second sync is closed by a part of its own."""
    parts = [
        land(store, *listings, sync_id=sync_id, started=number, planned=["thread_1", "thread_3"] if not number else ())
        for number, (sync_id, listings) in enumerate(history)
    ]
    for number, (sync_id, _) in list(enumerate(history))[::2]:
        parts.append(land(store, sync_id=f"{sync_id}-end", started=number, verdict="complete"))
    return [store.read_part(part) for part in parts]


def read_memory(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    return {
        table: sorted(read_frame(connection, f"select * from {table}").rows(), key=repr)
        for table in read_sql_files("tables")
        if table not in LEDGER
    }


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> list[Part]:
    return land_history(RawStore(tmp_path_factory.mktemp("history") / "raw"))


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with open_for_writing(tmp_path_factory.mktemp("orders") / "warehouse.duckdb", wait_s=0) as connection:
        yield connection


def load_in(
    connection: Connection,
    batches: Sequence[Sequence[Part]],
    *,
    as_one: bool = False,
    commit_every: int | None = None,
) -> dict[str, list[tuple[object, ...]]]:
    """All tables after an empty warehouse has loaded these batches, each by itself or all as one load."""
    for table in set(read_sql_files("tables")) - set(KEPT):
        connection.execute(f"delete from {table}")
    if as_one:
        frames = [[frames_of(part) for part in batch] for batch in batches]
        load_batches(connection, frames, commit_every=commit_every)
    else:
        for batch in batches:
            load_parts(connection, batch)
    return read_memory(connection)


@pytest.fixture(scope="module")
def in_order(history: list[Part], connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    return load_in(connection, [history])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=8)
@given(data=st.data())
def test_parts_give_the_same_tables_in_any_order_and_in_any_batches(
    history: list[Part], connection: Connection, in_order: dict[str, list[tuple[object, ...]]], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(history))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(order) - 1), max_size=5)))
    batches = [order[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(order)], strict=True)]

    assert load_in(connection, batches) == in_order
    assert load_in(connection, batches, as_one=True) == in_order
    assert load_in(connection, batches, as_one=True, commit_every=2) == in_order


def test_the_steps_of_a_run_come_from_its_latest_complete_walk(history: list[Part], connection: Connection) -> None:
    load_in(connection, [[part] for part in history])

    steps = "select step_id, step_index, walk_id from run_steps where run_id = 'run_1' order by step_index"
    assert read_frame(connection, steps).rows() == [("step_1", 0, "sync_7.0.1"), ("step_bad", 1, "sync_7.0.1")]
    calls = "select step_id, count(*) from tool_calls group by step_id order by step_id"
    assert read_frame(connection, calls).rows() == [
        ("step_1", 3),
        ("step_bad", 1),
        ("step_lone", 1),
    ]


def test_a_broken_walk_counts_until_a_complete_one_comes(connection: Connection, history: list[Part]) -> None:
    load_in(connection, [history])

    rows = read_frame(connection, "select step_id, walk_id from run_steps where run_id = 'run_3'").rows()
    assert rows == [("step_lone", "sync_B.0.1")]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_run_is_its_newest_observation(history: list[Part], connection: Connection, at_once: bool) -> None:
    load_in(connection, [history] if at_once else [[part] for part in history])

    assert read_frame(connection, "select run_id, status, model, sealed from runs order by run_id").rows() == [
        ("run_1", "in_progress", None, False),
        ("run_2", "completed", "late", True),
        ("run_3", "queued", None, False),
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_open_run_of_an_archive_never_takes_the_place_of_its_end(
    order: tuple[int, int], connection: Connection, tmp_path: Path
) -> None:
    store = RawStore(tmp_path / "more")
    names = [
        land(store, Listing(1, [run_of("run_1")])),
        land(store, Listing(9, [run_of("run_1", "in_progress")], verdict="imported"), sync_id="sync_2"),
    ]
    load_in(connection, [[store.read_part(names[place])] for place in order])

    assert read_frame(connection, "select status from runs").rows() == [("completed",)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    "less",
    [
        None,
        {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11},
    ],
)
def test_of_two_states_of_one_instant_the_one_that_says_more_of_a_run_counts_in_any_order(
    less: dict[str, int] | None, order: tuple[int, int], connection: Connection, tmp_path: Path
) -> None:
    store = RawStore(tmp_path / "more")
    more = {
        "prompt_tokens": 10,
        "completion_tokens": 1,
        "total_tokens": 11,
        "prompt_token_details": {"cached_tokens": 4},
    }
    names = [
        land(store, Listing(1, [run_of("run_1", usage=usage)], verdict="imported"), sync_id=f"sync_{number}")
        for number, usage in enumerate((more, less))
    ]
    load_in(connection, [[store.read_part(names[place])] for place in order])

    assert read_frame(connection, "select prompt_tokens, cached_tokens from runs").rows() == [(10, 4)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("less", [None, {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}])
def test_of_two_states_of_one_instant_the_one_that_says_more_of_a_step_counts_in_any_order(
    less: dict[str, int] | None, order: tuple[int, int], connection: Connection, tmp_path: Path
) -> None:
    store = RawStore(tmp_path / "more")
    more = {
        "prompt_tokens": 10,
        "completion_tokens": 1,
        "total_tokens": 11,
        "prompt_token_details": {"cached_tokens": 4},
    }
    names = [
        land(
            store,
            Listing(1, [step_of("step_1", usage=usage)], run_id="run_1", run_status=None, verdict="imported"),
            sync_id=f"sync_{number}",
        )
        for number, usage in enumerate((less, more))
    ]
    load_in(connection, [[store.read_part(names[place])] for place in order])

    assert read_frame(connection, "select prompt_tokens, cached_tokens from run_steps").rows() == [(10, 4)]


IMAGE = {"file_id": "file_1"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}", "output": "a"}}
DETAILS = {"type": "tool_calls", "tool_calls": [CALL]}


def details_of(**call: Any) -> Json:
    return {"step_details": {**DETAILS, "tool_calls": [{**CALL, **call}]}}


# Each two say as much as the other.
EQUAL_STATES: list[tuple[Json, Json]] = [
    ({"status": "failed"}, {"status": "cancelled"}),
    ({"assistant_id": "asst_1"}, {"assistant_id": "asst_2"}),
    ({"last_error": {"code": "a", "message": "b"}}, {"last_error": {"code": "b", "message": "a"}}),
    ({"usage": {"prompt_tokens": 5}}, {"usage": {"completion_tokens": 5}}),
    ({"usage": {"total_tokens": 5}}, {"usage": {"total_tokens": 6}}),
    ({"metadata": {"a": "1"}}, {"metadata": {"a": "2"}}),
    ({"of_tomorrow": 1}, {"of_tomorrow": 2}),
    ({"metadata": {"a": "1", "b": NAN}}, {"metadata": {"a": "2", "b": NAN}}),
    (details_of(id="call_2"), details_of(id="call_3")),
    (details_of(function={"name": "b", "output": "a"}), details_of(function={"name": "a", "output": "b"})),
    (
        details_of(type="code_interpreter", code_interpreter={"outputs": [{"type": "image", "image": IMAGE}]}),
        details_of(type="code_interpreter", code_interpreter={"outputs": [{"type": "image"}]}),
    ),
    (
        details_of(type="file_search", file_search={"results": [{"file_id": "a", "score": 0.5}]}),
        details_of(type="file_search", file_search={"results": [{"file_id": "a", "score": 0.6}]}),
    ),
]


def listings_of(states: Sequence[Json], *, is_step: bool) -> list[Listing]:
    """An object for each state: a step of a run of its own, or a run."""
    if not is_step:
        runs = [run_of(f"object_{number}", **state) for number, state in enumerate(states)]
        return [Listing(1, runs, run_status=None, verdict="imported")]
    steps = [step_of("object", **state) for state in states]
    return [
        Listing(1, [step], run_id=f"run_{number}", run_status=None, verdict="imported")
        for number, step in enumerate(steps)
    ]


@pytest.mark.parametrize("is_step", [True, False], ids=["step", "run"])
def test_of_two_states_that_say_as_much_the_same_one_counts_whichever_was_imported_first(
    is_step: bool, connection: Connection, tmp_path: Path
) -> None:
    def import_in_turn(order: Sequence[int], *, as_one: bool) -> dict[str, list[tuple[object, ...]]]:
        """All that is known of the objects, but who saw them, after their states were imported one after another."""
        store = RawStore(tmp_path / f"{order[0]}{as_one}")
        names = [
            land(
                store,
                *listings_of([states[place] for states in EQUAL_STATES], is_step=is_step),
                sync_id=f"sync_{number}",
            )
            for number, place in enumerate(order)
        ]
        load_in(connection, [[store.read_part(name)] for name in names], as_one=as_one)
        return {
            table: read_frame(connection, f"select * from {table} order by all")
            .drop("walk_id", "observed_at", strict=False)
            .rows()
            for table in ("runs", "run_steps", "tool_calls", "code_interpreter_outputs", "file_search_results")
        }

    found = import_in_turn([0, 1], as_one=True)

    assert len(found["run_steps" if is_step else "runs"]) == len(EQUAL_STATES)
    assert import_in_turn([1, 0], as_one=False) == import_in_turn([0, 1], as_one=False) == found


def test_rejects_are_those_of_the_walks_that_the_rows_come_from(history: list[Part], connection: Connection) -> None:
    load_in(connection, [history])

    assert read_frame(connection, "select walk_id, json_path from rejects order by all").rows() == [
        ("sync_7.0.1", "$.data[1].created_at"),
        ("sync_7.0.1", "$.data[1].usage"),
        ("sync_B.0.1", "$.data[0].created_at"),
        ("sync_B.0.1", "$.data[0].usage"),
    ]


def test_threads_say_how_far_they_are_covered(history: list[Part], connection: Connection) -> None:
    load_in(connection, [history])

    rows = read_frame(connection, "select thread_id, status, run_count, error from threads order by all").rows()
    assert rows == [
        ("thread_1", "failed", 2, "it was failed"),
        ("thread_2", "missing", 1, "it was missing"),
        ("thread_3", "known", 0, None),
    ]


@pytest.mark.parametrize(
    ("listings", "sealed"),
    [
        ([Listing(1, [run_of("run_1")]), Listing(2, [], run_id="run_1")], True),
        ([Listing(1, [run_of("run_1")]), Listing(2, [], run_id="run_1", verdict="broken")], False),
        ([Listing(1, [run_of("run_1")])], False),
        ([Listing(1, [run_of("run_1", "queued")]), Listing(2, [], run_id="run_1", run_status="queued")], False),
        # It ended while its steps were walked: nobody knows whether the walk saw the last of them.
        (
            [
                Listing(1, [run_of("run_1", "in_progress")]),
                Listing(2, [], run_id="run_1", run_status="in_progress"),
                Listing(3, [run_of("run_1")]),
            ],
            False,
        ),
        ([Listing(1, [run_of("run_1", "telepathic")]), Listing(2, [], run_id="run_1", run_status="telepathic")], False),
        # It had ended, went on and ended again, and nobody has read its steps since.
        (
            [
                Listing(1, [run_of("run_1", completed_at=10)]),
                Listing(2, [], run_id="run_1", run_ended_at=EPOCH + timedelta(seconds=10)),
                Listing(3, [run_of("run_1", completed_at=20)]),
            ],
            False,
        ),
        # It ended, but says too little: a day long it may say more.
        ([Listing(1, [run_of("run_1")]), Listing(2, [], run_id="run_1", is_settled=False)], False),
        (
            [
                Listing(1, [run_of("run_1")]),
                Listing(2, [], run_id="run_1", is_settled=False),
                Listing(24 * 60 + 1, [], run_id="run_1", is_settled=False),
            ],
            False,
        ),
        (
            [
                Listing(1, [run_of("run_1")]),
                Listing(2, [], run_id="run_1", is_settled=False),
                Listing(24 * 60 + 2, [], run_id="run_1", is_settled=False),
            ],
            True,
        ),
        (
            [
                Listing(1, [run_of("run_1")]),
                Listing(2, [], run_id="run_1", is_settled=False),
                Listing(5, [], run_id="run_1", is_settled=True),
            ],
            True,
        ),
    ],
)
def test_a_run_is_sealed_when_it_was_terminal_before_its_steps_were_walked_to_the_end(
    tmp_path: Path, connection: Connection, listings: list[Listing], sealed: bool
) -> None:
    store = RawStore(tmp_path)
    part = store.read_part(land(store, *listings))

    load_in(connection, [[part]])

    assert read_frame(connection, "select sealed from runs").rows() == [(sealed,)]


def test_loading_again_changes_nothing(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    land_history(store)
    assert load_new_parts(store, path, wait_s=0) == len(store.list_parts())
    before = read_tables(tmp_path)

    assert load_new_parts(store, path, wait_s=0) == 0

    assert_same(read_tables(tmp_path), before)


def test_a_rebuild_gives_the_same_tables_as_loading_part_by_part(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    parts = land_history(store)
    random.Random(7).shuffle(parts)
    with open_for_writing(path, wait_s=0) as connection:
        for part in parts:
            load_parts(connection, [part])
    before = read_tables(tmp_path)

    assert rebuild(store, path, wait_s=0) == len(parts)

    after = read_tables(tmp_path)
    for ledger in LEDGER:
        after.pop(ledger)
        before.pop(ledger)
    assert_same(after, before)


def test_a_load_that_fails_leaves_the_warehouse_as_it_was_and_the_next_one_completes_it(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    land(store, Listing(1, [run_of("run_1")]), sync_id="sync_1")
    load_new_parts(store, path, wait_s=0)
    before = read_tables(tmp_path)
    land(store, Listing(2, [run_of("run_2")]), sync_id="sync_2")
    bad = land(store, Listing(3, [run_of("run_3")]), sync_id="sync_3")
    store.path(bad).rename(tmp_path / "moved")
    store.path(bad).symlink_to("nowhere")

    with pytest.raises(PipelineError, match="cannot be read"):
        load_new_parts(store, path, wait_s=0)

    assert_same(read_tables(tmp_path), before)
    store.path(bad).unlink()
    (tmp_path / "moved").rename(store.path(bad))
    assert load_new_parts(store, path, wait_s=0) == 2
    assert read_all(tmp_path, "select run_id from runs order by all") == [("run_1",), ("run_2",), ("run_3",)]


def test_a_load_that_fails_inside_its_transaction_leaves_no_row(tmp_path: Path) -> None:
    store = raw_store(tmp_path)
    part = store.read_part(land(store, Listing(1, [run_of("run_1")])))
    with open_for_writing(warehouse_path(tmp_path), wait_s=0) as connection:
        # The last table that a load writes to.
        connection.execute("drop table loaded_parts")

        with pytest.raises(duckdb.Error, match="loaded_parts"):
            load_parts(connection, [part])

        assert read_frame(connection, "select run_id from walks union all select run_id from runs").rows() == []


def test_a_rebuild_that_fails_leaves_the_old_warehouse(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    part = land(store, Listing(1, [run_of("run_1")]))
    load_new_parts(store, path, wait_s=0)
    store.path(part).write_bytes(b"PAR1 torn")

    with pytest.raises(PipelineError, match="cannot be read"):
        rebuild(store, path, wait_s=0)

    assert read_all(tmp_path, "select run_id from runs") == [("run_1",)]
    store.path(part).unlink()
    land(store, Listing(1, [run_of("run_1")]), sync_id="sync_2")
    load_new_parts(store, path, wait_s=0)
    assert [file.name for file in tmp_path.iterdir() if ".new" in file.name] == []


def test_a_frame_that_is_shown_takes_the_place_of_the_one_before_inside_one_transaction(connection: Connection) -> None:
    found = []
    with frame_views(connection) as show:
        connection.execute("begin")
        for value in ("first", "second"):
            show({"shown": pl.DataFrame({"value": [value]})})
            found.append(read_frame(connection, "select value from shown").item())
        connection.execute("commit")

    assert found == ["first", "second"]
    with pytest.raises(duckdb.CatalogException):
        connection.execute("select value from shown")


def test_json_that_duckdb_refuses_is_kept_as_a_text(tmp_path: Path) -> None:
    store = raw_store(tmp_path)
    land(store, Listing(1, [run_of("run_1", metadata={"half": "\ud83d"}, tools=[{"type": "x"}])]))

    load_new_parts(store, warehouse_path(tmp_path), wait_s=0)

    [(metadata, tools)] = read_all(
        tmp_path, "select metadata::varchar, json_extract_string(tools, '$[0].type') from runs"
    )
    assert "half" in metadata
    assert tools == "x"


def test_texts_keep_every_character(tmp_path: Path) -> None:
    text = "nul \0, quote ', line\r\n\u2028 end, 潮汐 🌊, \u202eright to left"
    store = raw_store(tmp_path)
    land(store, Listing(1, [run_of("run_1", instructions=text)]))

    load_new_parts(store, warehouse_path(tmp_path), wait_s=0)

    assert read_all(tmp_path, "select instructions from runs") == [(text,)]


def test_ids_are_unique_only_within_their_source(tmp_path: Path) -> None:
    store = raw_store(tmp_path)
    for source in ("main", "other"):
        part = land(store, Listing(1, [run_of("run_1", model=source)]), sync_id=f"sync_{source}")
        frame = pl.read_parquet(store.path(part)).with_columns(source=pl.lit(source))
        store.path(part).unlink()
        store.write_part(type(part)(source, part.name), frame)

    load_new_parts(store, warehouse_path(tmp_path), wait_s=0)

    assert read_all(tmp_path, "select source, run_id, model from runs order by all") == [
        ("main", "run_1", "main"),
        ("other", "run_1", "other"),
    ]


def test_nothing_landed_makes_no_warehouse(tmp_path: Path) -> None:
    assert load_new_parts(raw_store(tmp_path), warehouse_path(tmp_path), wait_s=0) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_warehouse_of_another_schema_says_how_to_make_it_anew(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    land(store, Listing(1, [run_of("run_1")]))
    with duckdb.connect() as other:
        other.execute(f"attach '{path}' as other (storage_version 'v1.5.0')")
        other.execute("create table other.something (a integer)")

    with pytest.raises(ConfigurationError, match="load --rebuild"):
        load_new_parts(store, path, wait_s=0)

    rebuild(store, path, wait_s=0)
    assert read_all(tmp_path, "select run_id from runs") == [("run_1",)]


def test_the_warehouse_can_be_read_by_its_owner_only_and_stays_what_its_owner_made_it(tmp_path: Path) -> None:
    store, path = raw_store(tmp_path), warehouse_path(tmp_path)
    land(store, Listing(1, [run_of("run_1")]))

    load_new_parts(store, path, wait_s=0)
    made = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0o640)
    rebuild(store, path, wait_s=0)

    assert oct(made) == "0o600"
    assert oct(stat.S_IMODE(path.stat().st_mode)) == "0o640"


def assert_same(tables: dict[str, pl.DataFrame], others: dict[str, pl.DataFrame]) -> None:
    assert tables.keys() == others.keys()
    for table, frame in tables.items():
        assert frame.equals(others[table]), table


def test_views_of_an_earlier_program_are_made_anew_when_the_warehouse_is_next_opened_to_write(tmp_path: Path) -> None:
    path = warehouse_path(tmp_path)
    with open_for_writing(path, wait_s=1) as connection:
        connection.execute("create or replace view tool_usage as select 'of an earlier program' as name")
        connection.execute("update schema_version set views_sha256 = 'of an earlier program'")

    with open_for_writing(path, wait_s=1) as connection:
        assert read_frame(connection, "select name from tool_usage").is_empty()
    with open_for_writing(path, wait_s=1) as connection:
        assert read_frame(connection, "select count(*) as versions from schema_version").item() == 1
