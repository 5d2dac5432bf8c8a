"""Cells of CSV files that no spreadsheet takes for formulas: texts of a server end up in cells that people open."""

import polars as pl

# Signs at the start of a cell that spreadsheets begin to compute at, in the full width that some take as the same too.
_FORMULA = r"^[=+\-@\t\r\n＝＋－＠]"
_TEXTS = (pl.String(), pl.Categorical(), pl.Enum)
_MARK = "'"


def guard_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with an apostrophe before each text, and each column's name, that begins like a formula.

    Numbers stay: a negative amount is no formula.
    """
    texts = [column.name for column in frame.iter_columns() if column.dtype in _TEXTS]
    guarded = frame.with_columns(_guarded(pl.col(name).cast(pl.String)).alias(name) for name in texts)
    return guarded.rename({name: _guarded_name(name) for name in frame.columns})


def _guarded(cells: pl.Expr) -> pl.Expr:
    return pl.when(cells.str.contains(_FORMULA)).then(pl.lit(_MARK) + cells).otherwise(cells)


def _guarded_name(name: str) -> str:
    return f"{_MARK}{name}" if pl.Series([name]).str.contains(_FORMULA).item() else name
