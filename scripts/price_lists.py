"""Prices of OpenAI's and Azure's text models as lists of others have them, each read from its installed package."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Charged for otherwise than by text tokens, nothing that an assistant or a response runs on, or served by others.
_OTHER_FIELDS = re.compile(
    r"aud|realtime|rt-|image|img|transcribe|tcrb|trscb|tts|whisper|embed|moderation|live|translate|dall|sora|container"
    r"|davinci|babbage|curie|^ada|text-ada|^latest-|instruct|oss-|:extended|^phi|wizard|mai-ds|mistral|grader|grdr|-rt-|dev-ft|dev-rft"
)
_LONG = 272_001
_MTOK = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Quote:
    """What a list says that requests of a tier, of `least` input tokens and more, cost on a day.

    Dollars per million tokens. `label` names the day; `fields` are those that the list would
    have if there were any.
    """

    provider: str
    model: str
    sku: str
    tier: str
    least: int
    on: date
    label: str
    rates: dict[str, Decimal]
    fields: tuple[str, ...] = ("input", "cached input", "cache write", "output")


def _today() -> date:
    return datetime.now(UTC).date()


def read_genai_prices() -> list[Quote]:
    """Standard rates of OpenAI's names, today and on the eve of each change."""
    from genai_prices.data import providers

    quotes = list[Quote]()
    for model in next(known for known in providers if known.id == "openai").models:
        for name in _equal_names(model.match):
            if not _OTHER_FIELDS.search(name):
                quotes += _genai_quotes(model, name)
    return quotes


def _equal_names(clause: Any) -> list[str]:
    if hasattr(clause, "or_"):
        return [name for one in clause.or_ for name in _equal_names(one)]
    return [clause.equals] if hasattr(clause, "equals") else []


def _genai_quotes(model: Any, name: str) -> Iterator[Quote]:
    constraints = [getattr(part, "constraint", None) for part in model.prices] if isinstance(model.prices, list) else []
    starts = [part.start_date for part in constraints if part is not None]
    for on in [*(start - timedelta(days=1) for start in starts), None]:
        price = model.get_prices(datetime.combine(on or _today(), time(12), tzinfo=UTC))
        columns = {
            "input": price.input_mtok,
            "cached input": price.cache_read_mtok,
            "cache write": price.cache_write_mtok,
            "output": price.output_mtok,
        }
        known = {field: value for field, value in columns.items() if value is not None}
        base = {field: Decimal(getattr(value, "base", value)) for field, value in known.items()}
        long = {field: value.tiers[0].price for field, value in known.items() if getattr(value, "tiers", None)}
        place = ("openai", name, "", "standard")
        label = str(on or "now")
        yield Quote(*place, 0, on or _today(), label, base)
        if long:
            yield Quote(*place, _LONG, on or _today(), label, {field: Decimal(value) for field, value in long.items()})


_LITELLM_FIELDS = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cached input",
    "cache_creation_input_token_cost": "cache write",
    "output_cost_per_token": "output",
}
_LITELLM_TIERS = {
    "": "standard",
    "_batches": "batch",
    "_flex": "flex",
    "_priority": "priority",
    "_ultrafast": "ultrafast",
}
_LITELLM_SKUS = {"azure": "", "azure/global": "", "azure/global-standard": "", "azure/us": "datazone"}


def read_litellm() -> list[Quote]:
    """All tiers of OpenAI's and Azure's names as they are now; the package is looked into, never run."""
    spec = find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("litellm is not installed")
    path = Path(spec.submodule_search_locations[0]) / "model_prices_and_context_window_backup.json"
    quotes = list[Quote]()
    for key, entry in json.loads(path.read_text("utf-8"), parse_float=Decimal).items():
        provider, mode = entry.get("litellm_provider"), entry.get("mode")
        if provider in ("openai", "azure") and mode in ("chat", "responses") and not _OTHER_FIELDS.search(key):
            quotes += _litellm_quotes(provider, key, entry)
    return quotes


def _litellm_quotes(provider: str, key: str, entry: dict[str, Any]) -> Iterator[Quote]:
    place, _, name = key.rpartition("/")
    sku = _LITELLM_SKUS.get(place, "" if provider == "openai" else None)
    if sku is None:
        return
    rates = defaultdict[tuple[str, int], dict[str, Decimal]](dict)
    for column, value in entry.items():
        for prefix, field in _LITELLM_FIELDS.items():
            if column.startswith(prefix) and isinstance(value, Decimal | int):
                least = _LONG if "_above_272k_tokens" in column else 0
                rest = column.removeprefix(prefix).replace("_above_272k_tokens", "")
                if rest in _LITELLM_TIERS:
                    rates[_LITELLM_TIERS[rest], least][field] = value * _MTOK
    model = f"{name}:any" if name.startswith("ft:") else name
    for (tier, least), found in rates.items():
        yield Quote(provider, model, sku, tier, least, _today(), "now", found)


