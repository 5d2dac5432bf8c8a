"""The report: its numbers are those of SQL, it says what is missing, escapes all and asks nobody for anything."""

import re
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import ConfigurationError
from pipeline.report import Scope, write_report
from pipeline.report.chart import draw_spend
from pipeline.report.facts import choose_key
from pipeline.report.values import show, show_column
from pipeline.warehouse.database import open_for_reading, open_for_writing
from tests.warehouse_rows import add_call, add_run, add_step
from tests.warehouses import HOSTILE, make_empty, make_hostile, make_one_run, make_sample, read_one

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


@dataclass
class Page(HTMLParser):
    """What a browser would make of a page: tags with attributes, figures, and the cells of each table by column."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    totals: dict[str, str | None] = field(default_factory=dict)
    tables: dict[str, list[dict[str, str | None]]] = field(default_factory=dict)
    feet: dict[str, list[dict[str, str | None]]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    _table: str = ""
    _rows: list[dict[str, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if (identity := given.get("id") or "").startswith("total-"):
            self.totals[identity.removeprefix("total-")] = given["data-value"]
        if tag == "table":
            self._table = identity
            self._rows = self.tables[identity] = []
        elif tag == "tfoot":
            self._rows = self.feet[self._table] = []
        elif tag == "tr":
            self._rows.append({})
        elif (column := given.get("data-column")) is not None:
            self._rows[-1][column] = given["data-value"]

    def handle_data(self, data: str) -> None:
        self.words.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(word for word in self.words if word)


@cache
def read_page(warehouse: Path, scope: Scope | None = None) -> Page:
    """The page of a warehouse to which nothing is added any more, made once for all who look at it."""
    out = warehouse.with_name("report.html")
    write_report(warehouse, out, scope or Scope(), now=NOW)
    page = Page()
    page.feed(out.read_text("utf-8"))
    return page


def rows_of(page: Page, table: str) -> list[dict[str, str | None]]:
    """Rows of a table without its head."""
    return page.tables[table][1:]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample(tmp_path_factory.mktemp("sample"))


def test_the_figures_of_the_sample_are_those_of_sql(sample: Path) -> None:
    page = read_page(sample)

    cost, steps = read_one(sample, "select sum(cost_usd), count(*) from step_costs")
    calls, failures = read_one(sample, "select sum(calls), sum(failures) from tool_usage")
    assert page.totals["cost_usd"] == str(cost)
    assert [page.totals[name] for name in ("steps", "calls", "failures")] == [str(steps), str(calls), str(failures)]


SUMS = ("spend_by_customer", "spend_by_assistant", "spend_by_model", "spend_by_tool")


@pytest.fixture(scope="module")
def many(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More customers, assistants, models and tools than a table has rows, with rests of runs and fees."""
    path = tmp_path_factory.mktemp("many") / "warehouse.duckdb"
    with open_for_writing(path, wait_s=1) as con:
        for number in range(30):
            run = {"run_id": f"run_{number}", "assistant_id": f"asst_{number}"}
            usage = {"prompt_tokens": 1000 * number + 7, "completion_tokens": number, "total_tokens": 1001 * number + 7}
            told = {name: tokens + 333 for name, tokens in usage.items()}
            metadata = f'{{"customer": "c{number}"}}' if number % 5 else None
            add_run(con, **run, model="gpt-4o" if number % 7 else f"mystery-{number}", metadata=metadata, **told)
            add_step(con, **run, step_id=f"step_{number}", type="tool_calls", **usage)
            name = "code_interpreter" if number % 4 == 1 else f"tool_{number}"
            for call_index in range(number % 3):
                call = {"step_id": f"step_{number}", "run_id": f"run_{number}", "call_index": call_index}
                add_call(con, **call, type=name if number % 4 == 1 else "function", name=name, arguments="{}")
    return path


