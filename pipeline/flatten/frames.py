"""Pages of finished walks to typed Polars frames, one for each table; pure, and nothing is lost on the way."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import polars as pl
from msgspec import Raw, UnsetType

from pipeline.flatten.extras import expired_at, run_extra, step_extra
from pipeline.flatten.items import Items, RejectRows, read_items
from pipeline.flatten.successors.walks import FlatRun, flatten_walks
from pipeline.flatten.tool_calls import CALL_COLUMNS, CallRows
from pipeline.protocol.json_text import raw_text
from pipeline.protocol.pages import LandedWalk
from pipeline.protocol.spellings import MILLISECONDS_ABOVE
from pipeline.protocol.wire import LastError, ReasoningTokens, Run, Step, StepDetails, Usage
from pipeline.raw.columns import INSTANT
from pipeline.sqlfiles.catalog import read_sql_files

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

# Columns of `runs` that assistants have nothing for.
_OF_SUCCESSORS = ("is_batch", "previous_run_id", "subagent_id")

_NOTHING: Mapping[str, list[Any]] = {}
_NO_USAGE = Usage()
_NO_ERROR = LastError()
_NO_DETAILS = StepDetails()
_NO_REASONING = ReasoningTokens()
_NULL = Raw(b"null")


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
    rejects = RejectRows({name: [] for name in table_schema("rejects")})
    classic = [walk for walk in landed if walk.certificate.protocol == "assistants"]
    runs = read_items([walk for walk in classic if walk.certificate.resource == "runs"], Run, rejects)
    steps = read_items([walk for walk in classic if walk.certificate.resource == "steps"], Step, rejects)
    calls = CallRows()
    for item_key, step in enumerate(steps.objects):
        calls.add_step(item_key, step)
    run_rows, step_rows = _run_frame(runs), _step_frame(steps)
    found = flatten_walks([walk for walk in landed if walk.certificate.protocol != "assistants"], rejects)
    followed = [(flat, flat.step_walk) for flat in found if flat.step_walk is not None]
    if found:
        for item_key, (flat, _) in enumerate(followed, len(steps.objects)):
            calls.add_rows(item_key, flat.one.calls)
        run_rows = pl.concat([run_rows, _run_frame(*_runs_of(found))])
        step_rows = pl.concat([step_rows, _step_frame(*_steps_of(followed), first_key=len(steps.objects))])
        landed += [step_walk for _, step_walk in followed]
    step_rows = _number_imported(_latest(step_rows, "step_id", "step_index"), landed)
    step_count = len(steps.objects) + len(followed)
    return {
        "runs": _latest(run_rows, "run_id", "run_index").drop("item_key"),
        "run_steps": step_rows.drop("item_key"),
        **{
            table: _child_frame(table, calls.columns(table), step_rows, step_count=step_count) for table in CALL_COLUMNS
        },
        "walks": _walk_frame(landed),
        "rejects": pl.DataFrame(rejects.columns, schema=table_schema("rejects")),
    }


def _runs_of(found: Sequence[FlatRun]) -> tuple[Items[Run], dict[str, list[Any]]]:
    """Responses and turns as runs, and the columns that only these have."""
    items = Items(
        [flat.one.run for flat in found],
        [flat.walk for flat in found],
        [flat.page for flat in found],
        [flat.position for flat in found],
    )
    facts = [flat.one.facts for flat in found]
    names = ("protocol", "service_tier", *_OF_SUCCESSORS, "cache_write_tokens")
    return items, {name: [getattr(fact, name) for fact in facts] for name in names}


def _steps_of(followed: Sequence[tuple[FlatRun, LandedWalk]]) -> tuple[Items[Step], dict[str, list[Any]]]:
    """The one step of each with the walk over it, and the columns that only these have."""
    items = Items(
        [flat.one.step for flat, _ in followed],
        [step_walk for _, step_walk in followed],
        [flat.page for flat, _ in followed],
        [0 for _ in followed],
    )
    return items, {"cache_write_tokens": [flat.one.facts.cache_write_tokens for flat, _ in followed]}


def _run_frame(items: Items[Run], own: Mapping[str, list[Any]] = _NOTHING) -> pl.DataFrame:
    runs = items.objects
    errors = [_error_of(run.last_error) for run in runs]
    details = [run.incomplete_details for run in runs]
    columns = {
        **_place_columns(items, index_column="run_index"),
        "run_id": [run.id for run in runs],
        "thread_id": [walk.certificate.thread_id for walk in items.walks],
        "assistant_id": [run.assistant_id for run in runs],
        "object": [run.object for run in runs],
        "protocol": ["assistants"] * len(runs),
        **dict.fromkeys(_OF_SUCCESSORS, [None] * len(runs)),
        "status": [run.status for run in runs],
        "model": [run.model for run in runs],
        "service_tier": [run.service_tier for run in runs],
        **_instant_columns(runs, "created_at", "started_at", "completed_at", "cancelled_at", "failed_at", "expires_at"),
        **_error_columns(errors),
        "incomplete_reason": [detail.reason if detail else None for detail in details],
        **_usage_columns(runs),
        "instructions": [run.instructions for run in runs],
        "tools": [_free_text(run.tools) for run in runs],
        "metadata": [_free_text(run.metadata) for run in runs],
        "extra": [run_extra(run, walk) for run, walk in zip(runs, items.walks, strict=True)],
        "observed_at": [page.fetched_at for page in items.pages],
        **own,
    }
    return _typed_frame("runs", columns)


def _step_frame(items: Items[Step], own: Mapping[str, list[Any]] = _NOTHING, *, first_key: int = 0) -> pl.DataFrame:
    steps = items.objects
    errors = [_error_of(step.last_error) for step in steps]
    details = [step.step_details or _NO_DETAILS for step in steps]
    columns = {
        **_place_columns(items, index_column="step_index", first_key=first_key),
        "step_id": [step.id for step in steps],
        "run_id": [walk.certificate.run_id for walk in items.walks],
        "thread_id": [walk.certificate.thread_id for walk in items.walks],
        "assistant_id": [step.assistant_id for step in steps],
        "object": [step.object for step in steps],
        "type": [step.type for step in steps],
        "details_type": [detail.type for detail in details],
        "status": [step.status for step in steps],
        **_instant_columns(steps, "created_at", "completed_at", "cancelled_at", "failed_at"),
        "expired_at": [expired_at(step) for step in steps],
        **_error_columns(errors),
        "message_id": [d.message_creation.message_id if d.message_creation else None for d in details],
        "tool_call_count": [None if d.tool_calls is None else len(d.tool_calls) for d in details],
        **_usage_columns(steps),
        "metadata": [_free_text(step.metadata) for step in steps],
        "extra": [step_extra(step, walk) for step, walk in zip(steps, items.walks, strict=True)],
        **own,
    }
    return _typed_frame("run_steps", columns)


def _place_columns(items: Items[Any], *, index_column: str, first_key: int = 0) -> dict[str, list[Any]]:
    return {
        "item_key": list(range(first_key, first_key + len(items.objects))),
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


def _usage_columns(objects: Sequence[Run] | Sequence[Step]) -> dict[str, list[Any]]:
    usages = [item.usage or _NO_USAGE for item in objects]
    reasoning = [usage.completion_tokens_details or _NO_REASONING for usage in usages]
    return {
        "prompt_tokens": [usage.prompt_tokens for usage in usages],
        "cached_tokens": [_cached_tokens(usage) for usage in usages],
        "cache_write_tokens": [None] * len(usages),
        "completion_tokens": [usage.completion_tokens for usage in usages],
        "reasoning_tokens": [details.reasoning_tokens for details in reasoning],
        "total_tokens": [usage.total_tokens for usage in usages],
    }


def _cached_tokens(usage: Usage) -> int | None:
    """In the singular spelling, as the real API writes it; in the plural one where that says nothing."""
    singular, plural = usage.prompt_token_details, usage.prompt_tokens_details
    if singular is not None and singular.cached_tokens is not None:
        return singular.cached_tokens
    return None if plural is None else plural.cached_tokens


def _error_of(error: LastError | None) -> LastError:
    """The error, or an empty one; servers that always send an error object leave its texts empty."""
    return _NO_ERROR if error is None or not (error.code or error.message) else error


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
    # Unset is -1, or 0 (both seen from Alibaba).
    known = pl.when(number > 0).then(seconds)
    return (known * 1_000_000).round().cast(pl.Int64).cast(INSTANT).alias(name)


def _latest(frame: pl.DataFrame, id_column: str, index_column: str) -> pl.DataFrame:
    """One row for each object of a walk: an item that pages repeat keeps its first position and its last state."""
    key = ["walk_id", id_column]
    if not frame.select(pl.struct(key).is_duplicated().any()).item():
        return frame
    first = pl.col(index_column).min().over(key)
    return frame.with_columns(first).unique(key, keep="last", maintain_order=True)


def _number_imported(steps: pl.DataFrame, walks: Sequence[LandedWalk]) -> pl.DataFrame:
    """Steps that archives tell of in the order of their instants, those of one second as their archive had them.

    What they are numbered by elsewhere is a place in the server's list, which no archive knows.
    """
    imported = [walk.walk_id for walk in walks if walk.certificate.verdict == "imported"]
    if not imported or steps.is_empty():
        return steps
    places = steps.select("walk_id", "created_at", "page_index", "step_id").with_row_index("row")
    in_order = places.sort("walk_id", "created_at", "page_index", "step_id", nulls_last=True)
    numbered = in_order.select("row", pl.int_range(pl.len()).over("walk_id").alias("number")).sort("row")["number"]
    is_imported = pl.col("walk_id").is_in(imported)
    return steps.with_columns(step_index=pl.when(is_imported).then(numbered).otherwise("step_index"))


def _child_frame(table: str, columns: dict[str, Any], steps: pl.DataFrame, *, step_count: int) -> pl.DataFrame:
    """Rows below steps, with their step's keys and walk; rows of superseded states of a step are left out."""
    schema = table_schema(table)
    own = {name: schema[name] for name in columns if name != "item_key"}
    frame = pl.DataFrame(columns, schema={"item_key": pl.Int64(), **own})
    keys = steps.select("item_key", "walk_id", *(name for name in schema if name in steps.columns and name not in own))
    if steps.height < step_count:
        frame = frame.join(keys, on="item_key", how="inner", maintain_order="left")
    else:
        # Every step is there, so its number is its row; a join would copy all the texts.
        frame = frame.hstack(keys.drop("item_key")[frame["item_key"]])
    return frame.select(*schema.names(), "walk_id")


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
