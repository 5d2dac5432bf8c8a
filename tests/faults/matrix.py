"""All cells of the matrix."""

from tests.faults.cell import Cell, Lists
from tests.faults.http_cells import http_cells


def all_cells(lists: Lists) -> list[Cell]:
    """Every cell, in the order of the document."""
    return [*http_cells(lists)]
