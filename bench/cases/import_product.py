"""An archive of JSON lines with `import`: raw parts, rejects, ranks, seals and costs as always."""

import subprocess
import sys
from pathlib import Path

import duckdb

from bench.cases.contract import report_counts, report_done
from bench.cases.import_duckdb import count_rows


def main() -> None:
    """Import the archive as a person does, count what came of it."""
    archive, out = sys.argv[1], Path(sys.argv[2])
    command = [sys.executable, "-m", "pipeline", "import", archive, "--quiet", "--data-dir", str(out / "data")]
    subprocess.run(command, check=True)
    report_done()
    with duckdb.connect(out / "data" / "warehouse.duckdb", read_only=True) as connection:
        report_counts(**count_rows(connection))


if __name__ == "__main__":
    main()