@pytest.mark.parametrize("since", [None, date(2026, 5, 1)])
def test_each_table_adds_up_to_what_was_spent(sample: Path, many: Path, since: date | None) -> None:
    for path in (sample, many) if since is None else (sample,):
        page = read_page(path, Scope(since=since))

        days = f"created_on >= '{since}'" if since else "true"
        usage, fees = read_one(path, f"select sum(cost_usd), sum(fee_usd) from spending where {days}")
        spent = Decimal(str(usage)) + Decimal(str(fees))
        assert Decimal(page.totals["spent_usd"] or "nan") == spent
        for table in SUMS:
            rows = [*rows_of(page, table), *page.feet[table][:-1]]
            assert sum(Decimal(row["spent_usd"]) for row in rows if row["spent_usd"]) == spent
            assert Decimal(page.feet[table][-1]["spent_usd"] or "nan") == spent
        by_day = [Decimal(row["spent_usd"]) for row in rows_of(page, "spend_by_day") if row["spent_usd"]]
        assert sum(by_day) == spent


def test_over_a_move_a_table_tells_each_protocol_and_adds_up(sample: Path, many: Path) -> None:
    page = read_page(sample)

    rows = rows_of(page, "spend_by_protocol")
    assert [row["protocol"] for row in rows] == ["assistants", "responses"]
    assert sum(Decimal(row["spent_usd"] or "nan") for row in rows) == Decimal(page.totals["spent_usd"] or "nan")
    assert "spend_by_protocol" not in read_page(many).tables


def test_what_a_table_does_not_show_is_one_row_of_its_foot(many: Path) -> None:
    page = read_page(many)

    tools = [row["name"] for row in page.feet["spend_by_tool"]]
    assert tools == ["Steps that called no tool", "Usage on no step", "Total"]
    assert [row["customer"] for row in page.feet["spend_by_customer"]] == ["5 more", "Total"]
    assert "" in [row["customer"] for row in rows_of(page, "spend_by_customer")]


def test_the_table_of_tools_is_that_of_the_view(sample: Path) -> None:
    page = read_page(sample, Scope(source="sample"))

    columns = ["name", "calls", "failures", "runs", "p50_duration_s", "p95_duration_s"]
    with open_for_reading(sample) as connection:
        found = connection.execute(f"select {', '.join(columns)} from tool_usage where source = 'sample'").fetchall()
    held = {tuple("" if value is None else str(value) for value in row) for row in found}
    assert {tuple(row[column] for column in columns) for row in rows_of(page, "tools")} <= held
    assert len(rows_of(page, "tools")) > 5


def test_a_dear_day_says_why_and_leads_to_the_rows_of_its_runs(sample: Path) -> None:
    page = read_page(sample)

    day, spent = read_one(
        sample,
        "select created_on, round(sum(coalesce(cost_usd, fee_usd::decimal(38, 12))), 2) from spending"
        " group by all order by 2 desc nulls last limit 1",
    )
    assert f"{day:%-d %b %Y} : ${spent}, " in page.text
    assert "times a usual day" in page.text
    rows = {attributes["id"] for tag, attributes in page.tags if tag == "tr" and "id" in attributes}
    links = {(attributes["href"] or "")[1:] for tag, attributes in page.tags if tag == "a"}
    assert {link for link in links if link.startswith("dearest_runs-")} <= rows
    assert len([link for link in links if link.startswith("dearest_runs-")]) > 5


def test_an_assistant_has_the_name_by_which_another_one_called_it(sample: Path) -> None:
    page = read_page(sample)

    assistant, name = read_one(
        sample,
        "select distinct payload->>'$.connected_agent.assistant_id', name from tool_calls"
        " where type = 'connected_agent' and payload is not null",
    )
    assert {row["assistant_id"]: row["name"] for row in rows_of(page, "spend_by_assistant")}[str(assistant)] == name


@pytest.mark.parametrize(
    ("asked", "keys", "chosen"),
    [
        (None, ["customer", "feature"], "customer"),
        (None, ["feature", "trace"], "feature"),
        (None, ["trace"], None),
        ("trace", ["customer", "trace"], "trace"),
    ],
)
def test_customers_are_named_by_the_key_asked_for_or_one_that_runs_share(
    asked: str | None, keys: list[str], chosen: str | None
) -> None:
    counts = {"customer": 10, "feature": 3, "trace": 20}
    frame = pl.DataFrame({"key": keys, "runs": [20] * len(keys), "key_values": [counts[key] for key in keys]})

    assert choose_key(frame, asked) == chosen


