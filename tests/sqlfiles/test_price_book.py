"""Which price holds for a name on a day, where it comes from, and what a person's own file may say."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import ConfigurationError
from pipeline.money.repricing import Charged, explain_price
from pipeline.sqlfiles.price_book import PriceBook, read_price_book
from tests.syncs import environ_for, run_cli

DAY = date(2024, 11, 20)
# The names in the enumeration AssistantSupportedModels of the published API description.
OFFERED = """
    gpt-5 gpt-5-mini gpt-5-nano gpt-5-2025-08-07 gpt-5-mini-2025-08-07 gpt-5-nano-2025-08-07 gpt-4.1 gpt-4.1-mini
    gpt-4.1-nano gpt-4.1-2025-04-14 gpt-4.1-mini-2025-04-14 gpt-4.1-nano-2025-04-14 o3-mini o3-mini-2025-01-31 o1
    o1-2024-12-17 gpt-4o gpt-4o-2024-11-20 gpt-4o-2024-08-06 gpt-4o-2024-05-13 gpt-4o-mini gpt-4o-mini-2024-07-18
    gpt-4.5-preview gpt-4.5-preview-2025-02-27 gpt-4-turbo gpt-4-turbo-2024-04-09 gpt-4-0125-preview
    gpt-4-turbo-preview gpt-4-1106-preview gpt-4-vision-preview gpt-4 gpt-4-0314 gpt-4-0613 gpt-4-32k gpt-4-32k-0314
    gpt-4-32k-0613 gpt-3.5-turbo gpt-3.5-turbo-16k gpt-3.5-turbo-0613 gpt-3.5-turbo-1106 gpt-3.5-turbo-0125
    gpt-3.5-turbo-16k-0613
"""
# What Azure calls its own: GPT-3.5 without the point.
AZURE = """
    gpt-35-turbo gpt-35-turbo-16k gpt-35-turbo-16k-0613 gpt-35-turbo-0613 gpt-35-turbo-1106 gpt-35-turbo-0125
"""
# Models of the Foundry catalog that are not OpenAI's and that its agents run on.
FOUNDRY = """
    DeepSeek-R1 DeepSeek-V3-0324 DeepSeek-V3.1 Llama-3.3-70B-Instruct Llama-4-Maverick-17B-128E-Instruct-FP8 MAI-DS-R1
    gpt-oss-120b grok-3 grok-3-mini grok-4 grok-4-fast-non-reasoning grok-4-fast-reasoning
