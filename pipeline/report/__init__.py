"""The report: one HTML file about a warehouse that opens offline, in any browser, on any screen.

In: a warehouse, what is in scope. Out: the file, its owner's alone.
Never knows: servers, raw parts, the command line.
"""

import contextlib
import glob
import os
from datetime import datetime
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.report.document import render_page
from pipeline.report.facts import Scope, read_facts
from pipeline.storage.private_files import aside_of, open_private, sweep
from pipeline.warehouse.database import open_for_reading

__all__ = ["Scope", "write_report"]


def write_report(warehouse: Path, out: Path, scope: Scope, *, now: datetime) -> None:
    """Write the report about a warehouse to `out`, readable by its owner only; an older report there is replaced.

    Raises ConfigurationError if there is no such warehouse, source or folder.
    """
    with open_for_reading(warehouse) as connection:
        facts = read_facts(connection, scope, now=now)
    _replace_file(out, render_page(facts, now=now))


def _replace_file(path: Path, text: str) -> None:
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigurationError(f"cannot write a report to {path}: name a file in a folder that exists")
    aside = aside_of(path)
    try:
        # Made readable by its owner only, and in place at once: nobody sees half a report.
        sweep(path.parent, f"{glob.escape(path.name)}.*")
        with os.fdopen(open_private(aside), "w", encoding="utf-8") as file:
            file.write(text)
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise ConfigurationError(f"cannot write a report to {path}: {error.strerror}") from error