def test_a_key_that_no_run_has_is_refused_with_those_that_there_are(sample: Path) -> None:
    with pytest.raises(ConfigurationError, match="no run has 'tenant' in its metadata; they have: customer, feature"):
        read_page(sample, Scope(metadata_key="tenant"))


@pytest.mark.parametrize(
    ("since", "until", "after", "before"),
    [
        (None, None, "2026-06-01 2026-06-30", "2026-05-01 2026-05-31"),
        (None, date(2026, 6, 29), "2026-05-01 2026-05-31", "2026-04-01 2026-04-30"),
        (date(2026, 5, 2), None, "2026-05-02 2026-07-01", "2026-03-02 2026-05-01"),
        (date(2026, 5, 1), date(2026, 5, 31), "2026-05-01 2026-05-31", "2026-03-31 2026-04-30"),
    ],
    ids=["months", "until", "since", "both"],
)
def test_the_period_stands_beside_the_one_before_with_reasons_that_add_up(
    sample: Path, since: date | None, until: date | None, after: str, before: str
) -> None:
    page = read_page(sample, Scope(since=since, until=until))

    sums = [
        read_one(sample, f"select {sql} between '{first}' and '{last}'")
        for first, last in (after.split(), before.split())
        for sql in (
            "sum(cost_usd) from usage_costs where created_on",
            "sum(fee_usd) from tool_fees where charged_on",
        )
    ]
    tokens, fees, tokens_before, fees_before = (Decimal(str(value)) for (value,) in sums)
    changes = [Decimal(row["change_usd"] or "") for row in rows_of(page, "change")]
    assert sum(changes) == round(tokens + fees - tokens_before - fees_before, 2)
    assert f"{sum(changes):+,.2f} USD" in page.text


@pytest.mark.parametrize("since", [date(1, 1, 1), date(2026, 3, 1), date(2099, 1, 1)])
def test_without_a_period_before_there_is_no_comparison(sample: Path, since: date) -> None:
    assert "change" not in read_page(sample, Scope(since=since)).tables


def test_usage_without_a_price_is_unknown_and_named(sample: Path) -> None:
    page = read_page(sample)

    model, tokens = read_one(sample, "select model, prompt_tokens from unpriced_usage")
    [unpriced] = rows_of(page, "unpriced")
    [by_model] = [row for row in rows_of(page, "spend_by_model") if row["model"] == model]
    assert (unpriced["model"], unpriced["prompt_tokens"]) == (model, str(tokens))
    assert by_model["unpriced_tokens"] == page.totals["unpriced"] == unpriced["total_tokens"]
    assert "steps without a known cost, in no sum of dollars" in page.text


def test_an_empty_warehouse_gives_a_page_that_says_so(tmp_path: Path) -> None:
    page = read_page(make_empty(tmp_path / "warehouse.duckdb"))

    assert page.tables == {}
    assert page.totals == {}
    assert "There are no runs here yet." in page.text
    assert "$" not in page.text.replace("US dollars", "")


def test_one_complete_run_leaves_nothing_missing(tmp_path: Path) -> None:
    page = read_page(make_one_run(tmp_path / "warehouse.duckdb"))

    assert page.totals["cost_usd"] == "0.003000000000"
    assert "Nothing is known to be missing" in page.text
    [tool] = rows_of(page, "tools")
    assert (tool["name"], tool["calls"], tool["p95_duration_s"]) == ("look_up", "1", "4.0")
    assert [row["spent_usd"] for row in rows_of(page, "spend_by_tool")] == ["0.003000000000"]


def test_names_from_the_warehouse_are_text_and_never_tags(tmp_path: Path) -> None:
    page = read_page(make_hostile(tmp_path / "warehouse.duckdb"))

    assert [tag for tag, _ in page.tags if tag in {"img", "iframe", "object", "embed"}] == []
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 1
    assert HOSTILE in [row["name"] for row in rows_of(page, "tools")]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_the_page_refers_to_nothing_outside_itself_and_forbids_it(sample: Path) -> None:
    page = read_page(sample)

    links = {attributes.get("href") or attributes.get("src") or "#" for _, attributes in page.tags}
    [policy] = [attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes]
    assert all(link.startswith("#") for link in links)
    assert "link" not in {tag for tag, _ in page.tags}
    assert re.sub(r"sha256-\S{44}'", "HASH'", policy or "") == (
        "default-src 'none'; style-src 'HASH'; script-src 'HASH'; base-uri 'none'; form-action 'none'"
    )


