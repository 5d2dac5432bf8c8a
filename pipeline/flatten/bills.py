"""Bills: usage and cost answers of a provider and exports of its console to rows of `billed_usage`; pure."""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from pipeline.errors import PipelineError
from pipeline.protocol.pages import BilledPage
from pipeline.raw.columns import INSTANT

BILLED_SCHEMA: dict[str, pl.DataType] = {
    "source": pl.String(),
    "report": pl.String(),
    "object": pl.String(),
    "billed_on": pl.Date(),
    "grouped_by": pl.String(),
    "group_key": pl.String(),
    "project_id": pl.String(),
    "model": pl.String(),
    "line_item": pl.String(),
    "is_batch": pl.Boolean(),
    "service_tier": pl.String(),
    "input_tokens": pl.Int64(),
    "cached_tokens": pl.Int64(),
    "output_tokens": pl.Int64(),
    "requests": pl.Int64(),
    "sessions": pl.Int64(),
    "amount": pl.Decimal(38, 12),
    "currency": pl.String(),
    "imported_at": INSTANT,
    "part": pl.String(),
}
_PLACE = Decimal("0.000000000001")
# "gpt-4o-2024-08-06, cached input": what the cost answer calls a model's tokens.
_MODEL_ITEM = re.compile(r"^(?P<model>\S+)(?P<batch> batch)?, (?:cached )?(?:input|output)$", re.IGNORECASE)
_COSTS, _USAGE = "costs", "usage"
# What the provider groups a report by; a report that is not grouped by one has null there.
_DIMENSIONS = ("project_id", "model", "line_item", "batch", "service_tier", "api_key_id", "user_id")
# "organization.usage.completions.result": which of the reports a result is of.
_OBJECT = re.compile(r"^organization\.(?:usage\.)?(?P<object>\w+)\.result$")


class Amount(Struct):
    """Money of a cost result."""

    value: Decimal | None = None
    currency: str | None = None


class Result(Struct):
    """One result of a bucket; usage results have tokens, cost results an amount."""

    input_tokens: int | None = None
    input_cached_tokens: int | None = None
    output_tokens: int | None = None
    num_model_requests: int | None = None
    num_sessions: int | None = None
    object: str | None = None
    amount: Amount | None = None
    line_item: str | None = None
    project_id: str | None = None
    model: str | None = None
    batch: bool | None = None
    service_tier: str | None = None
    api_key_id: str | None = None
    user_id: str | None = None


class Bucket(Struct):
    """A day of the answer; instants are in seconds."""

    start_time: int
    results: list[Result] = []


class UsageAnswer(Struct):
    """A page of a usage or cost answer."""

    data: list[Bucket]
    has_more: bool = False
    next_page: str | None = None


def billed_frame(pages: Iterable[BilledPage]) -> pl.DataFrame:
    """Rows of `billed_usage` without their index, in the order of the pages. Raises PipelineError naming the file."""
    rows = [
        {**row, "source": page.source, "imported_at": page.imported_at, "part": page.part}
        for page in pages
        for row in _rows_of(page)
    ]
    columns = {name: [row.get(name) for row in rows] for name in BILLED_SCHEMA}
    return pl.DataFrame(columns, schema=BILLED_SCHEMA)


def unfinished_reports(pages: Iterable[BilledPage]) -> list[str]:
    """Reports (`usage`, `costs`) of which some page says that there are more and no page is the last one."""
    ends: dict[str, set[bool]] = {}
    for page in pages:
        for answer in decode_answers(page.body) if page.format == "json" else ():
            for report in {_report_of(result) for bucket in answer.data for result in bucket.results}:
                ends.setdefault(report, set()).add(answer.has_more)
    return sorted(report for report, more in ends.items() if more == {True})


def decode_answers(body: bytes) -> list[UsageAnswer]:
    """The answers in a JSON text: one, an array of them, or one a line. Raises ValueError if that is not what it is."""
    for decode in (_decode_one, _decode_array, _decode_lines):
        try:
            return decode(body)
        except msgspec.DecodeError as error:
            reason = str(error)
    raise ValueError(f"it is no usage or cost answer ({reason})")


def _decode_one(body: bytes) -> list[UsageAnswer]:
    return [msgspec.json.decode(body, type=UsageAnswer)]


def _decode_array(body: bytes) -> list[UsageAnswer]:
    return msgspec.json.decode(body, type=list[UsageAnswer])