"""


@pytest.fixture(scope="module")
def shipped() -> PriceBook:
    return read_price_book()


def own_book(folder: Path, *lines: str, header: str = "model,input_usd_per_mtok,output_usd_per_mtok") -> PriceBook:
    path = folder / "own-prices.csv"
    path.write_text("\n".join([header, *lines]) + "\n", "utf-8")
    return read_price_book(path)


@pytest.mark.parametrize(
    ("model", "on", "price_id", "match"),
    [
        ("gpt-4o-2024-08-06", DAY, "openai:gpt-4o-2024-08-06:2024-10-01", "exact"),
        ("gpt-4o", date(2024, 10, 1), "openai:gpt-4o:2024-05-13", "alias"),
        ("gpt-4o", date(2024, 10, 2), "openai:gpt-4o:2024-10-02", "alias"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", DAY, "openai:ft:gpt-4o-mini-2024-07-18:*:2024-10-01", "pattern"),
        ("gpt-35-turbo-16k", DAY, "azure:gpt-35-turbo-16k:2023-06-13", "alias"),
    ],
)
def test_a_name_is_found_exactly_then_as_an_alias_by_date_then_by_pattern(
    shipped: PriceBook, model: str, on: date, price_id: str, match: str
) -> None:
    found = explain_price(model, on, book=shipped)

    assert found.price is not None
    assert (found.price["price_id"], found.price["match"]) == (price_id, match)


@pytest.mark.parametrize("model", ["my-deployment", "gpt-4o-2099-01-01", "ft:gpt-4o", "GPT-4o", ""])
def test_an_unknown_name_has_no_price_and_never_a_neighbour_s(shipped: PriceBook, model: str) -> None:
    found = explain_price(model, DAY, book=shipped)

    assert found.price is None
    assert "its cost is unknown" in found.rule


@pytest.mark.parametrize("models", [OFFERED, AZURE, FOUNDRY], ids=["OpenAI", "Azure", "Foundry"])
def test_every_model_that_the_protocol_ever_offered_has_a_price_on_some_day(shipped: PriceBook, models: str) -> None:
    usual = shipped.prices.filter(pl.col("sku").is_null(), tier="standard")
    days = {row["model"]: row["valid_from"] for row in usual.to_dicts()}

    unpriced = [name for name in models.split() if explain_price(name, days.get(name, DAY), book=shipped).price is None]

    assert unpriced == []


def test_a_deployment_s_name_stands_for_its_model(shipped: PriceBook) -> None:
    found = explain_price("prod", DAY, book=shipped, models={"prod": "gpt-4o", 'o"dd': "o1"})

    assert found.price is not None
    assert found.price["price_id"] == "openai:gpt-4o:2024-10-02"
    assert found.rule.startswith("`models` of the profile says that prod is gpt-4o")


def test_an_own_row_wins_over_the_shipped_one_and_ends_when_it_says(tmp_path: Path) -> None:
    header = "model,valid_from,valid_to,input_usd_per_mtok,output_usd_per_mtok"
    book = own_book(tmp_path, "gpt-4o,2024-11-01,2024-12-01,1,2", header=header)

    prices = [explain_price("gpt-4o", on, book=book).price for on in (DAY, date(2024, 12, 1))]

    assert [price and price["price_id"] for price in prices] == ["own:gpt-4o:2024-11-01", "openai:gpt-4o:2024-10-02"]


def test_an_own_row_for_one_source_is_for_that_source_only(tmp_path: Path) -> None:
    header = "model,only_source,input_usd_per_mtok,output_usd_per_mtok"
    book = own_book(tmp_path, "gpt-4o,europe,1,2", "gpt-4o,,3,4", header=header)

    prices = [explain_price("gpt-4o", DAY, book=book, source=source).price for source in ("europe", "other")]

    assert [price and price["input_usd_per_mtok"] for price in prices] == [Decimal(1), Decimal(3)]


@pytest.mark.parametrize(
    ("provider", "kind", "price_id"),
    [
        ("", "foundry", "own:gpt-4o:always"),
        ("azure", "foundry", "own:gpt-4o:always"),
        ("openai", "foundry", "azure:gpt-4o:2024-05-13"),
        ("openai", "litellm", "own:gpt-4o:always"),
        ("mistral", "compatible", "own:gpt-4o:always"),
    ],
)
def test_an_own_row_that_names_another_provider_does_not_price_a_source_of_azure(
    tmp_path: Path, provider: str, kind: str, price_id: str
) -> None:
    header = "model,provider,input_usd_per_mtok,output_usd_per_mtok"
    book = own_book(tmp_path, f"gpt-4o,{provider},1,2", header=header)

    price = explain_price("gpt-4o", DAY, book=book, charged=Charged(kind)).price

    assert price is not None
    assert price["price_id"] == price_id


def test_azure_has_a_row_of_its_own_for_every_model_that_the_protocol_offered_there(shipped: PriceBook) -> None:
    azure = shipped.prices.filter(provider="azure")["model"].to_list()

    # Azure spells GPT-3.5 without the point and has one name for both preview models of GPT-4 Turbo.
    spelled_otherwise = {"gpt-3.5-turbo-16k", "gpt-3.5-turbo-16k-0613", "gpt-3.5-turbo-0613", "gpt-3.5-turbo-1106"}
    missing = {name for name in f"{OFFERED} {AZURE} {FOUNDRY}".split() if name not in azure}

    assert missing - spelled_otherwise == {"gpt-4-turbo-preview"}


def test_of_two_patterns_the_longer_one_wins(tmp_path: Path) -> None:
    book = own_book(tmp_path, "house-*,1,2", "house-large-*,3,4")

    price = explain_price("house-large-7", DAY, book=book).price

    assert price is not None
    assert price["priced_model"] == "house-large-*"


def test_a_discount_is_kept_beside_the_list_price(tmp_path: Path) -> None:
    book = own_book(tmp_path, "gpt-4o*,0.9", header="model,discount")

    price = explain_price("gpt-4o", DAY, book=book).price

    assert price is not None
    assert price["list_input_usd_per_mtok"] == Decimal("2.5")
    assert price["input_usd_per_mtok"] == Decimal("2.25")
    assert price["discount"] == Decimal("0.9")
    assert price["price_id"] == "openai:gpt-4o:2024-10-02"


def test_a_discount_row_does_not_touch_an_own_price(tmp_path: Path) -> None:
    header = "model,input_usd_per_mtok,output_usd_per_mtok,discount"
    book = own_book(tmp_path, "gpt-4o,2,4,0.5", "*,,,0.9", header=header)

    price = explain_price("gpt-4o", DAY, book=book).price

    assert price is not None
    assert (price["input_usd_per_mtok"], price["discount_id"]) == (Decimal(1), None)


def test_a_discount_begins_and_ends_inside_a_price_s_time(tmp_path: Path) -> None:
    header = "model,valid_from,valid_to,discount"
    book = own_book(tmp_path, "gpt-4o,2024-11-01,2024-12-01,0.5", header=header)

    days = [date(2024, 10, 31), date(2024, 11, 1), date(2024, 11, 30), date(2024, 12, 1)]
    prices = [explain_price("gpt-4o", on, book=book).price for on in days]

    assert [price and price["input_usd_per_mtok"] for price in prices] == [
        Decimal("2.5"),
        Decimal("1.25"),
        Decimal("1.25"),
        Decimal("2.5"),
    ]


def test_a_discount_of_zero_makes_it_free(tmp_path: Path) -> None:
    price = explain_price("gpt-4o", DAY, book=own_book(tmp_path, "gpt-4o,0", header="model,discount")).price

    assert price is not None
    assert price["input_usd_per_mtok"] == Decimal(0)


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        ("model,input_usd_per_mtok,output_usd_per_mtok", "gpt-4o,1.5e,2", "input_usd_per_mtok '1.5e' is not a number"),
        ("model,input_usd_per_mtok,output_usd_per_mtok", "gpt-4o,-1,2", "is not between 0 and 1,000,000"),
        ("model,input_usd_per_mtok,output_usd_per_mtok", "gpt-4o,NaN,2", "is not between 0 and 1,000,000"),
        ("model,input_usd_per_mtok,output_usd_per_mtok", "gpt-4o,0.0000001,2", "has more than 6 decimals"),
        ("model,input_usd_per_mtok,output_usd_per_mtok", "gpt-4o,1,", "output_usd_per_mtok is missing"),
        ("model,input_usd_per_mtok,output_usd_per_mtok", "gpt-4o,,", "a row needs prices"),
        ("model,input_usd_per_mtok,output_usd_per_mtok", "gpt-4o,1,2,3", "more fields than the header"),
        ("model,valid_from,discount", "gpt-4o,yesterday,1", "valid_from 'yesterday' is not a day"),
        ("model,discount", ",0.9", "model is missing"),
        ("model,discount", "gpt[4],0.9", "has a bracket"),
        ("model,price", "gpt-4o,1", "there is no column 'price'"),
    ],
)
def test_a_mistake_in_an_own_file_is_named_with_its_place(tmp_path: Path, header: str, line: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        own_book(tmp_path, line, header=header)

    assert message in str(caught.value)
    assert "own-prices.csv" in str(caught.value)


def test_two_own_rows_that_are_the_same_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="two rows are 'own:gpt-4o:always'"):
        own_book(tmp_path, "gpt-4o,1,2", "gpt-4o,3,4")


def test_lines_that_begin_with_a_hash_are_passed_over(tmp_path: Path) -> None:
    book = own_book(tmp_path, "# agreed in the spring", "gpt-4o,1,2")

    assert book.prices.filter(origin="own")["price_id"].to_list() == ["own:gpt-4o:always"]


def test_every_shipped_alias_costs_what_the_dated_name_it_stood_for_cost(shipped: PriceBook) -> None:
    dated = shipped.prices.filter(match="exact")
    aliases = shipped.prices.filter(match="alias").drop_nulls("stands_for")

    for alias in aliases.iter_rows(named=True):
        rates = [
            (row["input_usd_per_mtok"], row["output_usd_per_mtok"])
            for row in dated.filter(model=alias["stands_for"], tier=alias["tier"]).iter_rows(named=True)
            if (row["sku"], row["min_input_tokens"]) == (alias["sku"], alias["min_input_tokens"])
        ]
        assert (alias["input_usd_per_mtok"], alias["output_usd_per_mtok"]) in rates, alias["price_id"]


# The command line


def test_explain_prints_the_row_and_the_rule(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "prices", "explain", "gpt-4o", "--at", "2024-09-01")

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "gpt-4o on 2024-09-01: the name is an alias; the price list says what it stood for on that day",
        "  row          openai:gpt-4o:2024-05-13 (alias gpt-4o)",
        "  provider     openai: rows of openai come first, another's hold only for names that openai has no row of",
        "  holds        from 2024-05-13 to 2024-10-02 (the row itself: from 2024-05-13 to 2024-10-02)",
        "  input        5.00 USD per million tokens",
        "  cached input none: charged like input",
        "  output       15.00 USD per million tokens",
        "  other rates  input / cached / cache write / output, USD per million tokens",
        "  batch        2.50 / - / - / 7.50",
    ]


def test_explain_takes_the_rows_of_the_provider_that_charges(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "prices", "explain", "gpt-4o", "--at", "2024-12-01", "--provider", "azure")

    assert ended.stdout.splitlines()[1:3] == [
        "  row          azure:gpt-4o:2024-05-13 (alias gpt-4o)",
        "  provider     azure: a source of Azure is priced by rows of azure only, never by another provider's",
    ]


def test_explain_takes_the_provider_from_the_profile_s_kind(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text("profile = 'west'\n[profiles.west]\nkind = 'foundry'\n", "utf-8")

    answer = json.loads(run_cli(tmp_path, "prices", "explain", "ft:gpt-3.5-turbo-0125:acme::abc", "--json").stdout)

    assert (answer["provider"], answer["price"]) == ("azure", None)
    assert answer["provider_rule"].startswith("a source of Azure is priced by rows of azure only")


def test_explain_refuses_a_provider_that_it_does_not_know(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "prices", "explain", "gpt-4o", "--provider", "aws")

    assert ended.returncode == 2
    assert "--provider 'aws' is neither azure nor openai" in ended.stderr


def test_explain_prints_the_days_of_the_row_beside_the_period_that_another_row_cuts_out_of_it(tmp_path: Path) -> None:
    own = "model,valid_from,valid_to,input_usd_per_mtok,output_usd_per_mtok\ngpt-4o,2024-06-01,2024-07-01,1,1\n"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "own-prices.csv").write_text(own, "utf-8")

    told = run_cli(tmp_path, "prices", "explain", "gpt-4o", "--at", "2024-09-01").stdout
    as_json = json.loads(run_cli(tmp_path, "prices", "explain", "gpt-4o", "--at", "2025-09-01", "--json").stdout)

    assert "  holds        from 2024-07-01 to 2024-10-02 (the row itself: from 2024-05-13 to 2024-10-02)\n" in told
    assert as_json["row"] == {"valid_from": "2024-10-02", "valid_to": None}


def test_the_list_as_json_has_own_rows_and_discounts(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    own = "model,input_usd_per_mtok,output_usd_per_mtok,discount\nprod,1,2,\n*,,,0.9\n"
    (tmp_path / "data" / "own-prices.csv").write_text(own, "utf-8")

    answer = json.loads(run_cli(tmp_path, "prices", "list", "prod", "--json").stdout)

    assert [(row["model"], row["origin"], row["input_usd_per_mtok"]) for row in answer["prices"]] == [
        ("prod", "own", "1.000000")
    ]
    assert [row["discount"] for row in answer["discounts"]] == ["0.900000"]


def test_at_80_columns_the_price_book_tells_since_when_and_what_goes_in_and_out(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "prices", "list", "gpt-4o", environ={**environ_for(), "COLUMNS": "80"})

    listed = ended.stdout.partition("\n(no room for ")[0]
    assert {"model", "tier", "sku", "valid_from", "input_usd", "output_usd"} <= set(listed.split())
    assert ended.stdout.splitlines()[-1].endswith("data/own-fees.csv)")
