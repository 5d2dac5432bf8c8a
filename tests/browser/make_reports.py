"""Reports of an empty, a one-run, a hostile and the sample warehouse, and what SQL says that they must show."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipeline.report import Scope, write_report
from tests.warehouses import make_empty, make_hostile, make_one_run, make_sample

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
_TOTALS = """
select
    (select count(*) from completeness) as runs,
    (select count(*) from run_steps) as steps,
    (select count(*) from tool_calls) as calls,
    (select count(*) from tool_failures) as failures,
    (select sum(coalesce(cost_usd, cast(fee_usd as decimal(38, 12)))) from spending) as spent_usd
"""
_TABLES = {
    "spend_by_model": (
        "select coalesce(model, ''), sum(coalesce(cost_usd, cast(fee_usd as decimal(38, 12))))"
        " from spending group by model"
    ),
    "tools": "select coalesce(name, ''), sum(failures) from tool_usage group by name, type",
    "unpriced": "select coalesce(model, ''), sum(prompt_tokens) from unpriced_usage group by source, model, reason",
}


def main(folder: Path) -> None:
    """Write NAME.html for each warehouse, and expected.json."""
    warehouses = {
        "empty": make_empty(folder / "empty.duckdb"),
        "one_run": make_one_run(folder / "one_run.duckdb"),
        "hostile": make_hostile(folder / "hostile.duckdb"),
        "sample": make_sample(folder / "sample"),
    }
    expected = {}
    for name, warehouse in warehouses.items():
        write_report(warehouse, folder / f"{name}.html", Scope(), now=NOW)
        expected[name] = read_expected(warehouse)
    (folder / "expected.json").write_text(json.dumps(expected), "utf-8")


def read_expected(warehouse: Path) -> dict[str, object]:
    """The totals by name, and of three tables the first column with one figure, as the page writes them."""
    with duckdb.connect(str(warehouse), read_only=True) as con:
        result = con.execute(_TOTALS)
        names = [column[0] for column in result.description or []]
        [row] = result.fetchall()
        totals = {name: _text(value) for name, value in zip(names, row, strict=True)}
        tables = {
            name: sorted([_text(key), _text(value)] for key, value in con.execute(sql).fetchall())
            for name, sql in _TABLES.items()
        }
    return {"totals": totals, "tables": tables}


def _text(value: object) -> str:
    return "" if value is None else str(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
