"""Bills: what the provider's answers and exports say, which of them counts, and how they compare with our costs."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.errors import ConfigurationError, WalkError
from pipeline.flatten.bills import billed_frame
from pipeline.http.client import ApiClient
from pipeline.http.pacing import Pacer
from pipeline.money.usage_import import admin_endpoint, fetch_bills, land_bills, read_bill_files
from pipeline.protocol.pages import BilledPage
from pipeline.raw.parts import RawStore
from pipeline.warehouse.load import load_new_parts, rebuild
from pipeline.warehouse.loaded_parts import prune_parts
from tests.asking import asked_url
from tests.attached import looking_into
from tests.landed import Json, Listing, land, run_of, step_of
from tests.syncs import run_cli
from tests.warehouse_rows import read_rows

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY_START = 1_732_060_800  # 2024-11-20T00:00:00Z


def usage(**fields: Any) -> Json:
    return {
        "input_tokens": 1_000_000,
        "input_cached_tokens": 0,
        "output_tokens": 0,
        "num_model_requests": 1,
        "project_id": "proj_1",
        "model": "gpt-4o-2024-08-06",
        **fields,
    }


def cost(value: Any, line_item: str = "gpt-4o-2024-08-06, input", **fields: Any) -> Json:
    return {"amount": {"value": value, "currency": "usd"}, "line_item": line_item, "project_id": "proj_1", **fields}


def answer(*results: Json, start_time: int = DAY_START, next_page: str | None = None) -> bytes:
    bucket = {"object": "bucket", "start_time": start_time, "results": list(results)}
    return json.dumps({"data": [bucket], "has_more": next_page is not None, "next_page": next_page}).encode()


def page(body: bytes, form: str = "json", *, minute: int = 0) -> BilledPage:
    return BilledPage("main", "", 0, form, NOW.replace(minute=minute), "bill", body)


def load_pages(folder: Path, *pages: BilledPage) -> Path:
    store, warehouse = RawStore(folder / "raw"), folder / "warehouse.duckdb"
    for landed in pages:
        land_bills(store, [landed], source="main", now=landed.imported_at)
    load_new_parts(store, warehouse, wait_s=5)
    return warehouse


def read(warehouse: Path, sql: str) -> list[dict[str, Any]]:
    with looking_into(warehouse) as connection:
        return read_rows(connection, sql)


def tokens(prompt_tokens: int) -> Json:
    return {"prompt_tokens": prompt_tokens, "completion_tokens": 0, "total_tokens": prompt_tokens}


def add_run(
    folder: Path,
    *,
    model: str = "gpt-4o",
    usages: tuple[Json | None, ...] = (tokens(1_000_000),),
    usage: Json | None = None,
) -> None:
    """A run with one step for each usage, on the day of the bills; `usage` is its own."""
    run = run_of("run_1", model=model, created_at=DAY_START + 60, usage=usage)
    steps = [
        step_of(f"step_{number}", run_id="run_1", thread_id="thread_1", created_at=DAY_START + 60, usage=used)
        for number, used in enumerate(usages)
    ]
    land(RawStore(folder / "raw"), Listing(0, [run]), Listing(0, steps, run_id="run_1"))


# Reading


@pytest.mark.parametrize(
    ("usages", "told", "counts", "computed_from"),
    [
        ((tokens(1_000_000),), None, (1, 0, 0, 0), "all steps"),
        ((), tokens(1_000_000), (0, 1, 0, 0), "all steps"),
        ((tokens(400_000),), tokens(1_000_000), (1, 1, 0, 0), "all steps"),
        ((tokens(400_000),), {"total_tokens": 1_000_000}, (1, 1, 0, 1), "some steps"),
        (({"total_tokens": 7},), None, (1, 0, 1, 0), "no step"),
    ],
)
def test_beside_the_bill_a_rest_of_a_run_is_no_step(
    tmp_path: Path, usages: tuple[Json, ...], told: Json | None, counts: tuple[int, ...], computed_from: str
) -> None:
    add_run(tmp_path, usages=usages, usage=told)
    warehouse = load_pages(tmp_path, page(answer(usage())))

    [row] = read(warehouse, "select steps, rests, unpriced_steps, unpriced_rests, computed_from from reconciliation")

    assert tuple(row.values()) == (*counts, computed_from)


def test_a_usage_answer_gives_its_tokens_by_day_project_and_model() -> None:
    [row] = billed_frame([page(answer(usage(input_cached_tokens=400, output_tokens=7)))]).to_dicts()

    kept = ("report", "billed_on", "project_id", "model", "input_tokens", "cached_tokens", "output_tokens", "requests")
    assert [row[name] for name in kept] == [
        "usage",
        date(2024, 11, 20),
        "proj_1",
        "gpt-4o-2024-08-06",
        1_000_000,
        400,
        7,
        1,
    ]


@pytest.mark.parametrize(
    ("line_item", "model"),
    [
        ("gpt-4o-2024-08-06, input", "gpt-4o-2024-08-06"),
        ("gpt-4o-2024-08-06, cached input", "gpt-4o-2024-08-06"),
        ("o1-2024-12-17, output", "o1-2024-12-17"),
        ("file storage", None),
        ("assistants api | code interpreter", None),
        (None, None),
    ],
)
def test_a_line_item_of_tokens_names_its_model(line_item: Any, model: str | None) -> None:
    assert billed_frame([page(answer(cost(1, line_item)))])["model"].to_list() == [model]


@pytest.mark.parametrize(
    ("value", "amount"),
    [(0.06, "0.06"), ("0.06", "0.06"), (3, "3"), (0.1234567890123, "0.123456789012"), (-0.5, "-0.5")],
)
def test_an_amount_is_exact_to_12_decimals(value: Any, amount: str) -> None:
    assert billed_frame([page(answer(cost(value)))])["amount"].to_list() == [Decimal(amount)]


def test_an_export_of_the_console_is_read_by_its_columns() -> None:
    text = (
        "start_time,start_time_iso,amount_value,amount_currency,line_item,project_id\n"
        f'{DAY_START},2024-11-20T00:00:00+00:00,1.25,USD,"gpt-4o-2024-08-06, input",proj_1\n'
    )

    [row] = billed_frame([page(text.encode(), "csv")]).to_dicts()

    assert (row["report"], row["billed_on"], row["model"]) == ("costs", date(2024, 11, 20), "gpt-4o-2024-08-06")
    assert (row["amount"], row["currency"]) == (Decimal("1.25"), "usd")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("bill.csv", "a,b\n1,2\n", "its columns are neither"),
        ("bill.json", "<html>", "no usage or cost answer"),
        ("bill.json", '{"data": [{"results": []}]}', "no usage or cost answer"),
    ],
)
def test_a_file_that_is_no_bill_is_refused_by_name(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")

    with pytest.raises(ConfigurationError) as caught:
        read_bill_files([tmp_path / name], source="main", now=NOW)

    assert message in str(caught.value)
    assert name in str(caught.value)


# Loading


def test_of_each_day_and_project_the_newest_import_counts(tmp_path: Path) -> None:
    warehouse = load_pages(
        tmp_path,
        page(answer(cost(1), cost(2)), minute=1),
        page(answer(cost(5)), minute=3),
        page(answer(cost(9), cost(9)), minute=2),
        page(answer(cost(7, project_id="proj_2")), minute=0),
    )

    rows = read(warehouse, "select project_id, row_index, amount from billed_usage order by project_id, row_index")

    assert [tuple(row.values()) for row in rows] == [("proj_1", 0, Decimal(5)), ("proj_2", 0, Decimal(7))]


def sessions(number: int | None = 3, **fields: Any) -> Json:
    named = "organization.usage.code_interpreter_sessions.result"
    return {"object": named, "num_sessions": number, "project_id": "proj_1", **fields}


EMBEDDINGS = {"object": "organization.usage.embeddings.result", "model": "text-embedding-3-small"}
MINI = "gpt-4o-mini-2024-07-18"


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (usage(), sessions()),
        (sessions(), usage()),
        (usage(), {**usage(), **EMBEDDINGS}),
        (usage(), {**usage(), "object": "organization.usage.moderations.result"}),
        (sessions(), sessions(None, object="organization.usage.vector_stores.result")),
        (usage(), usage(model=MINI)),
        (usage(), usage(project_id="proj_2")),
        (usage(batch=False), usage(batch=True)),
        (cost(1), cost(1, "gpt-4o-2024-08-06, output")),
        (cost(1), usage()),
    ],
)
def test_several_reports_of_a_day_never_overwrite_each_other(tmp_path: Path, earlier: Json, later: Json) -> None:
    load_pages(tmp_path, page(answer(earlier)))
    warehouse = load_pages(tmp_path, page(answer(later), minute=1))

    assert len(read(warehouse, "from billed_usage")) == 2
    assert len(read(warehouse, "from counted_bills")) == 2


@pytest.mark.parametrize("finer_first", [False, True])
@pytest.mark.parametrize(
    "coarse",
    [
        [usage(model=None, project_id=None, input_tokens=3_000_000)],
        [usage(model=None, input_tokens=3_000_000)],
        [usage(project_id=None), usage(project_id=None, model=MINI, input_tokens=2_000_000)],
        [usage(model=None, project_id=None, batch=True, input_tokens=3_000_000)],
    ],
)
def test_the_same_usage_grouped_in_two_ways_adds_up_once(tmp_path: Path, coarse: list[Json], finer_first: bool) -> None:
    fine = [usage(), usage(model=MINI, input_tokens=2_000_000)]
    minutes = (1, 2) if finer_first else (2, 1)

    warehouse = load_pages(tmp_path, page(answer(*fine), minute=minutes[0]), page(answer(*coarse), minute=minutes[1]))

    counted = read(warehouse, "select model, input_tokens from counted_bills order by input_tokens")
    assert [tuple(row.values()) for row in counted] == [("gpt-4o-2024-08-06", 1_000_000), (MINI, 2_000_000)]
    assert len(read(warehouse, "from billed_usage")) == len(fine) + len(coarse)


def test_an_import_says_what_it_replaced_and_what_does_not_count(tmp_path: Path) -> None:
    names = ["first.json", "corrected.json", "whole.json"]
    bodies = [answer(usage()), answer(usage(input_tokens=5)), answer(usage(model=None, project_id=None))]
    for name, body in zip(names, bodies, strict=True):
        (tmp_path / name).write_bytes(body)

    said = [run_cli(tmp_path, "import-usage", name).stdout for name in names]

    assert ["replaced 1 row of the same report" in text for text in said] == [False, True, False]
    assert ["not counted: 1 row of reports" in text for text in said] == [False, False, True]


@pytest.mark.parametrize("pruned", [False, True])
def test_an_import_counts_as_the_newest_also_where_the_clock_was_set_back(tmp_path: Path, pruned: bool) -> None:
    ahead = NOW.replace(year=2999)
    store = RawStore(tmp_path / "data" / "raw")
    land_bills(store, [BilledPage("main", "", 0, "json", ahead, "bill", answer(cost(9)))], source="main", now=ahead)
    if pruned:
        load_new_parts(store, tmp_path / "data" / "warehouse.duckdb", wait_s=5)
        prune_parts(
            store, tmp_path / "data" / "warehouse.duckdb", before=ahead + timedelta(days=1), now=ahead, wait_s=5
        )
    (tmp_path / "cost.json").write_bytes(answer(cost(5)))

    ended = run_cli(tmp_path, "import-usage", "cost.json", "--source", "main")

    assert ended.returncode == 0, ended.stderr
    rows = read(tmp_path / "data" / "warehouse.duckdb", "select amount from billed_usage")
    assert [row["amount"] for row in rows] == [Decimal(5)]


def test_a_rebuild_gives_the_same_bills(tmp_path: Path) -> None:
    warehouse = load_pages(tmp_path, page(answer(cost(1), usage())), page(answer(cost(2)), minute=1))
    before = read(warehouse, "from billed_usage order by all")

    rebuild(RawStore(tmp_path / "raw"), warehouse, wait_s=5)

    assert read(warehouse, "from billed_usage order by all") == before
    assert len(before) == 2


# Fetching


def fetch(pages: dict[tuple[str, str | None], bytes]) -> tuple[list[BilledPage], list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=pages[asked_url(request).path, asked_url(request).params.get("page")])

    async def run() -> list[BilledPage]:
        endpoint = admin_endpoint("http://127.0.0.1:1/v1", "marker-key")
        async with ApiClient(endpoint, Pacer(concurrency=1), transport=httpx.MockTransport(serve)) as client:
            return await fetch_bills(client, source="main", since=date(2024, 11, 20))

    return asyncio.run(run()), asked


USAGE_PATH, COSTS_PATH = "/v1/organization/usage/completions", "/v1/organization/costs"


def test_both_reports_are_fetched_to_their_last_page() -> None:
    pages, asked = fetch(
        {
            (USAGE_PATH, None): answer(usage(), next_page="two"),
            (USAGE_PATH, "two"): answer(usage(), start_time=DAY_START + 86_400),
            (COSTS_PATH, None): answer(cost(1)),
        }
    )

    assert billed_frame(pages)["report"].to_list() == ["usage", "usage", "costs"]
    assert asked_url(asked[0]).params.get_list("group_by") == ["project_id", "model", "batch"]
    assert asked_url(asked[0]).params["start_time"] == str(DAY_START)
    assert asked[0].headers["Authorization"] == "Bearer marker-key"


@pytest.mark.parametrize(
    "second", [answer(next_page="two"), json.dumps({"data": [], "has_more": True, "next_page": None}).encode()]
)
def test_a_bill_whose_paging_goes_in_circles_is_refused(second: bytes) -> None:
    with pytest.raises(WalkError, match="nothing was imported"):
        fetch({(USAGE_PATH, None): answer(next_page="two"), (USAGE_PATH, "two"): second})


def test_without_an_admin_key_one_is_told_where_to_put_it() -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_ADMIN_KEY"):
        admin_endpoint(None, None)


# Reconciling


def reconcile(warehouse: Path) -> list[tuple[Any, ...]]:
    sql = """
        select model, coalesce(billed_usd, list_usd) as billed_usd, computed_usd, difference_usd, explanations
        from reconciliation order by model
    """
    return [tuple(row.values()) for row in read(warehouse, sql)]


def test_a_bill_that_agrees_has_nothing_to_explain(tmp_path: Path) -> None:
    add_run(tmp_path)

    rows = reconcile(load_pages(tmp_path, page(answer(usage(), cost(2.5)))))

    assert rows == [("gpt-4o-2024-08-06", Decimal("2.5"), Decimal("2.5"), Decimal(0), [])]


def test_without_a_cost_report_the_billed_tokens_are_priced_by_our_price_book(tmp_path: Path) -> None:
    add_run(tmp_path)

    rows = reconcile(load_pages(tmp_path, page(answer(usage(input_tokens=3_000_000, input_cached_tokens=1_000_000)))))

    more = "the bill counts more tokens: other use of the API, or threads that were never synced"
    assert rows == [("gpt-4o-2024-08-06", Decimal("6.25"), Decimal("2.5"), Decimal("3.75"), [more])]


def test_where_the_tokens_agree_the_price_row_is_named(tmp_path: Path) -> None:
    add_run(tmp_path)

    [row] = reconcile(load_pages(tmp_path, page(answer(usage(), cost(2)))))

    assert row[3:] == (Decimal("-0.5"), ["the tokens agree: look at the price row openai:gpt-4o:2024-10-02"])


@pytest.mark.parametrize(
    ("billed", "explained"),
    [
        ((cost(10),), "unexplained: the bill has money only"),
        ((cost(1),), "unexplained: the bill has money only"),
        ((cost(10), usage(input_tokens=2_000_000)), "the bill counts more tokens"),
        ((cost(10), usage(input_tokens=5)), "unexplained: neither the tokens"),
        ((cost(1), usage(input_tokens=5)), "the bill counts fewer tokens"),
        ((cost(1), usage(input_tokens=2_000_000)), "unexplained: neither the tokens"),
        ((cost(10), usage(output_tokens=None)), "unexplained: neither the tokens"),
    ],
)
def test_no_difference_goes_without_a_reason_or_the_word_unexplained(
    tmp_path: Path, billed: tuple[Json, ...], explained: str
) -> None:
    add_run(tmp_path)

    [row] = reconcile(load_pages(tmp_path, page(answer(*billed))))

    assert row[3] != 0
    assert [text.startswith(explained) for text in row[4]] == [True]


def test_usage_of_batches_is_priced_as_such_and_told(tmp_path: Path) -> None:
    add_run(tmp_path)

    [row] = reconcile(load_pages(tmp_path, page(answer(usage(batch=False), usage(batch=True)))))

    assert row[1:4] == (Decimal("3.75"), Decimal("2.5"), Decimal("1.25"))
    assert "1000000 of the billed tokens are of batches, which no thread asks for: other use of the API" in row[4]


NOT_SYNCED = "other use of the API, or threads that were never synced"


def computations(warehouse: Path) -> list[tuple[Any, ...]]:
    """What is known of the computed side, by model."""
    sql = "select model, computed_from, priced_usd, computed_usd, difference_usd from reconciliation order by model"
    return [tuple(row.values()) for row in read(warehouse, sql)]


def test_steps_without_a_price_explain_a_difference(tmp_path: Path) -> None:
    add_run(tmp_path, model="prod")

    warehouse = load_pages(tmp_path, page(answer(cost(2))))

    unnamed = "1 steps of that day may be of this row: their model has no price or their project is unknown"
    billed, computed = reconcile(warehouse)
    assert billed == ("gpt-4o-2024-08-06", Decimal(2), None, None, [unnamed, NOT_SYNCED])
    assert computed[:4] == ("prod", None, None, None)
    assert computed[4][0].startswith("unpriced: the cost of all 1 steps is unknown (no price, or no usage)")
    assert [row[1] for row in computations(warehouse)] == ["unnamed steps", "no step"]


def test_a_billed_day_without_any_step_was_computed_as_nothing(tmp_path: Path) -> None:
    warehouse = load_pages(tmp_path, page(answer(cost(2))))

    assert computations(warehouse) == [("gpt-4o-2024-08-06", "nothing synced", None, Decimal(0), Decimal(2))]
    assert reconcile(warehouse)[0][4] == [NOT_SYNCED]


def test_a_model_that_is_billed_and_has_no_price_makes_no_difference(tmp_path: Path) -> None:
    add_run(tmp_path, model="gpt-9")

    warehouse = load_pages(tmp_path, page(answer(cost(2, "gpt-9, input"))))

    assert computations(warehouse) == [("gpt-9", "no step", None, None, None)]


def test_where_the_usage_of_a_step_is_unknown_the_priced_part_stands_apart(tmp_path: Path) -> None:
    add_run(tmp_path, usages=(tokens(1_000_000), None, tokens(400_000)))

    warehouse = load_pages(tmp_path, page(answer(usage(), cost(4))))

    assert computations(warehouse) == [("gpt-4o-2024-08-06", "some steps", Decimal("3.5"), None, None)]
    assert reconcile(warehouse)[0][4][0].startswith("partly unpriced: the cost of 1 of 3 steps is unknown")


def test_a_step_without_tokens_costs_nothing_also_where_its_model_has_no_price(tmp_path: Path) -> None:
    add_run(tmp_path, model="gpt-9", usages=(tokens(0),))

    warehouse = load_pages(tmp_path, page(answer(cost(2, "gpt-9, input"))))

    assert computations(warehouse) == [("gpt-9", "all steps", None, Decimal(0), Decimal(2))]


def test_steps_whose_project_nobody_knows_may_be_of_any_project(tmp_path: Path) -> None:
    add_run(tmp_path)

    warehouse = load_pages(tmp_path, page(answer(cost(2), cost(3, project_id="proj_2"))))

    sql = "select project_id, computed_from, computed_usd, difference_usd from reconciliation order by project_id"
    assert [tuple(row.values()) for row in read(warehouse, sql)] == [
        ("proj_1", "unnamed steps", None, None),
        ("proj_2", "unnamed steps", None, None),
        (None, "all steps", Decimal("2.5"), None),
    ]


def test_a_line_item_that_is_no_model_s_stays_apart(tmp_path: Path) -> None:
    [row] = reconcile(load_pages(tmp_path, page(answer(cost(2, "file storage")))))

    assert row == (None, Decimal(2), Decimal(0), Decimal(2), ["a line item that is no model's tokens"])


def test_money_in_another_currency_is_in_no_sum(tmp_path: Path) -> None:
    foreign = cost(2, amount={"value": 2, "currency": "eur"})

    [row] = reconcile(load_pages(tmp_path, page(answer(foreign))))

    assert row[1:4] == (None, Decimal(0), None)
    assert "a part of the bill is in another currency" in row[4]


def test_a_bill_that_is_in_another_currency_in_part_makes_no_difference(tmp_path: Path) -> None:
    add_run(tmp_path)

    [row] = reconcile(load_pages(tmp_path, page(answer(cost(2), cost(2, amount={"value": 2, "currency": "eur"})))))

    assert row[1:4] == (Decimal(2), Decimal("2.5"), None)


def test_without_a_bill_for_the_day_the_difference_is_unknown(tmp_path: Path) -> None:
    add_run(tmp_path)

    rows = reconcile(load_pages(tmp_path, page(answer(cost(2), start_time=DAY_START + 86_400))))

    assert ("gpt-4o-2024-08-06", None, Decimal("2.5"), None, ["no bill has been imported for this day"]) in rows


def test_against_a_bill_in_another_currency_the_difference_is_unknown(tmp_path: Path) -> None:
    add_run(tmp_path)

    [row] = reconcile(load_pages(tmp_path, page(answer(cost(2, amount={"value": 2, "currency": "eur"})))))

    assert row[1:4] == (None, Decimal("2.5"), None)
    assert "a part of the bill is in another currency" in row[4]


def test_what_a_bill_of_the_day_does_not_have_is_a_difference(tmp_path: Path) -> None:
    add_run(tmp_path)

    rows = reconcile(load_pages(tmp_path, page(answer(cost(2, "o3-mini, input")))))

    [row] = [row for row in rows if row[0] == "gpt-4o-2024-08-06"]
    assert row[1:4] == (None, Decimal("2.5"), Decimal("-2.5"))


@pytest.mark.parametrize(
    ("is_told_by", "said"),
    [("steps", "2.50 USD for 1 step, "), ("run", "2.50 USD for 0 steps and 1 rest of runs, ")],
)
def test_explain_cost_walks_through_a_day(tmp_path: Path, is_told_by: str, said: str) -> None:
    usages = (tokens(1_000_000),) if is_told_by == "steps" else ()
    add_run(tmp_path / "data", usages=usages, usage=None if usages else tokens(1_000_000))
    (tmp_path / "bill.json").write_bytes(answer(usage(), cost(2)))
    (tmp_path / "pipeline.toml").write_text("profile = 'main'\n[profiles.main]\n", "utf-8")

    imported = run_cli(tmp_path, "import-usage", "bill.json")
    explained = run_cli(tmp_path, "explain-cost", "--on", "2024-11-20")

    assert (imported.returncode, explained.returncode) == (0, 0), imported.stderr + explained.stderr
    assert imported.stdout.startswith("imported 2 rows (files or pages: 1) into source main")
    assert f"{said}without a price: 0 steps" in explained.stdout
    assert "look at the price row" in explained.stdout


@pytest.mark.parametrize(("last_page", "said"), [([], True), ([answer()], True), ([answer(usage())], False)])
def test_answers_whose_last_page_is_not_among_the_files_are_named(
    tmp_path: Path, last_page: list[bytes], said: bool
) -> None:
    bodies = [answer(usage(), next_page="two"), answer(cost(1)), *last_page]
    for number, body in enumerate(bodies):
        (tmp_path / f"{number}.json").write_bytes(body)

    ended = run_cli(tmp_path, "import-usage", *(f"{number}.json" for number in range(len(bodies))))

    assert ended.returncode == 0
    assert ("the usage report goes on after these files" in ended.stderr) is said


def test_a_bill_can_be_that_of_a_source_that_has_no_profile(tmp_path: Path) -> None:
    (tmp_path / "usage.json").write_bytes(answer(usage()))

    ended = run_cli(tmp_path, "import-usage", "usage.json", "--source", "archive")

    assert "into source archive" in ended.stdout
    assert read(tmp_path / "data" / "warehouse.duckdb", "select source from billed_usage") == [{"source": "archive"}]
