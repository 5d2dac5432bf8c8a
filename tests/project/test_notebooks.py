"""The notebooks run clean on any warehouse, show what SQL says, and come with the pictures of the sample."""

import ast
import asyncio
import json
import re
import struct
from base64 import b64decode
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode

from notebooks.execute import NOTEBOOKS, execute_notebook
from pipeline.report.notebook import Scope
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.warehouse.database import open_for_writing
from tests.publish_parts import publish
from tests.warehouse_rows import add_run
from tests.warehouses import make_empty, make_hostile, make_large, make_one_run, make_sample, read_one

FOLDER = Path(__file__).parents[2] / "notebooks"
TOKEN_SPEND = FOLDER / "token_spend.ipynb"
TOOL_USAGE = FOLDER / "tool_usage.ipynb"
SIZE_LIMIT_BYTES = 2**20

by_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def kernel() -> Iterator[AsyncKernelManager]:
    """One for many notebooks one after another: most of what they take is its start and its imports."""
    manager = AsyncKernelManager(kernel_name="python3")

    async def end() -> None:
        await manager.shutdown_kernel(now=True)

    yield manager
    asyncio.run(end())


def pictures(notebook: NotebookNode) -> list[str]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]


def picture_sizes(notebook: NotebookNode) -> list[tuple[int, int]]:
    """Width and height in pixels, from the first chunk of each PNG."""
    return [struct.unpack_from(">II", b64decode(picture), 16) for picture in pictures(notebook)]


def words(notebook: NotebookNode) -> list[str]:
    """Each output that is text, as a person reads it."""
    data = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [entry.get("text/html") or entry.get("text/markdown") for entry in data]
    return [re.sub(r"<[^>]*>", "|", text) for text in texts if text]


def tables(notebook: NotebookNode) -> list[list[list[str]]]:
    """Rows of cells of each table, the head first."""
    rows = [re.findall(r"<tr>(.*?)</tr>", text) for text in html(notebook)]
    return [[re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row) for row in table] for table in rows]


def html(notebook: NotebookNode) -> list[str]:
    outputs = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    return [data["text/html"] for data in outputs if "text/html" in data]


def test_there_are_two_notebooks() -> None:
    assert [path.name for path in NOTEBOOKS] == ["token_spend.ipynb", "tool_usage.ipynb"]


@by_notebook
def test_the_stored_outputs_are_pictures_and_no_errors(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)

    kinds = {output["output_type"] for cell in notebook.cells for output in cell.get("outputs", [])}

    assert len(pictures(notebook)) >= 5
    assert kinds <= {"display_data", "execute_result"}


@by_notebook
def test_the_stored_file_is_small_and_names_no_machine(path: Path) -> None:
    text = path.read_text("utf-8")
    without_pictures = re.sub(r'"image/png": "[^"]*"', "", text)

    assert len(text) < SIZE_LIMIT_BYTES
    assert not re.findall(r"/work|/home|/root|/tmp|\w+://\S+", without_pictures)


@by_notebook
def test_what_is_stored_is_what_the_sample_gives(path: Path, sample: Path, kernel: AsyncKernelManager) -> None:
    """Red after a change of the sample, the views or the prices: run `make notebooks`."""
    executed = execute_notebook(path, sample, kernel=kernel)

    assert words(nbformat.read(path, as_version=4)) == words(executed)
    assert len(pictures(executed)) == len(pictures(nbformat.read(path, as_version=4)))


