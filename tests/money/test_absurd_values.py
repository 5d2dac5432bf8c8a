"""Absurd tokens and prices end no command: what they come to is exact, or null with a name."""

from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.report import Scope, write_report
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import read_frame
from pipeline.verbs.query.command import ask
from pipeline.warehouse.checks import check_grains, checking, run_check, run_checks
from pipeline.warehouse.database import warehouse_path
from tests.archived import NOW, import_here, run_object, step_object, write_json
from tests.attached import looking_into

# The dearest price and the largest discount that own-prices.csv takes.
DEAREST = "model,input_usd_per_mtok,output_usd_per_mtok,discount\ngpt-dear,1000000,1000000,100\n"
TOKENS = [10**13, 10**15, 10**15 + 1, 2**62, 2**63 - 1, 2**63, 10**20, -(10**18), 1e300]


def calls_of(count: int) -> dict[str, object]:
    """Details of a step with calls of unlike sizes."""
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": "f", "arguments": "x" * n, "output": "y" * n}}
        for n in range(1, count + 1)
    ]
    return {"type": "tool_calls", "tool_calls": calls}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "own-prices.csv").write_text(DEAREST)
    return folder


def import_usage(data_dir: Path, *tokens: float, model: str = "gpt-dear", few: str | None = None) -> None:
    """For each a run with two steps of three calls that used so many tokens each, but `few` only five."""
    files = []
    for number, used in enumerate(tokens):
        run_id = f"run_{number}"
        usage = {name: 5 if name == few else used for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
        steps = [
            step_object(f"step_{n}", at=n, run_id=run_id, type="tool_calls", step_details=calls_of(3), usage=usage)
            for n in range(2)
        ]
        run = run_object(run_id, model=model, usage=usage)
        files.append(write_json(data_dir / f"{run_id}.json", [run, *steps]))
    import_here(data_dir, *files)


def test_everything_can_be_asked_whatever_a_step_used(data_dir: Path) -> None:
    import_usage(data_dir, *TOKENS)
    warehouse = warehouse_path(data_dir)

    with looking_into(warehouse) as connection, checking(connection):
        for view in read_sql_files("views"):
            read_frame(connection, f"select columns(*) from {view}")
        run_checks(connection)
        check_grains(connection)
    for name in read_sql_files("queries"):
        ask(warehouse, name, {"model": "gpt-dear"} if name == "what_if" else {})
    write_report(warehouse, data_dir / "report.html", Scope(), now=NOW)

    assert (data_dir / "report.html").stat().st_size > 0


@pytest.mark.parametrize("tokens", [1, 7, 10**13, 10**15 - 1, 10**15])
def test_the_calls_of_a_dear_step_add_up_to_it(data_dir: Path, tokens: int) -> None:
    import_usage(data_dir, tokens)

    with looking_into(warehouse_path(data_dir)) as connection:
        [step] = read_frame(connection, "select distinct cost_usd from step_costs")["cost_usd"]
        calls = read_frame(connection, "select sum(cost_usd) as cost_usd from tool_call_costs group by step_id")

    assert step == Decimal(2 * tokens) * 100
    assert calls["cost_usd"].to_list() == [step, step]


@pytest.mark.parametrize(("tokens", "check"), [(10**15 + 1, "huge_tokens"), (2**63 - 1, "lost_values")])
@pytest.mark.parametrize("few", [None, "prompt_tokens", "completion_tokens"])
def test_tokens_that_cannot_be_have_no_cost_and_are_named(
    data_dir: Path, tokens: int, check: str, few: str | None
) -> None:
    import_usage(data_dir, tokens, model="gpt-4-1106-preview", few=few)

    with looking_into(warehouse_path(data_dir)) as connection:
        costs = read_frame(connection, "select distinct cost_usd from step_costs")["cost_usd"].to_list()
        finding = run_check(connection, check)

    assert costs == [None]
    assert finding is not None
