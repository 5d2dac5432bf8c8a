"""Answers in every format: tables for people, rows for machines, on stdout or in a file."""

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.console.csv_cells import guard_formulas
from pipeline.console.json_rows import json_rows, json_text
from pipeline.console.plain_text import plain_text
from pipeline.console.tables import Table, terminal_width
from pipeline.errors import ConfigurationError
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.storage.output_files import check_output, write_output

_EXPLAINED = ["explain_key", "explain_value"]
FORMATS = {"csv": "csv", "json": "json", "jsonl": "jsonl", "ndjson": "jsonl", "md": "markdown", "parquet": "parquet"}


@dataclass(frozen=True, slots=True)
class Look:
    """How an answer is to be printed: its format, how many rows (None: as usual), and where to (None: stdout)."""

    output: str = "table"
    limit: int | None = None
    everything: bool = False
    raw_csv: bool = False
    decimal_strings: bool = False
    wide: bool = False
    vertical: bool = False
    out: Path | None = None

    @property
    def is_table(self) -> bool:
        """Whether a person reads it."""
        return self.output in ("table", "markdown")


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, how many of them to show (None: all), columns that are JSON, and which sums and shares make sense."""

    frame: pl.DataFrame
    shown: int | None = None
    documents: frozenset[str] = frozenset()
    totalled: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)

    @property
    def rows(self) -> pl.DataFrame:
        """Those that are shown."""
        return self.frame if self.shown is None else self.frame.head(self.shown)


def render(frame: pl.DataFrame | Answer, output: str, *, raw_csv: bool = False, decimal_strings: bool = False) -> bytes:
    """The rows as csv (lists and structures as JSON texts), json (an array of objects), jsonl or parquet.

    In JSON numbers are exact, what is no finite number is a text (NaN, Infinity, -Infinity), and columns that are JSON
    are nested. Unless csv is to be raw, all texts are quoted and have an apostrophe where a spreadsheet would begin a
    formula.
    """
    answer = frame if isinstance(frame, Answer) else Answer(frame)
    rows, buffer = answer.rows, io.BytesIO()
    if output in ("json", "jsonl"):
        lines = json_rows(_columns(rows), documents=answer.documents, decimal_strings=decimal_strings)
        return b"[" + b",\n".join(lines) + b"]\n" if output == "json" else b"".join(line + b"\n" for line in lines)
    if output == "csv":
        flat = rows.with_columns(_json_texts(column) for column in rows.iter_columns() if column.dtype.is_nested())
        flat = flat.with_columns(pl.col(pl.Boolean).cast(pl.String))
        if raw_csv:
            flat.write_csv(buffer)
        else:
            guard_formulas(flat).write_csv(buffer, quote_style="non_numeric")
    else:
        rows.write_parquet(buffer)
    return buffer.getvalue()


def _columns(frame: pl.DataFrame) -> dict[str, list[Any]]:
    return {column.name: column.to_list() for column in frame.iter_columns()}


def _json_texts(column: pl.Series) -> pl.Series:
    texts = [None if value is None else json_text(value) for value in column.to_list()]
    return pl.Series(column.name, texts, pl.String)


def check_look(look: Look) -> None:
    """Raises ConfigurationError, before any work, for what cannot be written where it is to go."""
    if look.out is not None:
        check_output(look.out, "the answer")
    elif look.output == "parquet" and sys.stdout.isatty():
        raise ConfigurationError("parquet is binary and this is a terminal: add --out FILE.parquet")


def print_answer(answer: Answer, look: Look) -> None:
    """The rows on stdout or in a file; a table says how many rows it left out, and sums all of them."""
    if look.is_table:
        width = None if look.wide or look.out is not None else terminal_width()
        content = "".join(f"{line}\n" for line in answer_lines(answer, look, width)).encode()
    else:
        content = render(answer, look.output, raw_csv=look.raw_csv, decimal_strings=look.decimal_strings)
    if look.out is not None:
        write_output(look.out, content, "the answer")
        return
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def answer_lines(answer: Answer, look: Look, width: int | None) -> Iterator[str]:
    """The answer as a table in so many columns of a terminal (None: all), with sums, shares and what was left out."""
    frame = answer.rows
    if frame.columns == _EXPLAINED:
        yield from (plain_text(line) for text in frame[_EXPLAINED[1]] for line in text.rstrip().split("\n"))
        return
    columns, totals = _with_totals(answer, frame)
    table = Table(columns, totals=totals, advice="; --wide and --vertical show all")
    if look.output == "markdown":
        yield from table.markdown_lines()
        return
    yield from table.vertical_lines() if look.vertical else table.lines(width, is_whole=look.wide)
    if frame.height < answer.frame.height:
        yield f"({frame.height:,} of {answer.frame.height:,} rows; --all prints them all)"


def _with_totals(answer: Answer, frame: pl.DataFrame) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The columns with shares of the whole beside what is shared, and the sums of all rows where there are several."""
    columns = _columns(frame)
    if answer.frame.height < 2 or not answer.totalled:
        return columns, None
    totals = {name: sum(answer.frame[name].drop_nulls().to_list()) for name in answer.totalled if name in columns}
    totals = {name: total for name, total in totals.items() if answer.frame[name].drop_nulls().len()}
    told: dict[str, Any] = {}
    for name, values in columns.items():
        told[name] = values
        if name in answer.shared and totals.get(name):
            told["share"] = ["" if value is None else f"{float(value / totals[name]):.1%}" for value in values]
            totals["share"] = "100.0%"
    label = next(name for name in told if name not in totals)
    return told, {label: "total", **totals}


def print_queries() -> None:
    """The named queries with what they answer and their parameters, on stdout."""
    for query in read_sql_files("queries").values():
        params = ", ".join(f"{name}={value}" for name, value in query.params.items())
        print(f"{query.name}\n    {query.summary}" + (f" ({params})" if params else ""))
