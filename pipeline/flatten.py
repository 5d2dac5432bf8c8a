"""Pages of finished walks to typed Polars frames, one for each table; pure, and nothing is lost on the way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec
import polars as pl
from msgspec import UNSET, Raw, UnsetType

from pipeline.calls import CALL_COLUMNS, CallRows
from pipeline.catalog import read_sql_files
from pipeline.json_text import join_fields, raw_text, repair_unicode
from pipeline.pages import INSTANT, Certificate, Page
from pipeline.salvage import Reject, salvage
from pipeline.wire import (
    RUN_EXTRA_FIELDS,
    CachedTokens,
    LastError,
    RawPage,
    ReasoningTokens,
    Run,
    RunsPage,
    Step,
    StepDetails,
    StepsPage,
    Usage,
    Wire,
)

# Above this a number of seconds would be the year 5138: it is milliseconds (seen from DashScope).
MILLISECONDS_ABOVE = 1e11
UNSET_INSTANT = -1
# item_index of a reject that speaks of the whole page
WHOLE_PAGE = -1

FLAT_TABLES = (
    "runs",
    "run_steps",
    "tool_calls",
    "code_interpreter_outputs",
    "file_search_results",
    "walks",
    "rejects",
)

_DTYPES: dict[str, pl.DataType] = {
    "varchar": pl.String(),
    "json": pl.String(),
    "bigint": pl.Int64(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
    "timestamptz": INSTANT,
    "date": pl.Date(),
}
# Columns that only the load can fill in.
_NOT_FLAT = {"runs": {"sealed"}}

_NO_USAGE = Usage()
_NO_ERROR = LastError()
_NO_DETAILS = StepDetails()
_NO_CACHED = CachedTokens()
_NO_REASONING = ReasoningTokens()
_NULL = Raw(b"null")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_DECODERS: dict[type, Any] = {Step: msgspec.json.Decoder(StepsPage), Run: msgspec.json.Decoder(RunsPage)}
_RAW_DECODER = msgspec.json.Decoder(RawPage)

W = TypeVar("W", Run, Step)


@dataclass(frozen=True, slots=True)
class LandedWalk:
    """A finished walk as read back from its part."""

    source: str
    sync_id: str
    walk_id: str
    part: str
    certificate: Certificate
    pages: list[Page]


@dataclass(slots=True)
class _Items(Generic[W]):
    """Objects of many walks in parallel lists: what they are and where they stood."""

    objects: list[W] = field(default_factory=list)
    walks: list[LandedWalk] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    positions: list[int | None] = field(default_factory=list)


@dataclass(slots=True)
class _RejectRows:
    columns: dict[str, list[Any]]

    def add(
        self, walk: LandedWalk, page: Page, item_index: int, object_id: str | None, found: Sequence[Reject]
    ) -> None:
        """Rows for what one item lost."""
        for reject_index, reject in enumerate(found):
            row = (
                walk.walk_id,
                page.page_index,
                item_index,
                reject_index,
                walk.source,
                walk.certificate.resource,
                walk.certificate.thread_id,
                walk.certificate.run_id,
                object_id,
                reject.reason,
                reject.json_path,
                reject.found,
            )
            for column, value in zip(self.columns.values(), row, strict=True):
                column.append(value)


@cache
def table_schema(table: str) -> pl.Schema:
    """Declared dtypes of a flat table, read from its DDL; JSON columns are text."""
    skipped = _NOT_FLAT.get(table, set())
    columns = read_sql_files("tables")[table].columns
    return pl.Schema({name: _DTYPES[sql] for name, sql in columns.items() if name not in skipped})


def flatten(walks: Iterable[LandedWalk]) -> dict[str, pl.DataFrame]:
    """One frame for each of `FLAT_TABLES`, at the table's grain within each walk.

    A run that several walks saw has several rows in `runs`; which one holds is for the load to decide.
    """
    landed = list(walks)
    rejects = _RejectRows({name: [] for name in table_schema("rejects")})
    runs = _read_items([walk for walk in landed if walk.certificate.resource == "runs"], Run, rejects)
    steps = _read_items([walk for walk in landed if walk.certificate.resource == "steps"], Step, rejects)
    calls = CallRows()
    for item_key, step in enumerate(steps.objects):
        calls.add_step(item_key, step)
    step_rows = _latest(_step_frame(steps), "step_id", "step_index")
    return {
        "runs": _latest(_run_frame(runs), "run_id", "run_index").drop("item_key"),
        "run_steps": step_rows.drop("item_key"),
        **{table: _child_frame(table, calls.columns(table), step_rows) for table in CALL_COLUMNS},
        "walks": _walk_frame(landed),
        "rejects": pl.DataFrame(rejects.columns, schema=table_schema("rejects")),
    }


def _read_items(walks: Sequence[LandedWalk], kind: type[W], rejects: _RejectRows) -> _Items[W]:
    items: _Items[W] = _Items()
    for walk in walks:
        # Where an archive has a run says nothing of its place in the thread.
        is_placed = kind is Step or walk.certificate.verdict != "imported"
        position = walk.certificate.first_index
        for page in walk.pages:
            for item in _read_page(walk, page, kind, rejects):
                if item is not None:
                    items.objects.append(item)
                    items.walks.append(walk)
                    items.pages.append(page)
                    items.positions.append(position if is_placed else None)
                position += 1
    return items


def _read_page(walk: LandedWalk, page: Page, kind: type[W], rejects: _RejectRows) -> Sequence[W | None]:
    """The page's items in order, None where nothing of one could be read."""
    try:
        _check_utf8(page.body)
        decoded: Sequence[W] = _DECODERS[kind].decode(page.body).data
        return decoded
    except _UNREADABLE:
        raws = _split_page(walk, page, rejects)
    items: list[W | None] = []
    for item_index, raw in enumerate(raws):
        item, found = salvage(bytes(raw), kind, path=f"$.data[{item_index}]")
        rejects.add(walk, page, item_index, None if item is None else item.id, found)
        items.append(item)
    return items