def test_only_the_source_asked_for_is_in_it(tmp_path: Path) -> None:
    path = make_one_run(tmp_path / "warehouse.duckdb")
    with open_for_writing(path, wait_s=1) as con:
        add_run(con, source="other", run_id="run_2")
        add_step(con, source="other", run_id="run_2", step_id="step_2", prompt_tokens=7, completion_tokens=0)
        add_call(con, source="other", run_id="run_2", step_id="step_2")

    everything, other = read_page(path), read_page(path, Scope(source="other"))

    assert [everything.totals[name] for name in ("runs", "calls", "prompt_tokens")] == ["2", "2", "1007"]
    assert [other.totals[name] for name in ("runs", "calls", "prompt_tokens")] == ["1", "1", "7"]
    assert [row["source"] for row in rows_of(everything, "spend_by_assistant")] == ["main", "other"]
    assert "source" not in rows_of(other, "spend_by_assistant")[0]


def test_a_page_since_a_day_without_usage_does_not_say_that_nothing_was_fetched(tmp_path: Path) -> None:
    page = read_page(make_one_run(tmp_path / "warehouse.duckdb"), Scope(since=date(2099, 1, 1)))

    assert "No run is from that time." in page.text
    assert "no runs here yet" not in page.text


def test_an_unknown_source_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    path = make_one_run(tmp_path / "warehouse.duckdb")

    with pytest.raises(ConfigurationError, match=r"there is no source 'mian' in the warehouse; it holds: main"):
        write_report(path, tmp_path / "report.html", Scope(source="mian"), now=NOW)


@pytest.mark.parametrize("status", ["failed", "completed", "requires_action"])
@pytest.mark.parametrize("usage_on", ["step", "rest"])
def test_a_run_over_the_edge_of_a_period_is_in_it_with_the_part_that_lies_there(
    tmp_path: Path, status: str, usage_on: str
) -> None:
    tokens = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
    at = {"early": "2024-11-19T23:59:55Z", "late": "2024-11-20T00:00:05Z"}
    with open_for_writing(tmp_path / "warehouse.duckdb", wait_s=1) as con:
        if usage_on == "step":
            add_run(con, status=status, created_at=at["early"])
            add_step(con, step_id="step_1", created_at=at["early"], **tokens)
            add_step(con, step_id="step_2", step_index=1, created_at=at["late"], **tokens)
        else:
            add_run(con, status=status, created_at=at["late"], **tokens)

    page = read_page(tmp_path / "warehouse.duckdb", Scope(since=date(2024, 11, 20)))

    assert (page.totals["cost_usd"], page.totals["runs"]) == ("2.500000000000", "1")
    tables = {"failed": {"unfinished": "cost_usd"}, "requires_action": {"waiting": "cost_usd"}}.get(status, {})
    for table, column in {**tables, "spend_by_model": "spent_usd"}.items():
        assert [(row["runs"], row[column]) for row in rows_of(page, table)] == [("1", "2.500000000000")]
    assert [row["runs"] for row in rows_of(page, "completeness")] == ["1"]


def test_fees_and_what_no_step_tells_stand_at_the_head_of_a_page(tmp_path: Path) -> None:
    with open_for_writing(tmp_path / "warehouse.duckdb", wait_s=1) as con:
        add_run(con, prompt_tokens=1_000_000, completion_tokens=0, total_tokens=1_000_000)
        add_step(con, type="tool_calls")
        add_call(con, type="code_interpreter", name="code_interpreter")

    page = read_page(tmp_path / "warehouse.duckdb")

    shown = {name: Decimal(page.totals[name] or "nan") for name in ("spent_usd", "cost_usd", "fee_usd")}
    assert shown == {"spent_usd": Decimal("2.53"), "cost_usd": Decimal("2.5"), "fee_usd": Decimal("0.03")}
    [by_model] = rows_of(page, "spend_by_model")
    assert Decimal(by_model["fee_usd"] or "nan") == Decimal("0.03")
    assert [(row["name"], row["spent_usd"]) for row in page.feet["spend_by_tool"][:1]] == [
        ("Usage on no step", "2.500000000000")
    ]


