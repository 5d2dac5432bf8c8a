"""All cells of the matrix."""

from tests.faults.cell import Cell, Lists
from tests.faults.cursor_cells import cursor_cells
from tests.faults.http_cells import http_cells
from tests.faults.machine_cells import machine_cells
from tests.faults.record_cells import record_cells
from tests.faults.successor_cells import successor_cells


def all_cells(lists: Lists) -> list[Cell]:
    """Every cell, in the order of the document."""
    classic = [*http_cells(lists), *cursor_cells(lists), *record_cells(lists)]
    return [*classic, *successor_cells(), *machine_cells(lists)]
