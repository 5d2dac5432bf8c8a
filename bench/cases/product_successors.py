"""This repository's pipeline over conversations or sessions, as a user starts it: the option is the kind of server."""

import os
import subprocess
import sys
from pathlib import Path

from bench.cases.contract import read_job, report_counts, report_done, report_start
from bench.cases.product import count_rows

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Sync, then count the warehouse."""
    job = read_job()
    [kind] = job.options
    (job.out / "pipeline.toml").write_text(f'[profiles.default]\nkind = "{kind}"\nbase_url = "{job.base_url}"\n')
    command = [sys.executable, "-m", "pipeline", "sync", "--threads", str(job.threads_file), "--data-dir", "."]
    if job.connections is not None:
        command += ["--concurrency", str(job.connections)]
    environ = os.environ | {"OPENAI_API_KEY": "bench", "AZURE_AI_TOKEN": "bench", "PYTHONPATH": str(ROOT)}
    report_start()
    finished = subprocess.run(
        [*command, "--quiet", "--json"], cwd=job.out, env=environ, stdout=subprocess.DEVNULL, check=False
    )
    report_done()
    if finished.returncode:
        sys.exit(finished.returncode)
    report_counts(**count_rows(job.out / "warehouse.duckdb"))


if __name__ == "__main__":
    main()