def test_the_command_writes_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    make_one_run(tmp_path / "warehouse.duckdb")
    out = tmp_path / "mine.html"
    out.write_text("older")
    out.chmod(0o644)

    command = [
        sys.executable,
        "-m",
        "pipeline",
        "report",
        "--data-dir",
        str(tmp_path),
        "--out",
        str(out),
        "--since",
        "30d",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, umask=0o022)

    assert done.stdout == f"{out}\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.read_text("utf-8").startswith("<!doctype html>")


def test_a_folder_that_is_not_there_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    path = make_one_run(tmp_path / "warehouse.duckdb")
    before = sorted(tmp_path.iterdir())

    with pytest.raises(ConfigurationError, match="name a file in a folder that exists"):
        write_report(path, tmp_path / "nowhere" / "report.html", Scope(), now=NOW)

    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["0"], ["$0.00"]),
        (["0.00001"], ["< $0.0001"]),
        (["0.1234567", "0.5"], ["$0.1235", "$0.5000"]),
        (["0.1234567", "1"], ["$0.12", "$1.00"]),
        (["0.001", "1234.567", None], ["< $0.01", "$1,234.57", "unknown"]),
    ],
)
def test_amounts_of_one_column_have_one_number_of_decimals(values: list[str | None], texts: list[str]) -> None:
    assert show_column([None if value is None else Decimal(value) for value in values], "money") == texts


def test_an_unknown_cost_is_called_unknown() -> None:
    assert show(None, "money") == "unknown"


def day_models(*spent: tuple[date, str, str]) -> pl.DataFrame:
    days, models, usd = zip(*spent, strict=True)
    return pl.DataFrame(
        {"day": days, "model": models, "is_fee": [False] * len(days), "spent_usd": [Decimal(each) for each in usd]}
    )


@pytest.mark.parametrize(
    ("last", "unit", "bars"), [("2026-01-09", "day", 9), ("2026-08-31", "week", 36), ("2030-01-31", "month", 49)]
)
def test_a_longer_time_has_wider_bars_and_no_holes(last: str, unit: str, bars: int) -> None:
    chart = draw_spend(day_models((date(2026, 1, 1), "a", "1.50"), (date.fromisoformat(last), "a", "1.00")))

    assert chart is not None
    assert (chart.unit, len(chart.bars), chart.top_usd) == (unit, bars, Decimal("1.5"))
    assert sum(bar.spent_usd for bar in chart.bars) == Decimal("2.50")
    assert [(part.y, part.height) for part in chart.bars[0].segments] == [(0, 100)]


def test_models_stand_on_each_other_and_rare_ones_share_a_colour() -> None:
    models = [(date(2026, 1, 1), f"m{number}", str(10 - number)) for number in range(9)]

    chart = draw_spend(day_models(*models))

    assert chart is not None
    assert [each.name for each in chart.series] == ["m0", "m1", "m2", "m3", "m4", "m5", "3 other models"]
    [bar] = chart.bars
    assert [part.spent_usd for part in bar.segments] == [10, 9, 8, 7, 6, 5, 4 + 3 + 2]
    assert [lower.y for lower in bar.segments[:-1]] == pytest.approx(
        [upper.y + upper.height for upper in bar.segments[1:]], abs=0.02
    )


def test_one_dear_day_does_not_flatten_the_others() -> None:
    days = [(date(2026, 1, number), "a", "900" if number == 7 else "1") for number in range(1, 31)]

    chart = draw_spend(day_models(*days))

    assert chart is not None
    assert chart.top_usd == 1
    assert [bar.starts_on.day for bar in chart.cut] == [7]
    assert {part.height for bar in chart.bars for part in bar.segments} == {100}