def _split_page(walk: LandedWalk, page: Page, rejects: _RejectRows) -> list[Raw]:
    try:
        _check_utf8(page.body)
        return _RAW_DECODER.decode(page.body).data
    except _UNREADABLE as error:
        reason = str(error)
    try:
        raws = _RAW_DECODER.decode(repair_unicode(page.body)).data
        found = Reject("$", "text that is not Unicode: replaced by U+FFFD, see the raw page", "")
    except _UNREADABLE:
        raws = []
        found = Reject("$", reason, page.body.decode("utf-8", errors="replace"))
    rejects.add(walk, page, WHOLE_PAGE, None, [found])
    return raws


def _check_utf8(body: bytes) -> None:
    """Raises UnicodeDecodeError. msgspec looks into no text that it takes as Raw or skips."""
    body.decode()


def _run_frame(items: _Items[Run]) -> pl.DataFrame:
    runs = items.objects
    errors = [_error_of(run.last_error) for run in runs]
    details = [run.incomplete_details for run in runs]
    columns = {
        **_place_columns(items, index_column="run_index"),
        "run_id": [run.id for run in runs],
        "thread_id": [walk.certificate.thread_id for walk in items.walks],
        "assistant_id": [run.assistant_id for run in runs],
        "object": [run.object for run in runs],
        "status": [run.status for run in runs],
        "model": [run.model for run in runs],
        **_instant_columns(runs, "created_at", "started_at", "completed_at", "cancelled_at", "failed_at", "expires_at"),
        **_error_columns(errors),
        "incomplete_reason": [detail.reason if detail else None for detail in details],
        **_usage_columns(runs),
        "instructions": [run.instructions for run in runs],
        "tools": [_free_text(run.tools) for run in runs],
        "metadata": [_free_text(run.metadata) for run in runs],
        "extra": [_run_extra(run, walk) for run, walk in zip(runs, items.walks, strict=True)],
        "observed_at": [page.fetched_at for page in items.pages],
    }
    return _typed_frame("runs", columns)


