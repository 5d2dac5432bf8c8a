"""What notebooks ask: views are worked out once, for the warehouse as it is."""

from pathlib import Path

from pipeline.report.notebook import Scope
from pipeline.warehouse.database import open_for_writing
from tests.warehouse_rows import add_run
from tests.warehouses import make_one_run, read_one


def test_a_view_is_kept_between_two_questions_and_no_longer_than_its_warehouse_stays_the_same(tmp_path: Path) -> None:
    warehouse = make_one_run(tmp_path / "warehouse.duckdb")
    scope = Scope(str(warehouse))
    count = "select count(*) as runs, sum(cost_usd) as cost_usd from run_costs"
    before = scope.ask(count).row(0)
    kept = scope._held.frames["run_costs"]

    assert scope.ask(count).row(0) == before
    assert scope._held.frames["run_costs"] is kept

    with open_for_writing(warehouse, wait_s=1) as con:
        add_run(con, run_id="run_2", prompt_tokens=1_000_000, completion_tokens=0, total_tokens=1_000_000)

    assert scope.ask(count).row(0) == read_one(warehouse, count) != before
