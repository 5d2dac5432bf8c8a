"""A plugin of pytest: no test is run unless the product is the copy with the fault, and is not broken by it."""

import importlib
import os
from pathlib import Path

import duckdb
import pytest

import pipeline
from pipeline.errors import PipelineError
from pipeline.sqlfiles.price_book import read_price_book
from pipeline.sqlfiles.schema import open_in_memory, refresh_prices
from pipeline.warehouse.checks import run_checks

# The file that has the fault.
PLANTED = "MUTANTS_PLANTED_FILE"
# What importing a broken module or reading broken SQL comes to; pytest itself refuses to go on with anything else.
_BROKEN = (
    *(ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError, LookupError),
    *(duckdb.Error, PipelineError),
)


def pytest_configure() -> None:
    """Raises UsageError where `pipeline` is not the copy's, or where what was planted cannot be imported or read."""
    if Path(pipeline.__file__).parents[1] != Path.cwd():
        raise pytest.UsageError(f"pipeline was imported from {pipeline.__file__}, not from {Path.cwd()}")
    planted = os.environ.get(PLANTED, "")
    try:
        if planted.endswith(".py"):
            importlib.import_module(planted.removesuffix(".py").replace("/", "."))
        elif planted:
            _read_all_sql()
    except _BROKEN as error:
        raise pytest.UsageError(f"{planted} is broken: {error}") from error


def _read_all_sql() -> None:
    with open_in_memory() as connection:
        refresh_prices(connection, read_price_book())
        run_checks(connection)
