"""Cells of CSV files that no spreadsheet takes for formulas: texts of a server end up in cells that people open."""

import polars as pl

# Signs at the start of a cell that spreadsheets begin to compute at, in the full width that some take as the same too.
_SIGNS = r"=+\-@＝＋－＠"
_FORMULA = rf"^[{_SIGNS}\t\r\n]"
# Where cells are told apart by semicolons or tabs, as in much of Europe, a quote behind a comma protects nothing: a
# text then ends at each of these.
_FORMULA_WITHIN = rf'([;\t\r\n][\s"]*)([{_SIGNS}])'
_TEXTS = (pl.String(), pl.Categorical(), pl.Enum)
_MARK = "'"


def guard_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with an apostrophe wherever a text, or a column's name, could begin a cell that is a formula.

    That is at its start, and after a semicolon, a tab or a line break. Numbers stay: a negative amount is no formula.
    """
    texts = [column.name for column in frame.iter_columns() if column.dtype in _TEXTS]
    guarded = frame.with_columns(_guarded(pl.col(name).cast(pl.String)).alias(name) for name in texts)
    names = pl.DataFrame({"name": frame.columns}, schema={"name": pl.String()}).select(_guarded(pl.col("name")))
    return guarded.rename(dict(zip(frame.columns, names.to_series(), strict=True)))


def _guarded(cells: pl.Expr) -> pl.Expr:
    within = cells.str.replace_all(_FORMULA_WITHIN, f"${{1}}{_MARK}${{2}}")
    return pl.when(cells.str.contains(_FORMULA)).then(pl.lit(_MARK) + within).otherwise(within)
