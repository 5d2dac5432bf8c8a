"""This repository's pipeline, as a user starts it."""

# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore"
import os
import subprocess
import sys
from pathlib import Path

from bench.cases.contract import Job, read_job, report_counts, report_done, report_start


def main() -> None:
    """Sync, then count the warehouse."""
    job = read_job()
    report_start()
    finished = subprocess.run(
        sync_command(job), env=os.environ | {"OPENAI_API_KEY": "bench"}, stdout=subprocess.DEVNULL, check=False
    )
    report_done()
    if finished.returncode:
        sys.exit(finished.returncode)
    report_counts(**count_rows(job.out / "warehouse.duckdb"))


def sync_command(job: Job) -> list[str]:
    """The command line of one sync."""
    command = [sys.executable, "-m", "pipeline", "sync", "--threads", str(job.threads_file)]
    command += ["--base-url", job.base_url, "--data-dir", str(job.out), "--quiet", "--json"]
    if job.connections is not None:
        command += ["--concurrency", str(job.connections)]
    return command + job.options


def count_rows(warehouse: Path) -> dict[str, int | dict[str, int]]:
    """What the warehouse holds, by the keys of the truth file."""
    import duckdb

    with duckdb.connect(str(warehouse), read_only=True) as con:

        def count(query: str) -> int:
            row = con.execute(query).fetchone()
            return int(row[0]) if row else 0

        return {
            "threads": count("select count(*) from threads"),
            "runs": count("select count(*) from runs"),
            "steps": count("select count(*) from run_steps"),
            "tool_calls": dict(con.execute("select type, count(*) from tool_calls group by type").fetchall()),
            "total_tokens": count("select sum(total_tokens) from run_steps"),
        }


if __name__ == "__main__":
    main()
