"""Lakes for tests: a data folder with every kind of part, published, and read whole."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pipeline.lake.store import Lake
from pipeline.money.usage_import import land_bills
from pipeline.raw.parts import RawStore
from pipeline.raw.places import raw_store
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import read_frame
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts
from tests.archived import JsonObject, function_step, import_here, run_object, step_object, write_json
from tests.attached import looking_into
from tests.copied_folders import make_copy
from tests.landed import Listing, land
from tests.money.test_bills import answer, cost, page, usage
from tests.warehouse.test_load import HISTORY, land_history

Tables = dict[str, pl.DataFrame]


def land_everything(data_dir: Path) -> RawStore:
    """Syncs, broken walks, imports of which three disagree, and a bill that is imported twice: loaded, too."""
    make_copy(_land_everything, data_dir)
    return raw_store(data_dir)


def _land_everything(data_dir: Path) -> None:
    store = raw_store(data_dir)
    land_history(store, HISTORY)
    archives = [
        [run_object(total=20), function_step("step_1", "short"), step_object("step_2", at=2)],
        [function_step("step_1", "a longer output"), step_object("step_3", at=3, usage="many")],
        [run_object(run_id="run_9"), function_step("step_1", None, status="in_progress")],
        [run_object(run_id="run_8"), tools_step("step_8", run_id="run_8")],
    ]
    for number, objects in enumerate(archives):
        import_here(data_dir, write_json(data_dir / f"archive_{number}.json", objects))
    # A complete walk outranks what an archive says of the same run.
    land(store, Listing(20, [step_object("step_9", run_id="run_9")], run_id="run_9"), sync_id="sync_Z")
    for minute in (0, 1):
        bill = page(answer(cost("1.25", project_id=None), usage(output_tokens=minute)), minute=minute)
        land_bills(store, [bill], source="main", now=bill.imported_at)
    load_new_parts(store, warehouse_path(data_dir), wait_s=5)


def tools_step(step_id: str, *, run_id: str) -> JsonObject:
    """A step of one call of each of the server's own tools, each with a result."""
    output = {"type": "logs", "logs": "2"}
    result = {"file_id": "file_1", "file_name": "a.txt", "score": 0.5}
    calls = [
        {"id": "call_1", "type": "code_interpreter", "code_interpreter": {"input": "1 + 1", "outputs": [output]}},
        {"id": "call_2", "type": "file_search", "file_search": {"results": [result]}},
    ]
    details = {"type": "tool_calls", "tool_calls": calls}
    return step_object(step_id, run_id=run_id, type="tool_calls", step_details=details)


def read_lake(lake: Path | str) -> Tables:
    """Every table of a lake as Polars reads it, sorted."""
    snapshot = Lake(str(lake)).open()
    return {name: _sorted(name, snapshot.scan(name).collect()) for name in read_sql_files("tables")}


def read_warehouse(path: Path) -> Tables:
    """Every table of a warehouse, sorted, JSON as text."""
    tables = {}
    with looking_into(path) as connection:
        for name, table in read_sql_files("tables").items():
            columns = [f"cast({c} as varchar) as {c}" if sql == "json" else c for c, sql in table.columns.items()]
            tables[name] = _sorted(name, read_frame(connection, f"select {', '.join(columns)} from {name}"))
    return tables


def assert_same(ours: Tables, theirs: Tables, *, without: Sequence[str] = ()) -> None:
    """Whole tables, with their types."""
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - set(without):
        assert ours[name].schema == theirs[name].schema, name
        assert ours[name].equals(theirs[name]), (name, ours[name], theirs[name])


def _sorted(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort(list(read_sql_files("tables")[name].columns), nulls_last=True)
