"""The SQL that the package carries: tables, views, queries and checks, with what their headers declare."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

_HEADER_LINE = re.compile(r"^--\s?(.*)$")
_HEADER_FIELD = re.compile(r"^([a-z_]+):\s*(.*)$")
_COLUMN = re.compile(r"^\s+([a-z_][a-z0-9_]*) ([a-z]+(?:\(\d+, \d+\))?)", re.MULTILINE)


@dataclass(frozen=True)
class SqlFile:
    """One file of `sql/`: `fields` are the `name: value` lines of its header, `summary` its first line."""

    name: str
    summary: str
    fields: dict[str, str]
    text: str

    @property
    def grain(self) -> list[str]:
        """Columns that identify a row; empty if the header declares none."""
        return _split_names(self.fields.get("grain", ""))

    @property
    def reads(self) -> list[str]:
        """Tables and views that this one is made from."""
        return _split_names(self.fields.get("reads", ""))

    def names(self, field: str) -> list[str]:
        """Names that a field of the header has."""
        return _split_names(self.fields.get(field, ""))

    @property
    def params(self) -> dict[str, str]:
        """Named parameters of a query with their defaults."""
        pairs = (part.partition("=") for part in self.fields.get("params", "").split(",") if part.strip())
        return {name.strip(): default.strip() for name, _, default in pairs}

    @property
    def columns(self) -> dict[str, str]:
        """Column names of a table with their SQL types, in order."""
        return dict(_COLUMN.findall(self.text))


def resource_path(*parts: str) -> Path:
    """Where a file that ships with the package lies: inside the wheel, else in the source tree."""
    inside = Path(__file__).parents[1].joinpath(*parts)
    return inside if inside.exists() else Path(__file__).parents[2].joinpath(*parts)


@cache
def read_sql_files(kind: str) -> dict[str, SqlFile]:
    """All files of `sql/<kind>/` by name; kind is tables, stored, macros, views, queries, checks or report."""
    paths = sorted(resource_path("sql", kind).glob("*.sql"))
    return {path.stem: parse_sql_file(path.stem, path.read_text("utf-8")) for path in paths}


def parse_sql_file(name: str, text: str) -> SqlFile:
    """Header fields and text of one SQL file."""
    header = list(_header_lines(text))
    fields = {m[1]: m[2] for line in header if (m := _HEADER_FIELD.match(line))}
    return SqlFile(name=name, summary=header[0] if header else "", fields=fields, text=text)


def views_in_order() -> list[SqlFile]:
    """Views so that each comes after those it reads."""
    views = read_sql_files("views")
    graph = {name: [read for read in view.reads if read in views] for name, view in views.items()}
    return [views[name] for name in TopologicalSorter(graph).static_order()]


@cache
def read_stand_ins() -> tuple[str, dict[str, str]]:
    """Views of the same columns that read nothing, by name, and the digest of the views that they stand in for."""
    digest, *statements = resource_path("sql", "stand_ins.sql").read_text("utf-8").splitlines()
    return digest.removeprefix("-- "), {statement.split()[4]: statement for statement in statements}


def _header_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if not (match := _HEADER_LINE.match(line)):
            return
        yield match[1]


def _split_names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
