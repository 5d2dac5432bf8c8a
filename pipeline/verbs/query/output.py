"""Answers in every format: tables for people, rows for machines, on stdout or in a file."""

import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.console.json_rows import json_rows, json_text
from pipeline.console.plain_text import plain_text
from pipeline.console.tables import Table, count_of, terminal_width
from pipeline.errors import ConfigurationError
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.storage.output_files import check_output, write_output

if TYPE_CHECKING:
    import polars as pl

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

    @property
    def takes_frames(self) -> bool:
        """Whether it is written from a frame, which has types also where it has no rows."""
        return self.output in ("csv", "parquet")


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, how many of them to show (None: all), columns that are JSON, and which sums and shares make sense.

    Where the rows are not all that there are (`is_counted`), one beyond those that are shown tells that there are more.
    """

    found: "pl.DataFrame | Mapping[str, list[Any]]"
    shown: int | None = None
    documents: frozenset[str] = frozenset()
    totalled: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    is_counted: bool = True

    @property
    def frame(self) -> "pl.DataFrame":
        """All rows as a frame."""
        if not isinstance(self.found, Mapping):
            return self.found
        import polars as pl

        return pl.DataFrame(self.found)

    @property
    def columns(self) -> Mapping[str, list[Any]]:
        """The values of all rows, by column."""
        if isinstance(self.found, Mapping):
            return self.found
        return {column.name: column.to_list() for column in self.found.iter_columns()}

    @property
    def height(self) -> int:
        """How many rows there are."""
        if isinstance(self.found, Mapping):
            return max(map(len, self.found.values()), default=0)
        return self.found.height

    def first(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Of columns, the rows that are shown."""
        return {name: values[: self.shown] for name, values in columns.items()}

    def left_out(self) -> str | None:
        """What a person is told of rows that are not shown."""
        if self.shown is None or self.shown >= self.height:
            return None
        told = (
            f"{self.shown:,} of {self.height:,} rows"
            if self.is_counted
            else f"the first {count_of(self.shown, 'rows')}"
        )
        return f"({told}; --all prints them all)"


def format_of(out: Path | None) -> str:
    """The format that a file's ending stands for; without a file or an ending, a table.

    Raises ConfigurationError for the ending of another format.
    """
    ending = "" if out is None else out.suffix.removeprefix(".").lower()
    if ending in ("", "txt"):
        return "table"
    if ending not in FORMATS:
        known = ", ".join(f".{each}" for each in FORMATS)
        raise ConfigurationError(f"--out {out}: no format ends in .{ending}: {known} or .txt; or give --format")
    return FORMATS[ending]


def render(
    rows: "pl.DataFrame | Answer", output: str, *, raw_csv: bool = False, decimal_strings: bool = False
) -> bytes:
    """The rows as csv (lists and structures as JSON texts), json (an array of objects), jsonl or parquet.

    In JSON numbers are exact, what is no finite number is a text (NaN, Infinity, -Infinity), and columns that are JSON
    are nested. Unless csv is to be raw, all texts are quoted and have an apostrophe where a spreadsheet would begin a
    formula.
    """
    answer = rows if isinstance(rows, Answer) else Answer(rows)
    if output in ("json", "jsonl"):
        columns = answer.first(answer.columns)
        lines = json_rows(columns, documents=answer.documents, decimal_strings=decimal_strings)
        return b"[" + b",\n".join(lines) + b"]\n" if output == "json" else b"".join(line + b"\n" for line in lines)
    frame = answer.frame if answer.shown is None else answer.frame.head(answer.shown)
    return _csv(frame, is_raw=raw_csv) if output == "csv" else _parquet(frame)


def _csv(frame: "pl.DataFrame", *, is_raw: bool) -> bytes:
    import polars as pl

    from pipeline.console.csv_cells import guard_formulas

    nested = (column for column in frame.iter_columns() if column.dtype.is_nested())
    flat = frame.with_columns(pl.Series(column.name, _json_texts(column.to_list()), pl.String) for column in nested)
    flat, buffer = flat.with_columns(pl.col(pl.Boolean).cast(pl.String)), io.BytesIO()
    if is_raw:
        flat.write_csv(buffer)
    else:
        guard_formulas(flat).write_csv(buffer, quote_style="non_numeric")
    return buffer.getvalue()


def _parquet(frame: "pl.DataFrame") -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _json_texts(values: Sequence[Any]) -> list[str | None]:
    return [None if value is None else json_text(value) for value in values]


def check_look(look: Look) -> None:
    """Raises ConfigurationError, before any work, for what cannot be written where it is to go."""
    if look.out is not None:
        check_output(look.out, "the answer")
    elif look.output == "parquet" and sys.stdout.isatty():
        raise ConfigurationError("parquet is binary and this is a terminal: add --out FILE.parquet")


def print_answer(answer: Answer, look: Look) -> None:
    """The rows on stdout or in a file; a table says how many rows it left out, and sums all of them.

    Of what a machine reads, stderr says so, unless that many rows were asked for.
    """
    if look.is_table:
        width = None if look.wide or look.out is not None else terminal_width()
        content = "".join(f"{line}\n" for line in answer_lines(answer, look, width)).encode()
    else:
        content = render(answer, look.output, raw_csv=look.raw_csv, decimal_strings=look.decimal_strings)
    if look.output != "table" and look.limit is None and (left_out := answer.left_out()):
        print(left_out, file=sys.stderr)
    if look.out is not None:
        write_output(look.out, content, "the answer")
        return
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def answer_lines(answer: Answer, look: Look, width: int | None) -> Iterator[str]:
    """The answer as a table in so many columns of a terminal (None: all), with sums, shares and what was left out."""
    shown = answer.first(found := answer.columns)
    if list(shown) == _EXPLAINED:
        yield from (plain_text(line) for text in shown[_EXPLAINED[1]] for line in text.rstrip().split("\n"))
        return
    columns, totals = _with_totals(answer, found, shown)
    table = Table(columns, totals=totals, advice="; --wide and --vertical show all")
    if look.output == "markdown":
        yield from table.markdown_lines()
        return
    yield from table.vertical_lines() if look.vertical else table.lines(width, is_whole=look.wide)
    if left_out := answer.left_out():
        yield left_out


def _with_totals(
    answer: Answer, found: Mapping[str, list[Any]], shown: dict[str, list[Any]]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What is shown with shares of the whole beside it, and the sums of all rows where there are several."""
    if answer.height < 2 or not answer.totalled:
        return shown, None
    told_of = {name: [value for value in found[name] if value is not None] for name in answer.totalled if name in found}
    totals: dict[str, Any] = {name: sum(values) for name, values in told_of.items() if values}
    told: dict[str, Any] = {}
    for name, values in shown.items():
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
