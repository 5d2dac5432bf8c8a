"""What the shipped list says of tiers, long requests, cache writes and deployments; what an unknown name is offered."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import ConfigurationError
from pipeline.money.repricing import Charged, explain_price
from pipeline.sqlfiles.near_names import nearest_names
from pipeline.sqlfiles.price_book import PriceBook, read_price_book
from tests.syncs import run_cli

DAY = date(2026, 10, 15)
RATES = ("input_usd_per_mtok", "cached_input_usd_per_mtok", "cache_write_usd_per_mtok", "output_usd_per_mtok")


@pytest.fixture(scope="module")
def shipped() -> PriceBook:
    return read_price_book()


def rates_of(
    book: PriceBook,
    model: str,
    *,
    on: date = DAY,
    tier: str = "standard",
    tokens: int = 1,
    charged: Charged | None = None,
) -> str | None:
    """Input / cached input / cache write / output for a request of so many input tokens; None: no price."""
    found = explain_price(model, on, book=book, charged=charged or Charged())
    for row in found.steps:
        fits = row["min_input_tokens"] <= tokens < (row["below_input_tokens"] or tokens + 1)
        if row["tier"] == tier and fits:
            return " ".join("-" if row[name] is None else f"{row[name].normalize():f}" for name in RATES)
    return None


@pytest.mark.parametrize(
    ("model", "tier", "tokens", "rates"),
    [
        ("gpt-5.4", "standard", 272_000, "2.5 0.25 - 15"),
        ("gpt-5.4", "standard", 272_001, "5 0.5 - 22.5"),
        ("gpt-5.4", "flex", 272_000, "1.25 0.13 - 7.5"),
        ("gpt-5.4", "batch", 272_001, "2.5 0.25 - 11.25"),
        ("gpt-5.5-2026-04-23", "priority", 1, "12.5 1.25 - 75"),
        ("gpt-5.6", "standard", 1, "4 0.4 5 20"),
        ("gpt-5.6-terra-2026-07-09", "standard", 272_001, "4 0.4 5 18"),
        ("gpt-6-astra", "ultrafast", 272_001, "120 12 150 450"),
        ("gpt-6.1-sol", "priority", 1, "4 0.2 5 20"),
        ("gpt-4.1", "batch", 1, "1 - - 4"),
        ("gpt-4o-mini", "priority", 1, "0.25 0.125 - 1"),
        ("o3", "flex", 1, "1 0.25 - 4"),
        ("ft:gpt-4.1-2025-04-14:acme::id", "batch", 1, "1.5 0.5 - 6"),
        ("gpt-5-1-codex", "standard", 1, "1.25 0.125 - 10"),
    ],
)
def test_each_tier_and_size_of_a_request_has_rates_of_its_own(
    shipped: PriceBook, model: str, tier: str, tokens: int, rates: str
) -> None:
    assert rates_of(shipped, model, tier=tier, tokens=tokens) == rates


@pytest.mark.parametrize(("model", "tier"), [("gpt-5.4", "priority"), ("gpt-5.5", "priority"), ("gpt-5.5-pro", "flex")])
def test_a_size_that_no_row_of_the_tier_is_for_has_no_price(shipped: PriceBook, model: str, tier: str) -> None:
    assert rates_of(shipped, model, tier=tier, tokens=272_000) is not None
    assert rates_of(shipped, model, tier=tier, tokens=272_001) is None


@pytest.mark.parametrize(
    ("model", "last", "before", "after"),
    [
        ("gpt-5.6-luna", date(2026, 7, 29), "1 0.1 1.25 6", "0.2 0.02 0.25 1.2"),
        ("gpt-5.6-terra", date(2026, 7, 29), "2.5 0.25 3.125 15", "2 0.2 2.5 12"),
        ("gpt-5.6-sol", date(2026, 8, 20), "5 0.5 6.25 30", "4 0.4 5 20"),
        ("gpt-5.6", date(2026, 8, 20), "5 0.5 6.25 30", "4 0.4 5 20"),
        ("o3", date(2025, 6, 9), "10 2.5 - 40", "2 0.5 - 8"),
    ],
)
def test_a_price_that_changed_changes_on_its_day_and_tiers_are_not_guessed_before(
    shipped: PriceBook, model: str, last: date, before: str, after: str
) -> None:
    following = date.fromordinal(last.toordinal() + 1)

    assert (rates_of(shipped, model, on=last), rates_of(shipped, model, on=following)) == (before, after)
    assert rates_of(shipped, model, on=last, tier="flex") is None
    assert rates_of(shipped, model, on=following, tier="flex") is not None


@pytest.mark.parametrize(
    ("model", "sku", "rates"),
    [
        ("gpt-4o", None, "2.5 1.25 - 10"),
        ("gpt-4o", "global", "2.5 1.25 - 10"),
        ("gpt-4o", "datazone", "2.75 1.375 - 11"),
        ("gpt-4o", "regional", "2.75 1.375 - 11"),
        ("gpt-4o", "provisioned", None),
        ("gpt-35-turbo", None, "0.5 - - 1.5"),
        ("gpt-35-turbo", "regional", "0.55 - - 1.65"),
        ("gpt-35-turbo", "datazone", None),
        ("gpt-6.1-sol", "datazone", None),
        ("gpt-4.1-mini-2025-04-14.ft-0123", "regional", "0.44 0.11 - 1.76"),
        ("DeepSeek-V3.2", "datazone", "0.64 - - 1.85"),
    ],
)
def test_a_deployment_is_priced_by_rows_of_its_sku_only(
    shipped: PriceBook, model: str, sku: str | None, rates: str | None
) -> None:
    assert rates_of(shipped, model, charged=Charged("foundry", sku=sku)) == rates


@pytest.mark.parametrize(
    ("lines", "sku", "paid"),
    [
        (["gpt-4o,,1,2"], None, 1),
        (["gpt-4o,,1,2"], "provisioned", 1),
        (["gpt-4o,,1,2", "gpt-4o,datazone,3,4"], "datazone", 3),
        (["gpt-4o,,1,2", "gpt-4o,datazone,3,4"], "regional", 1),
        (["gpt-4o,global,1,2"], None, 1),
        (["gpt-4o,global,1,2"], "provisioned", None),
    ],
)
def test_an_own_row_holds_for_its_sku_or_for_all(tmp_path: Path, lines: list[str], sku: str | None, paid: int) -> None:
    own = "\n".join(["model,sku,input_usd_per_mtok,output_usd_per_mtok", *lines, ""])
    (tmp_path / "own-prices.csv").write_text(own, "utf-8")

    book = read_price_book(tmp_path / "own-prices.csv")
    price = explain_price("gpt-4o", DAY, book=book, charged=Charged("foundry", sku=sku)).price

    assert (price and price["input_usd_per_mtok"]) == (paid and Decimal(paid))


def test_who_charges_is_what_a_person_says_before_what_the_kind_of_server_says(shipped: PriceBook) -> None:
    behind_a_gateway = explain_price("gpt-4o", DAY, book=shipped, charged=Charged("litellm", "azure", "datazone"))

    assert behind_a_gateway.provider == "azure"
    assert behind_a_gateway.price is not None
    assert behind_a_gateway.price["price_id"] == "azure:gpt-4o:2025-02-13:datazone"


def test_an_unknown_sku_of_an_own_row_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "own-prices.csv"
    path.write_text("model,sku,input_usd_per_mtok,output_usd_per_mtok\ngpt-4o,east,1,2\n", "utf-8")

    with pytest.raises(ConfigurationError, match=r"own-prices\.csv:2: sku 'east' is not one of global, datazone"):
        read_price_book(path)


def test_every_row_of_a_tier_is_below_or_above_its_standard_row_as_tiers_are(shipped: PriceBook) -> None:
    keys = ["provider", "model", "sku", "min_input_tokens", "valid_from"]
    standard = shipped.prices.filter(tier="standard").select(*keys, pl.col("output_usd_per_mtok").alias("usual"))
    tiers = shipped.prices.filter(pl.col("tier") != "standard").join(standard, on=keys, nulls_equal=True)

    cheap = pl.col("tier").is_in(["batch", "flex"])
    wrong = tiers.filter((pl.col("output_usd_per_mtok") < pl.col("usual")) != cheap)

    assert tiers.height > 300
    # OpenAI's own list has no discount for a batch of it.
    assert wrong["model"].unique().to_list() == ["gpt-3.5-turbo-1106"]


# An unknown name


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("GPT-4o", "gpt-4o"),
        ("gpt 4o mini", "gpt-4o-mini"),
        ("gpt4o-mini", "gpt-4o-mini"),
        ("openai/gpt-4.1-mini", "gpt-4.1-mini"),
        ("prod-gpt-4o-mini-westeurope", "gpt-4o-mini"),
        ("o3-deep-reserch", "o3-deep-research"),
        ("deepseek-v3.2", "DeepSeek-V3.2"),
        ("gpt-4o-2024-08-07", "gpt-4o-2024-08-06"),
    ],
)
def test_a_name_is_offered_the_nearest_priced_one(shipped: PriceBook, name: str, first: str) -> None:
    assert nearest_names(name, shipped.prices["model"])[0] == first


@pytest.mark.parametrize("name", ["", "contoso-chat", "claude", "x" * 10_000])
def test_a_name_like_none_is_offered_none(shipped: PriceBook, name: str) -> None:
    assert nearest_names(name, shipped.prices["model"]) == []


def test_explain_offers_names_and_says_when_the_prices_of_the_name_begin(tmp_path: Path) -> None:
    unknown = run_cli(tmp_path, "prices", "explain", "GPT-4o").stdout
    early = run_cli(tmp_path, "prices", "explain", "gpt-4o", "--at", "2023-01-01").stdout

    assert "  did you mean gpt-4o?\n" in unknown
    assert "  its prices   begin on 2024-05-13\n" in early


def test_explain_shows_the_size_the_cache_write_the_sku_and_the_other_rates(tmp_path: Path) -> None:
    asked = ("prices", "explain", "gpt-5.6-luna", "--at", "2026-10-15", "--provider", "azure", "--sku", "datazone")

    assert run_cli(tmp_path, *asked).stdout.splitlines()[4:] == [
        "  sku          datazone",
        "  requests     to 272,000 input tokens",
        "  input        0.22 USD per million tokens",
        "  cached input 0.022 USD per million tokens",
        "  cache write  0.275 USD per million tokens",
        "  output       1.32 USD per million tokens",
        "  other rates  input / cached / cache write / output, USD per million tokens",
        "  standard     0.44 / 0.044 / 0.55 / 1.98 (from 272,001 input tokens)",
        "  priority     0.44 / 0.044 / 0.55 / 2.64 (to 272,000 input tokens)",
        "  priority     0.88 / 0.088 / 1.10 / 3.96 (from 272,001 input tokens)",
    ]


def test_explain_takes_provider_and_sku_from_the_profile_until_a_sync_has_told_them(tmp_path: Path) -> None:
    profile = "[profiles.west]\nkind = 'litellm'\nprovider = 'azure'\nsku = 'datazone'\n"
    (tmp_path / "pipeline.toml").write_text(f"profile = 'west'\n{profile}", "utf-8")

    answer = json.loads(run_cli(tmp_path, "prices", "explain", "gpt-4o", "--json").stdout)

    assert (answer["provider"], answer["sku"]) == ("azure", "datazone")
    assert answer["price"]["price_id"] == "azure:gpt-4o:2025-02-13:datazone"


def test_explain_says_that_provisioned_deployments_have_no_price_for_tokens(tmp_path: Path) -> None:
    asked = ("prices", "explain", "gpt-4o", "--provider", "azure", "--sku", "provisioned")

    assert "paid by the hour" in run_cli(tmp_path, *asked).stdout


def test_explain_refuses_a_sku_that_it_does_not_know(tmp_path: Path) -> None:
    ended = run_cli(tmp_path, "prices", "explain", "gpt-4o", "--sku", "east")

    assert ended.returncode == 2
    assert "--sku 'east' is not one of global, datazone, regional, provisioned" in ended.stderr
