"""What a price is and why, and repricing: the only thing that changes the costs of sealed runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import polars as pl

from pipeline import __version__
from pipeline.errors import ConfigurationError
from pipeline.sqlfiles.duck import Connection, read_frame
from pipeline.sqlfiles.near_names import nearest_names
from pipeline.sqlfiles.price_book import STANDARD, PriceBook
from pipeline.sqlfiles.schema import open_in_memory, refresh_prices
from pipeline.sqlfiles.written_rows import SKUS
from pipeline.warehouse.stored_costs import store_again

_RULES = {
    "exact": "the name is in the price list",
    "alias": "the name is an alias; the price list says what it stood for on that day",
    "pattern": "the name matches a pattern of the price list",
}

# Whose rows price a source, by the source's provider, as `price_periods` has it.
_PROVIDER_RULES = {
    "azure": "a source of Azure is priced by rows of azure only, never by another provider's",
    "openai": "rows of openai come first, another's hold only for names that openai has no row of",
}

_PRICED_COLUMNS = (
    "price_id, match, priced_model, input_usd_per_mtok, cached_input_usd_per_mtok,"
    " cache_write_usd_per_mtok, output_usd_per_mtok, discount,"
    " input_cost_usd, cached_cost_usd, output_cost_usd, cost_usd"
)

# With the ledger emptied inside a transaction, this says what each step costs at today's price book.
_NEW_LEDGER = f"""
create or replace temp table new_ledger as
select old_ledger.source, old_ledger.thread_id, old_ledger.run_id, old_ledger.step_id,
    {", ".join("usage_costs." + name.strip() for name in _PRICED_COLUMNS.split(","))},
    old_ledger.sealed_at, usage_costs.model
from old_ledger
inner join worked_costs('runs', 'run_steps') as usage_costs using (source, thread_id, run_id, step_id)
where $model::varchar is null or usage_costs.model = $model
"""

_CHANGES = """
select new_ledger.source, new_ledger.model, old_ledger.price_id as old_price_id, new_ledger.price_id as new_price_id,
    count(*) as steps,
    cast(sum(old_ledger.cost_usd) as decimal(38, 12)) as old_cost_usd,
    cast(sum(new_ledger.cost_usd) as decimal(38, 12)) as new_cost_usd
from new_ledger
inner join old_ledger using (source, thread_id, run_id, step_id)
where (
    old_ledger.price_id, old_ledger.match, old_ledger.priced_model, old_ledger.input_usd_per_mtok,
    old_ledger.cached_input_usd_per_mtok, old_ledger.cache_write_usd_per_mtok, old_ledger.output_usd_per_mtok,
    old_ledger.discount
) is distinct from (
    new_ledger.price_id, new_ledger.match, new_ledger.priced_model, new_ledger.input_usd_per_mtok,
    new_ledger.cached_input_usd_per_mtok, new_ledger.cache_write_usd_per_mtok, new_ledger.output_usd_per_mtok,
    new_ledger.discount
)
group by all
order by all
"""

_LOG = """
insert into repricings
select ? as repricing_id, row_number() over (order by source, model, old_price_id, new_price_id) - 1,
    ?, source, model, old_price_id, new_price_id, steps, old_cost_usd, new_cost_usd, ?
from repriced
"""

_KEEP_OTHERS = """
insert into cost_ledger by name select columns(*) from old_ledger
anti join new_ledger using (source, thread_id, run_id, step_id)
"""

_WRITE_NEW = "insert into cost_ledger by name select columns(* exclude (model)) from new_ledger"


# Names that a price holds for that day.
_NAMES = """
select distinct model from price_periods
where source = $source and valid_from <= $on and $on < coalesce(valid_to, 'infinity'::date)
"""


_FIRST_DAY = f"""
select min(valid_from) from price_periods where source = $source and model = $model and tier = '{STANDARD}'
"""


@dataclass(frozen=True, slots=True)
class Charged:
    """Who charges for a source: the kind of its server, and what its profile or a person says beyond that."""

    kind: str = "openai"
    provider: str | None = None
    sku: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The price of a name on a day: `price` is the row of `price_periods`, None if the name is unpriced.

    `row_days` are `valid_from` and `valid_to` of its row of the book, of which other rows may cut a part. `provider` is
    the source's: it decides whose rows may be used, as `sku` does. `steps` are all rows that hold that day, for each
    tier and size of a request. Where it has no price, `near` are priced names like it and `first_priced_on` the first
    day on which the name itself has one.
    """

    model: str
    meant_model: str
    on: date
    price: dict[str, Any] | None
    row_days: dict[str, Any] | None = None
    provider: str = "openai"
    sku: str | None = None
    steps: Sequence[dict[str, Any]] = ()
    near: Sequence[str] = ()
    first_priced_on: date | None = None

    @property
    def provider_rule(self) -> str:
        """Whose rows may price the source, in one sentence."""
        return _PROVIDER_RULES[self.provider]

    @property
    def rule(self) -> str:
        """Why it is this row, in one sentence."""
        if self.price is None and self.sku == "provisioned":
            return "a provisioned deployment is paid by the hour: its tokens have no price, its cost is unknown"
        if self.price is None:
            of_sku = f" of {self.sku} deployments" if self.sku else ""
            return (
                f"no row{of_sku} of the price list holds for this name on that day:"
                " its tokens are shown, its cost is unknown"
            )
        words = [_RULES[self.price["match"]]]
        if self.meant_model != self.model:
            words.insert(0, f"`models` of the profile says that {self.model} is {self.meant_model}")
        if self.price["origin"] == "own":
            words.append("your own row wins over the shipped list")
        if self.price["discount_id"]:
            words.append(f"your discount {self.price['discount_id']} counts")
        return "; ".join(words)


