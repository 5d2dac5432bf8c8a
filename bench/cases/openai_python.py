"""openai-python as its README advises for many requests: the async client over aiohttp, auto-paging, gathered."""

# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore,misc,deprecated"
import asyncio
import json
import warnings
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from openai import AsyncOpenAI, DefaultAioHttpClient

from bench.cases.contract import DEFAULT_CONNECTIONS, Job, read_job, report_counts, report_done

Rows = list[dict[str, Any]]


def main() -> None:
    run_case(http_client=DefaultAioHttpClient())


def run_case(http_client: Any = None) -> None:
    """Walk everything, make frames, save them in DuckDB, count."""
    warnings.simplefilter("ignore", DeprecationWarning)  # the SDK marks the whole Assistants API
    job = read_job()
    frames = asyncio.run(fetch_frames(job, http_client))
    warehouse = job.out / "warehouse.duckdb"
    save_frames(warehouse, frames)
    report_done()
    report_counts(threads=len(job.thread_ids), **count_rows(warehouse))


async def fetch_frames(job: Job, http_client: Any) -> dict[str, pl.DataFrame]:
    """All runs, steps and tool calls, as many threads at a time as there are connections."""
    runs: Rows = []
    steps: Rows = []
    tool_calls: Rows = []
    slots = asyncio.Semaphore(job.connections or DEFAULT_CONNECTIONS)
    async with AsyncOpenAI(api_key="bench", base_url=job.base_url, http_client=http_client) as client:

        async def fetch_steps(thread_id: str, run_id: str) -> None:
            async with slots:
                pages = client.beta.threads.runs.steps.list(run_id, thread_id=thread_id, limit=100, order="asc")
                async for step in pages:
                    record = step.model_dump()
                    steps.append(flatten(record))
                    tool_calls.extend(list_tool_calls(record))

        async def fetch_thread(thread_id: str) -> None:
            run_ids = []
            async with slots:
                async for run in client.beta.threads.runs.list(thread_id, limit=100, order="asc"):
                    runs.append(flatten(run.model_dump()))
                    run_ids.append(run.id)
            await asyncio.gather(*(fetch_steps(thread_id, run_id) for run_id in run_ids))

        await asyncio.gather(*(fetch_thread(thread_id) for thread_id in job.thread_ids))
    rows = {"runs": runs, "run_steps": steps, "tool_calls": tool_calls}
    return {name: pl.DataFrame(records, infer_schema_length=None) for name, records in rows.items()}


def flatten(record: dict[str, Any]) -> dict[str, Any]:
    """Usage as columns, everything else that is nested as JSON text."""
    usage = record.get("usage") or {}
    flat = {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in record.items()}
    return flat | {key: usage.get(key) for key in ("prompt_tokens", "completion_tokens", "total_tokens")}


def list_tool_calls(step: dict[str, Any]) -> Rows:
    """One row per tool call of the step."""
    return [
        {
            "step_id": step["id"],
            "call_index": index,
            "id": call["id"],
            "type": call["type"],
            "payload": json.dumps(call[call["type"]]),
        }
        for index, call in enumerate(step["step_details"].get("tool_calls") or [])
    ]


def save_frames(warehouse: Path, frames: dict[str, pl.DataFrame]) -> None:
    with duckdb.connect(str(warehouse)) as con:
        for name, frame in frames.items():
            con.register("frame", frame)
            con.execute(f"create table {name} as select * from frame")


def count_rows(warehouse: Path) -> dict[str, Any]:
    with duckdb.connect(str(warehouse), read_only=True) as con:
        steps, tokens = con.execute("select count(*), sum(total_tokens) from run_steps").fetchall()[0]
        return {
            "runs": con.execute("select count(*) from runs").fetchall()[0][0],
            "steps": steps,
            "tool_calls": dict(con.execute("select type, count(*) from tool_calls group by type").fetchall()),
            "total_tokens": int(tokens),
        }


if __name__ == "__main__":
    main()