def _step_frame(items: _Items[Step]) -> pl.DataFrame:
    steps = items.objects
    errors = [_error_of(step.last_error) for step in steps]
    details = [step.step_details or _NO_DETAILS for step in steps]
    columns = {
        **_place_columns(items, index_column="step_index"),
        "step_id": [step.id for step in steps],
        "run_id": [walk.certificate.run_id for walk in items.walks],
        "thread_id": [walk.certificate.thread_id for walk in items.walks],
        "assistant_id": [step.assistant_id for step in steps],
        "object": [step.object for step in steps],
        "type": [step.type for step in steps],
        "details_type": [detail.type for detail in details],
        "status": [step.status for step in steps],
        **_instant_columns(steps, "created_at", "completed_at", "cancelled_at", "failed_at"),
        "expired_at": [_expired_at(step) for step in steps],
        **_error_columns(errors),
        "message_id": [d.message_creation.message_id if d.message_creation else None for d in details],
        "tool_call_count": [None if d.tool_calls is None else len(d.tool_calls) for d in details],
        **_usage_columns(steps),
        "metadata": [_free_text(step.metadata) for step in steps],
        "extra": [_step_extra(step, walk) for step, walk in zip(steps, items.walks, strict=True)],
    }
    return _typed_frame("run_steps", columns)


def _place_columns(items: _Items[Any], *, index_column: str) -> dict[str, list[Any]]:
    return {
        "item_key": list(range(len(items.objects))),
        "source": [walk.source for walk in items.walks],
        index_column: items.positions,
        "walk_id": [walk.walk_id for walk in items.walks],
        "page_index": [page.page_index for page in items.pages],
    }


def _instant_columns(objects: Sequence[Any], *names: str) -> dict[str, list[float | None]]:
    return {name: [getattr(item, name) for item in objects] for name in names}


def _error_columns(errors: list[LastError]) -> dict[str, list[str | None]]:
    return {
        "last_error_code": [error.code for error in errors],
        "last_error_message": [error.message for error in errors],
    }


def _usage_columns(objects: Sequence[Run] | Sequence[Step]) -> dict[str, list[int | None]]:
    usages = [item.usage or _NO_USAGE for item in objects]
    cached = [usage.prompt_token_details or usage.prompt_tokens_details or _NO_CACHED for usage in usages]
    reasoning = [usage.completion_tokens_details or _NO_REASONING for usage in usages]
    return {
        "prompt_tokens": [usage.prompt_tokens for usage in usages],
        "cached_tokens": [details.cached_tokens for details in cached],
        "completion_tokens": [usage.completion_tokens for usage in usages],
        "reasoning_tokens": [details.reasoning_tokens for details in reasoning],
        "total_tokens": [usage.total_tokens for usage in usages],
    }


def _error_of(error: LastError | None) -> LastError:
    """The error, or an empty one; servers that always send an error object leave its texts empty."""
    return _NO_ERROR if error is None or not (error.code or error.message) else error


def _expired_at(step: Step) -> float | None:
    """When the step expired. Servers send `expires_at` in its place, which before that is only a deadline."""
    if step.expired_at is None and step.status == "expired":
        return step.expires_at
    return step.expired_at


def _run_extra(run: Run, walk: LandedWalk) -> str | None:
    extra: dict[str, Raw | str] = {}
    for name in RUN_EXTRA_FIELDS:
        if (raw := getattr(run, name)) is not UNSET:
            extra[name] = raw
    if run.thread_id not in (None, walk.certificate.thread_id):
        extra["thread_id"] = msgspec.json.encode(run.thread_id).decode()
    _add_unknown(extra, run, run.usage, run.last_error)
    if run.incomplete_details is not None and run.incomplete_details.unknown:
        extra["incomplete_details"] = join_fields(run.incomplete_details.unknown) or "{}"
    return join_fields(extra)


def _step_extra(step: Step, walk: LandedWalk) -> str | None:
    extra: dict[str, Raw | str] = {}
    if step.expires_at is not None and _expired_at(step) != step.expires_at:
        extra["expires_at"] = msgspec.json.encode(_whole(step.expires_at)).decode()
    if step.thread_id not in (None, walk.certificate.thread_id):
        extra["thread_id"] = msgspec.json.encode(step.thread_id).decode()
    if step.run_id not in (None, walk.certificate.run_id):
        extra["run_id"] = msgspec.json.encode(step.run_id).decode()
    _add_unknown(extra, step, step.usage, step.last_error)
    if step.step_details is not None and (kept := _details_extra(step.step_details)):
        extra["step_details"] = kept
    return join_fields(extra)


