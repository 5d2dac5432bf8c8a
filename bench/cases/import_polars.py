"""An archive of JSON lines into typed tables with Polars' `read_ndjson`, and from its frames into DuckDB.

Polars cannot keep free-form fields as JSON: those that differ from object to object are read as text or left out.
"""

import sys
from pathlib import Path

import duckdb
import polars as pl

from bench.cases.contract import report_counts, report_done
from bench.cases.import_duckdb import count_rows

_TOKENS = {name: pl.Int64() for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
_USAGE = pl.Struct(
    {
        **_TOKENS,
        "prompt_token_details": pl.Struct({"cached_tokens": pl.Int64()}),
        "completion_tokens_details": pl.Struct({"reasoning_tokens": pl.Int64()}),
    }
)
_TEXT = pl.String()
_OUTPUTS = pl.List(pl.Struct({"type": _TEXT, "logs": _TEXT, "image": pl.Struct({"file_id": _TEXT})}))
_RESULTS = pl.List(pl.Struct({"file_id": _TEXT, "file_name": _TEXT, "score": pl.Float64()}))
_CALL = pl.Struct(
    {
        "id": _TEXT,
        "type": _TEXT,
        "function": pl.Struct({"name": _TEXT, "arguments": _TEXT, "output": _TEXT}),
        "code_interpreter": pl.Struct({"input": _TEXT, "outputs": _OUTPUTS}),
        "file_search": pl.Struct({"results": _RESULTS}),
    }
)
_INSTANTS = ("created_at", "started_at", "completed_at", "cancelled_at", "failed_at", "expires_at")
_SCHEMA = {
    **dict.fromkeys(
        ("id", "object", "thread_id", "run_id", "assistant_id", "status", "type", "model", "instructions"), _TEXT
    ),
    **dict.fromkeys(_INSTANTS, pl.Float64()),
    "last_error": pl.Struct({"code": _TEXT, "message": _TEXT}),
    "usage": _USAGE,
    "step_details": pl.Struct(
        {"type": _TEXT, "message_creation": pl.Struct({"message_id": _TEXT}), "tool_calls": pl.List(_CALL)}
    ),
}


def main() -> None:
    """Read the archive, write the tables, count them."""
    archive, out = sys.argv[1], Path(sys.argv[2])
    objects = pl.read_ndjson(archive, schema=_SCHEMA, ignore_errors=False).with_columns(
        (pl.col(name) * 1_000_000).cast(pl.Int64).cast(pl.Datetime("us", "UTC")) for name in _INSTANTS
    )
    usage = pl.col("usage").struct
    objects = objects.with_columns(usage.field(*_TOKENS))
    steps = objects.filter(object="thread.run.step").rename({"id": "step_id"})
    calls = (
        steps.select("thread_id", "run_id", "step_id", pl.col("step_details").struct.field("tool_calls"))
        .filter(pl.col("tool_calls").list.len() > 0)
        .explode("tool_calls")
        .unnest("tool_calls")
    )
    tables = {
        "runs": objects.filter(object="thread.run").rename({"id": "own_id"}).drop("step_details", "type"),
        "run_steps": steps.drop("step_details", "model", "instructions"),
        "tool_calls": calls,
    }
    with duckdb.connect(out / "peer.duckdb") as connection:
        for name, frame in tables.items():
            connection.register("frame", frame)
            connection.execute(f"create table {name} as select * from frame")
            connection.unregister("frame")
        connection.execute("checkpoint")
        report_done()
        report_counts(**count_rows(connection))


if __name__ == "__main__":
    main()
