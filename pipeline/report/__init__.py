"""The report: one HTML file about a warehouse that opens offline, in any browser, on any screen.

In: a warehouse, what is in scope. Out: the file, its owner's alone.
Never knows: servers, raw parts, the command line.
"""

from datetime import datetime
from pathlib import Path

from pipeline.report.document import render_page
from pipeline.report.facts import Scope, read_facts
from pipeline.storage.output_files import check_output, write_output
from pipeline.warehouse.database import open_for_reading

__all__ = ["Scope", "write_report"]

_REPORT = "a report"


def write_report(warehouse: Path, out: Path, scope: Scope, *, now: datetime) -> None:
    """Write the report about a warehouse to `out`, as `write_output` writes; an older report there is replaced.

    Raises ConfigurationError if there is no such warehouse, source or folder.
    """
    check_output(out, _REPORT)
    with open_for_reading(warehouse, bounded=True) as connection:
        facts = read_facts(connection, scope, now=now)
    write_output(out, render_page(facts, now=now), _REPORT)