def explain_price(
    model: str,
    on: date,
    *,
    book: PriceBook,
    source: str = "default",
    charged: Charged = Charged(),
    models: dict[str, str] | None = None,
) -> Explanation:
    """Which price holds for a model of a source on a day, found by the very views that price steps."""
    with open_in_memory(views=["price_periods", "source_providers"]) as connection:
        refresh_prices(connection, book)
        connection.execute(
            "insert into runs by name select $1 as source, 'thread' as thread_id, 'run' as run_id, $2 as model,"
            " true as sealed, now() as observed_at, 'walk' as walk_id, 0 as page_index",
            [source, model],
        )
        connection.execute(
            "insert into syncs by name select 'sync' as sync_id, $1 as source, now() as started_at,"
            " $2 as kind, $3 as models, $4 as provider, $5 as sku, 'any' as pipeline_version",
            [source, charged.kind, msgspec.json.encode(models or {}).decode(), charged.provider, charged.sku],
        )
        rows = read_frame(
            connection,
            "select columns(*) from price_periods where source = $source and model = $model and valid_from <= $on"
            " and $on < coalesce(valid_to, 'infinity'::date) order by tier <> 'standard', tier, min_input_tokens",
            {"source": source, "model": model, "on": on},
        ).to_dicts()
        provider = read_frame(connection, "select coalesce(provider, 'openai') from source_providers").item()
        names = read_frame(connection, _NAMES, {"source": source, "on": on})["model"].to_list()
        first = read_frame(connection, _FIRST_DAY, {"source": source, "model": model}).item()
    price = rows[0] if rows and rows[0]["tier"] == STANDARD else None
    meant_model = (models or {}).get(model, model)
    return Explanation(
        model,
        meant_model,
        on,
        price,
        row_days=_row_days(price, book),
        provider=provider,
        sku=charged.sku,
        steps=rows,
        near=[] if price else nearest_names(meant_model, names),
        first_priced_on=None if price else first,
    )


def check_charged(provider: str | None, sku: str | None) -> None:
    """Raise ConfigurationError where nobody of that name charges, or not for such deployments."""
    if provider is not None and provider not in _PROVIDER_RULES:
        known = " nor ".join(_PROVIDER_RULES)
        raise ConfigurationError(
            f"--provider {provider!r} is neither {known}: name the provider that charges the source"
        )
    if sku is not None and sku not in SKUS:
        raise ConfigurationError(f"--sku {sku!r} is not one of {', '.join(SKUS)}")


def _row_days(price: dict[str, Any] | None, book: PriceBook) -> dict[str, Any] | None:
    if price is None:
        return None
    found = book.prices.filter(pl.col("price_id") == price["price_id"]).select("valid_from", "valid_to")
    return found.row(0, named=True)


def read_charged(connection: Connection, source: str) -> Charged | None:
    """Who charges for a source, as its newest sync says; None if no sync has told."""
    sql = "select coalesce(kind, 'openai'), provider, sku from source_providers where source = $source and is_told"
    rows = read_frame(connection, sql, {"source": source}).rows()
    return Charged(*rows[0]) if rows else None


def read_model_names(connection: Connection, source: str) -> dict[str, str]:
    """What the names of a source's deployments stand for."""
    sql = "select name, model from model_names where source = $source"
    return dict(read_frame(connection, sql, {"source": source}).rows())


def plan_repricing(connection: Connection, *, model: str | None = None) -> pl.DataFrame:
    """What repricing would change; grain: source, model, old price, new price; nothing is written."""
    connection.execute("begin")
    try:
        return _reprice(connection, model)
    finally:
        connection.execute("rollback")


def reprice(connection: Connection, *, repricing_id: str, now: datetime, model: str | None = None) -> pl.DataFrame:
    """Bring the ledger to today's price book and log it in `repricings`; what changed, as `plan_repricing` gives it."""
    connection.execute("begin")
    try:
        changes = _reprice(connection, model)
        connection.execute(_WRITE_NEW)
        connection.execute(_KEEP_OTHERS)
        store_again(connection, "new_ledger")
        connection.execute(f"create or replace temp table repriced as {_CHANGES}")
        connection.execute(_LOG, [repricing_id, now, __version__])
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
    return changes


def _reprice(connection: Connection, model: str | None) -> pl.DataFrame:
    connection.execute("create or replace temp table old_ledger as select columns(*) from cost_ledger")
    connection.execute("delete from cost_ledger")
    connection.execute(_NEW_LEDGER, {"model": model})
    return read_frame(connection, _CHANGES)


def cost_difference_usd(changes: pl.DataFrame) -> Decimal:
    """New costs minus old ones, over the steps whose cost is known."""
    columns = (changes[name].drop_nulls() for name in ("new_cost_usd", "old_cost_usd"))
    new, old = (sum(column, Decimal(0)) for column in columns)
    return new - old


def parse_day(text: str | None, *, today: date, where: str) -> date:
    """The day that a person wrote, or today."""
    if text is None:
        return today
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{where} {text!r} is not a day like 2024-10-02") from None