# Azure's meters spell models in their own way. One name of ours for each.
_METERS = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-0513": "gpt-4o-2024-05-13",
    "gpt-4o-1120": "gpt-4o-2024-11-20",
    "gpt-4o-mini-0718": "gpt-4o-mini",
    "gpt-4.5-0227": "gpt-4.5-preview",
    "gpt-4-8k": "gpt-4-0613",
    "gpt-4-turbo-128k": "gpt-4-turbo",
    "gpt-4-turbo128k": "gpt-4-turbo",
    "gpt-4-turbo-vision-128k": "gpt-4-vision-preview",
    "gpt-35-turbo-4k": "gpt-35-turbo-0613",
    "gpt-35-turbo4k": "gpt-35-turbo-0613",
    "gpt-35-turbo-16k-1106": "gpt-35-turbo-1106",
    "gpt-35-turbo-16k-0125": "gpt-35-turbo-0125",
    "gpt-35-turbo16k": "gpt-35-turbo-16k",
    "gpt-35-turbo16k-1106": "gpt-35-turbo-1106",
    "gpt-35-turbo16k-0125": "gpt-35-turbo-0125",
    "gpt-35-turbo16k-ft": "gpt-35-turbo-0125.ft-any",
    "gpt-35-turbo4k-ft": "gpt-35-turbo-0613.ft-any",
    "gpt-35-trb16k": "gpt-35-turbo-1106",
    "gpt-35-trb16k-125": "gpt-35-turbo-0125",
    "gpt-4-8k-ft": "gpt-4-0613.ft-any",
    "gpt-4o-0806-ft": "gpt-4o-2024-08-06.ft-any",
    "gpt-4o-mini-0718-ft": "gpt-4o-mini-2024-07-18.ft-any",
    "gpt-4.1-ft": "gpt-4.1-2025-04-14.ft-any",
    "gpt-4.1-mini-ft": "gpt-4.1-mini-2025-04-14.ft-any",
    "gpt-4.1-nano-ft": "gpt-4.1-nano-2025-04-14.ft-any",
    "o4-mini-ft": "o4-mini-2025-04-16.ft-any",
    "o3-mini-ft": "o3-mini-2025-01-31.ft-any",
    "o1-1217": "o1",
    "o3-0416": "o3",
    "o3-mini-0131": "o3-mini",
    "o4-mini-0416": "o4-mini",
    "o3-deep-research-0626": "o3-deep-research",
    "computer-use": "computer-use-preview",
    "chat-latest-05052026": "chat-latest",
    "chat-latest-05282026": "chat-latest",
    "gpt-5.2-chat-0210": "gpt-5.2-chat",
    "deepseek-r1": "DeepSeek-R1",
    "deepseek-v3": "DeepSeek-V3",
    "deepseek-v3-0324": "DeepSeek-V3-0324",
    "deepseek-v3.1": "DeepSeek-V3.1",
    "deepseek-v3.2": "DeepSeek-V3.2",
    "deepseek-v3.2-sp": "DeepSeek-V3.2-Speciale",
    "deepseek-v4-flash": "DeepSeek-V4-Flash",
    "deepseek-v4-pro": "DeepSeek-V4-Pro",
}
_METER_FIELDS = {"input": "input", "cache_read": "cached input", "cache_write": "cache write", "output": "output"}
_METER_SKUS = {"global": "", "data_zone": "datazone", "regional": "regional"}
_METER_PRODUCTS = ("Azure OpenAI", "Azure Deepseek Models")
_US = ("eastus2", "eastus", "northcentralus", "southcentralus", "westus3", "westus", "centralus")


def read_azure_meters() -> list[Quote]:
    """Azure's own meters on the day they were fetched; of data zones and regions those of the United States."""
    from azure_genai_prices.meters import parse_catalog

    raw = json.loads(files("azure_genai_prices").joinpath("data/snapshot.json").read_text("utf-8"))
    on = date.fromisoformat(raw["fetched_at"][:10])
    meters, _ = parse_catalog(raw["items"], products=_METER_PRODUCTS, as_of=on.isoformat())
    rates = defaultdict[tuple[str, str, str, int], dict[str, Decimal]](dict)
    for meter in meters.values():
        key, sku = meter.key, _METER_SKUS[meter.key.deployment.value]
        prices = [price for region, price in meter.region_prices.items() if not sku or region in _US]
        if prices and key.kind.value in _METER_FIELDS and not _OTHER_FIELDS.search(f"{key.model} {meter.meter_name}"):
            least = _LONG if key.context.value == "long" else 0
            place = (_METERS.get(key.model, key.model), sku, key.mode.value, least)
            usual = min(prices) if sku else Counter(prices).most_common(1)[0][0]
            rates[place][_METER_FIELDS[key.kind.value]] = usual * _MTOK
    return [
        Quote("azure", model, sku, tier, least, on, on.isoformat(), found, tuple(found))
        for (model, sku, tier, least), found in rates.items()
        if {"input", "output"} <= found.keys()
    ]
