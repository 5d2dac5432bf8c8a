"""dlt's rest_api source into DuckDB with everything left at its default."""

# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore,misc"
from typing import Any

import dlt
import duckdb
from dlt.sources.rest_api import rest_api_source

from bench.cases.contract import Job, read_job, report_counts, report_done

DATASET = "run_steps"


def main() -> None:
    job = read_job()
    run_pipeline(job, parallelized=False)
    report_done()
    report_counts(threads=len(job.thread_ids), **count_rows(job))


def run_pipeline(job: Job, *, parallelized: bool, **run_options: Any) -> None:
    """Threads from a list, their runs, the steps of those; the cursor is `after`, from `last_id` while `has_more`."""
    source = rest_api_source(make_config(job), name="assistants", parallelized=parallelized)
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=str(job.out / "dlt"),
        destination=dlt.destinations.duckdb(str(job.out / "warehouse.duckdb")),
        dataset_name=DATASET,
    )
    pipeline.run(source, **run_options)


def make_config(job: Job) -> Any:
    """The rest_api configuration: three resources, parent to child."""
    # pages of one thread: dlt walks the children of one page one after the other, pages in parallel
    threads = dlt.resource([[{"id": thread_id}] for thread_id in job.thread_ids], name="threads")
    paginator = {
        "type": "cursor",
        "cursor_path": "last_id",
        "cursor_param": "after",
        "has_more_path": "has_more",
    }
    return {
        "client": {
            "base_url": job.base_url,
            "auth": {"type": "bearer", "token": "bench"},
            "paginator": paginator,
        },
        "resource_defaults": {
            "primary_key": "id",
            "endpoint": {"data_selector": "data", "params": {"limit": 100, "order": "asc"}},
        },
        "resources": [
            threads,
            {"name": "runs", "endpoint": {"path": "threads/{resources.threads.id}/runs"}},
            {
                "name": "steps",
                "endpoint": {"path": "threads/{resources.runs.thread_id}/runs/{resources.runs.id}/steps"},
            },
        ],
    }


def count_rows(job: Job) -> dict[str, Any]:
    with duckdb.connect(str(job.out / "warehouse.duckdb"), read_only=True) as con:
        con.execute(f"use {DATASET}")
        steps, tokens = con.execute("select count(*), sum(usage__total_tokens) from steps").fetchall()[0]
        calls = con.execute("select type, count(*) from steps__step_details__tool_calls group by type")
        return {
            "tool_calls": dict(calls.fetchall()),
            "runs": con.execute("select count(*) from runs").fetchall()[0][0],
            "steps": steps,
            "total_tokens": int(tokens),
        }


if __name__ == "__main__":
    main()