def _decode_lines(body: bytes) -> list[UsageAnswer]:
    return [msgspec.json.decode(line, type=UsageAnswer) for line in body.splitlines() if line.strip()]


def _rows_of(page: BilledPage) -> list[dict[str, Any]]:
    where = page.origin or "the provider's answer"
    try:
        return _csv_rows(page.body) if page.format == "csv" else _json_rows(page.body)
    except (ValueError, InvalidOperation) as error:
        raise PipelineError(f"{where} cannot be read as a bill: {error}") from error


def _json_rows(body: bytes) -> list[dict[str, Any]]:
    return [
        row
        for answer in decode_answers(body)
        for row in _rows_of_report(
            [
                (datetime.fromtimestamp(bucket.start_time, UTC).date(), result)
                for bucket in answer.data
                for result in bucket.results
            ]
        )
    ]


def _rows_of_report(results: Sequence[tuple[date, Result]]) -> list[dict[str, Any]]:
    """Rows of results that were asked for together: what any of them is grouped by, all of its object are."""
    grouped: dict[str, set[str]] = {}
    for _, result in results:
        told = {name for name in _DIMENSIONS if getattr(result, name) is not None}
        grouped.setdefault(_object_of(result), set()).update(told)
    return [_row(day, result, sorted(grouped[_object_of(result)])) for day, result in results]


def _row(billed_on: date, result: Result, grouped_by: Sequence[str]) -> dict[str, Any]:
    amount = result.amount or Amount()
    item = _MODEL_ITEM.match(result.line_item or "")
    return {
        "report": _report_of(result),
        "object": _object_of(result),
        "billed_on": billed_on,
        "grouped_by": ",".join(grouped_by),
        "group_key": json.dumps([getattr(result, name) for name in grouped_by]),
        "project_id": result.project_id,
        "model": result.model or (item and item["model"]),
        "line_item": result.line_item,
        "is_batch": True if item and item["batch"] else result.batch,
        "service_tier": result.service_tier,
        "input_tokens": result.input_tokens,
        "cached_tokens": result.input_cached_tokens,
        "output_tokens": result.output_tokens,
        "requests": result.num_model_requests,
        "sessions": result.num_sessions,
        "amount": None if amount.value is None else amount.value.quantize(_PLACE, ROUND_HALF_EVEN),
        "currency": amount.currency and amount.currency.lower(),
    }


def _report_of(result: Result) -> str:
    return _COSTS if result.amount is not None else _USAGE


def _object_of(result: Result) -> str:
    """Which report a result is of; exports and old files do not say it."""
    if named := _OBJECT.match(result.object or ""):
        return named["object"]
    if result.amount is not None:
        return _COSTS
    return "completions" if result.num_sessions is None else "code_interpreter_sessions"


def _csv_rows(body: bytes) -> list[dict[str, Any]]:
    reader = csv.DictReader(body.decode("utf-8-sig").splitlines())
    names = {name.strip().lower() for name in reader.fieldnames or ()}
    if not names & {"amount_value", "input_tokens"} or not names & {"start_time", "start_time_iso", "date"}:
        raise ValueError(
            "its columns are neither those of a cost export (start_time, amount_value, amount_currency, line_item)"
            f" nor of a usage export (start_time, model, input_tokens, output_tokens), but {', '.join(sorted(names))}"
        )
    results = []
    for fields in reader:
        row = {
            name.strip().lower(): value.strip() for name, value in fields.items() if name and value and value.strip()
        }
        if row:
            results.append((_csv_day(row), _csv_result(row)))
    return _rows_of_report(results)


def _csv_result(row: Mapping[str, str]) -> Result:
    counts = {
        name: int(row[name])
        for name in ("input_tokens", "input_cached_tokens", "output_tokens", "num_model_requests")
        if name in row
    }
    amount = Amount(Decimal(row["amount_value"]), row.get("amount_currency")) if "amount_value" in row else None
    texts = {name: row.get(name) for name in _DIMENSIONS if name != "batch"}
    batch = row["batch"].lower() == "true" if "batch" in row else None
    return Result(amount=amount, batch=batch, **counts, **texts)  # type: ignore[arg-type]


def _csv_day(row: Mapping[str, str]) -> date:
    if "start_time" in row:
        return datetime.fromtimestamp(int(row["start_time"]), UTC).date()
    text = row.get("start_time_iso") or row.get("date")
    if text is None:
        raise ValueError("a row has no day")
    instant = datetime.fromisoformat(text)
    return (instant.astimezone(UTC) if instant.tzinfo else instant).date()