def _details_extra(details: StepDetails) -> str | None:
    kept: dict[str, Raw | str] = dict(details.unknown or {})
    if details.activities is not UNSET:
        kept["activities"] = details.activities
    if details.message_creation is not None and details.message_creation.unknown:
        kept["message_creation"] = join_fields(details.message_creation.unknown) or "{}"
    return join_fields(kept)


def _add_unknown(extra: dict[str, Raw | str], item: Run | Step, usage: Usage | None, error: LastError | None) -> None:
    """What the structs of a run or a step have no field for, in the shape it had."""
    if item.unknown:
        extra.update(item.unknown)
    if usage is not None and (kept := _usage_extra(usage)):
        extra["usage"] = kept
    if error is not None and error.unknown:
        extra["last_error"] = join_fields(error.unknown) or "{}"
    if item.created_at is not None and item.created_at > MILLISECONDS_ABOVE:
        extra["timestamp_unit"] = '"ms"'


def _usage_extra(usage: Usage) -> str | None:
    kept: dict[str, Raw | str] = dict(usage.unknown or {})
    for name in ("prompt_token_details", "prompt_tokens_details", "completion_tokens_details"):
        details: Wire | None = getattr(usage, name)
        unknown: dict[str, Raw | str] = dict(details.unknown or {}) if details is not None else {}
        if name == "prompt_tokens_details" and usage.prompt_token_details and usage.prompt_tokens_details:
            # Both spellings were sent and the column has the other one's number.
            unknown["cached_tokens"] = msgspec.json.encode(usage.prompt_tokens_details.cached_tokens).decode()
        if unknown:
            kept[name] = join_fields(unknown) or "{}"
    return join_fields(kept)


def _whole(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def _free_text(value: Raw | UnsetType) -> str | None:
    return None if isinstance(value, UnsetType) or value == _NULL else raw_text(value)


def _typed_frame(table: str, columns: dict[str, list[Any]]) -> pl.DataFrame:
    schema = table_schema(table)
    instants = [name for name, dtype in schema.items() if dtype == INSTANT and name != "observed_at"]
    wire_schema = {name: pl.Float64() if name in instants else dtype for name, dtype in schema.items()}
    frame = pl.DataFrame(columns, schema={"item_key": pl.Int64(), **wire_schema})
    return frame.with_columns(_instant(name) for name in instants)


def _instant(name: str) -> pl.Expr:
    number = pl.col(name)
    seconds = pl.when(number > MILLISECONDS_ABOVE).then(number / 1000).otherwise(number)
    known = pl.when(number != UNSET_INSTANT).then(seconds)
    return (known * 1_000_000).round().cast(pl.Int64).cast(INSTANT).alias(name)


def _latest(frame: pl.DataFrame, id_column: str, index_column: str) -> pl.DataFrame:
    """One row for each object of a walk: an item that pages repeat keeps its first position and its last state."""
    key = ["walk_id", id_column]
    if not frame.select(pl.struct(key).is_duplicated().any()).item():
        return frame
    first = pl.col(index_column).min().over(key)
    return frame.with_columns(first).unique(key, keep="last", maintain_order=True)


def _child_frame(table: str, columns: dict[str, Any], steps: pl.DataFrame) -> pl.DataFrame:
    """Rows below steps, with their step's keys and walk; rows of superseded states of a step are left out."""
    schema = table_schema(table)
    own = {name: schema[name] for name in columns if name != "item_key"}
    frame = pl.DataFrame(columns, schema={"item_key": pl.Int64(), **own})
    keys = steps.select("item_key", "walk_id", *(name for name in schema if name in steps.columns and name not in own))
    return frame.join(keys, on="item_key", how="inner", maintain_order="left").select(*schema.names(), "walk_id")


def _walk_frame(walks: Sequence[LandedWalk]) -> pl.DataFrame:
    certificates = [walk.certificate for walk in walks]
    columns: dict[str, list[Any]] = {
        "walk_id": [walk.walk_id for walk in walks],
        "sync_id": [walk.sync_id for walk in walks],
        "source": [walk.source for walk in walks],
        "part": [walk.part for walk in walks],
    }
    for name in table_schema("walks"):
        if name not in columns:
            columns[name] = [getattr(certificate, name) for certificate in certificates]
    return pl.DataFrame(columns, schema=table_schema("walks"))