@pytest.fixture(scope="module")
def lake(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    publish(sample.parent, folder)
    return folder


@by_notebook
def test_over_a_lake_it_shows_what_it_shows_over_the_warehouse(
    path: Path, lake: Path, kernel: AsyncKernelManager, tmp_path: Path
) -> None:
    executed = execute_notebook(path, tmp_path / "no-database", kernel=kernel, RUN_STEPS_LAKE=str(lake))

    assert words(executed) == words(nbformat.read(path, as_version=4))


def test_both_notebooks_ask_in_the_same_words() -> None:
    asking = [[cell.source for cell in nbformat.read(path, as_version=4).cells[2:5]] for path in NOTEBOOKS]

    assert "Scope(DATABASE, LAKE, SOURCE, SINCE, UNTIL, KEY)" in asking[0][2]
    assert asking[0] == asking[1]


@by_notebook
def test_it_runs_clean_on_an_empty_warehouse(path: Path, kernel: AsyncKernelManager, tmp_path: Path) -> None:
    executed = execute_notebook(path, make_empty(tmp_path / "warehouse.duckdb"), kernel=kernel)

    assert pictures(executed) == []
    assert "There is no" in " ".join(words(executed))


def test_a_large_warehouse_gives_the_same_pictures_no_larger_and_says_what_they_leave_out(
    sample: Path, kernel: AsyncKernelManager, tmp_path: Path
) -> None:
    """Altair refuses more than the 1,000 marks that the notebooks allow; one test, as the warehouse takes time."""
    large = make_large(sample, tmp_path / "warehouse.duckdb")
    size = read_one(large, "select count(*), max(created_on) - min(created_on) from step_costs")
    more = read_one(large, "select 'and ' || (count(distinct model) - 20) || ' more' from runs")[0]

    executed = {path: execute_notebook(path, large, kernel=kernel) for path in NOTEBOOKS}

    assert size == (223_524, 934)
    for path, notebook in executed.items():
        assert len(pictures(notebook)) == len(pictures(nbformat.read(path, as_version=4)))
        assert all(width <= 1_500 and height <= 1_000 for width, height in picture_sizes(notebook))
        assert len(nbformat.writes(notebook)) < SIZE_LIMIT_BYTES
    assert str(more) in " ".join(words(executed[TOKEN_SPEND]))


@by_notebook
def test_it_escapes_names_and_survives_values_that_cannot_be(
    path: Path, kernel: AsyncKernelManager, tmp_path: Path
) -> None:
    executed = execute_notebook(path, make_hostile(tmp_path / "warehouse.duckdb"), kernel=kernel)

    assert "&lt;script&gt;" in "".join(html(executed))
    assert "<script" not in json.dumps(html(executed))


def test_spend_is_what_sql_says_and_unpriced_usage_is_unknown(sample: Path) -> None:
    notebook = nbformat.read(TOKEN_SPEND, as_version=4)
    cost, steps = read_one(sample, "select round(sum(cost_usd), 2), count(cost_usd) from usage_costs")
    (fees,) = read_one(sample, "select sum(fee_usd) from tool_fees")
    model, tokens = read_one(sample, "select model, total_tokens from unpriced_usage")

    answer, by_customer = tables(notebook)[:2]
    coverage, by_model = tables(notebook)[4:6]

    assert answer[1][1:3] == [f"${cost:,.2f}", f"${fees:,.2f}"]
    assert by_customer[1][0] == "northwind"
    assert coverage[1][:2] == ["priced", f"{steps:,}"]
    assert coverage[1][-1] == f"${cost:,.2f}"
    assert next(row for row in by_model if row[0] == model)[4:6] == [f"{tokens:,}", "unknown"]


def test_what_moved_stands_beside_what_did_not(sample: Path) -> None:
    of = "select round(sum(cost_usd) filter (where protocol = '{}'), 2) from usage_costs"
    costs = [
        read_one(sample, f"{of.format(protocol)} join runs using (source, thread_id, run_id)")[0]
        for protocol in ("assistants", "responses")
    ]

    by_protocol = tables(nbformat.read(TOKEN_SPEND, as_version=4))[6]

    assert [(row[0], row[4]) for row in by_protocol[1:]] == [
        ("assistants", f"${costs[0]:,.2f}"),
        ("responses", f"${costs[1]:,.2f}"),
    ]


def test_each_way_to_fail_has_words_of_its_own() -> None:
    [cell] = [cell.source for cell in nbformat.read(TOOL_USAGE, as_version=4).cells if "reasons = {" in cell.source]
    failure, found, _ = read_sql_files("macros")["worked_calls"].text.partition("end as failure")
    reasons = set(re.findall(r"then '(\w+)'", failure))
    assert found
    assert {reason for reason in reasons if f'"{reason}":' not in cell} == set()


def test_calls_and_failures_are_what_sql_says(sample: Path) -> None:
    notebook = nbformat.read(TOOL_USAGE, as_version=4)
    of_tools = "select name, sum(calls)::bigint as calls, sum(failures)::bigint from tool_usage group by name"
    name, calls, failures = read_one(sample, f"{of_tools} order by calls desc limit 1")

    first = tables(notebook)[2][1]

    assert [first[0], first[2], first[5]] == [name, f"{calls:,}", f"{failures:,}"]


def test_the_parameters_narrow_what_is_shown(sample: Path, kernel: AsyncKernelManager) -> None:
    (cost,) = read_one(
        sample, "select round(sum(cost_usd), 2) from step_costs where created_on between '2026-05-01' and '2026-05-31'"
    )

    may = execute_notebook(
        TOKEN_SPEND, sample, kernel=kernel, RUN_STEPS_SINCE="2026-05-01", RUN_STEPS_UNTIL="2026-05-31"
    )
    nobody = execute_notebook(TOOL_USAGE, sample, kernel=kernel, RUN_STEPS_SOURCE="nobody")

    assert tables(may)[4][1][-1] == f"${cost:,.2f}"
    assert pictures(nobody) == []


def test_one_run_is_enough(kernel: AsyncKernelManager, tmp_path: Path) -> None:
    executed = execute_notebook(TOKEN_SPEND, make_one_run(tmp_path / "warehouse.duckdb"), kernel=kernel)

    assert tables(executed)[4][1] == ["priced", "1", "0", "1", "1,000", "400", "100", "$0.0030"]
    assert len(pictures(executed)) == 6


def test_usage_that_no_step_tells_is_in_the_answer_and_in_the_parts(kernel: AsyncKernelManager, tmp_path: Path) -> None:
    with open_for_writing(tmp_path / "warehouse.duckdb", wait_s=1) as con:
        add_run(con, prompt_tokens=1_000_000, completion_tokens=0, total_tokens=1_000_000)

    executed = execute_notebook(TOKEN_SPEND, tmp_path / "warehouse.duckdb", kernel=kernel)

    answer, by_customer = tables(executed)[:2]
    assert (answer[1][0], by_customer[1][:2]) == ("$2.50", ["(none)", "$2.50"])
    assert ["(no step: told by runs only)", "run_rest", "–", "–", "$2.50", "–"] in [
        row for table in tables(executed) for row in table
    ]


def test_the_queries_of_the_marimo_notebook_run_and_tell_the_same(sample: Path) -> None:
    tree = ast.parse((FOLDER / "spend_marimo.py").read_text("utf-8"))
    words = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    texts = [str(node.value) for node in sorted(words, key=lambda node: node.lineno)]
    queries = [text for text in texts if text.lstrip().startswith("select")]

    days, answer, by_customer, models, by_protocol = (Scope(str(sample)).ask(query) for query in queries)

    (usage, fees) = read_one(sample, "select sum(cost_usd), sum(fee_usd) from spending")
    spent = Decimal(str(usage)) + Decimal(str(fees))
    assert answer["spent_usd"][0] == by_customer["spent_usd"].sum() == by_protocol["spent_usd"].sum() == spent
    assert by_protocol["protocol"].to_list() == ["assistants", "responses"]
    assert days["first_day"][0] < days["last_day"][0]
    assert models["tokens_usd"].sum() <= float(spent)


@by_notebook
def test_every_picture_says_what_it_shows_to_who_cannot_see_it(path: Path) -> None:
    outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])]

    shown = [output.metadata["image/png"]["alt"] for output in outputs if "image/png" in output.get("data", {})]
    assert len(shown) >= 5
    assert all(len(words) > 20 for words in shown)
