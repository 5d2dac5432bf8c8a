"""Comments on tables, views and columns, from the headers of `sql/`: other programs show them beside the names."""

import re

from pipeline.sqlfiles.catalog import SqlFile, read_sql_files
from pipeline.sqlfiles.duck import Connection, quoted

_FIELDS = frozenset({"grain", "units", "reads", "params", "severity", "sum"})
_SENTENCE_END = re.compile(r"(?<=[.;]) +")
# Names that mean the same wherever they stand; a header that says more of one wins.
_EVERYWHERE = {
    "source": "The profile or archive that the row is from; ids are unique only within it.",
    "thread_id": "Id of the thread, unique within its source.",
    "run_id": "Id of the run, unique within its thread.",
    "step_id": "Id of the step, unique within its run; empty for what no step tells.",
    "call_index": "Place of the tool call in its step, from 0.",
    "step_index": "Place of the step in its run, from 0.",
    "assistant_id": "Id of the assistant, or of the agent, that ran.",
    "model": "The model as the server names it.",
    "type": "The kind of it, as the server names it.",
    "name": "The name that the server gives it.",
    "status": "The state that the server last told.",
    "metadata": "What the caller stored with it, as JSON.",
    "extra": "Fields that no column has, as JSON.",
    "part": "The raw part that the row came from.",
    "walk_id": "The walk that the row came from.",
    "page_index": "The page of the walk that the row came from, from 0.",
}
# By the end of a name: its unit.
_UNITS = {
    "_usd_per_mtok": "US dollars per million tokens.",
    "_usd": "US dollars, exact.",
    "_tokens": "Tokens, as the server counted them.",
    "_at": "An instant in UTC.",
    "_on": "A UTC date.",
    "_bytes": "Bytes.",
    "_s": "Seconds.",
}


def write_comments(connection: Connection, *kinds: str) -> None:
    """Comment on all that the files of these kinds (tables, stored, views) make, and on each of its columns."""
    statements = []
    for kind in kinds:
        word = "view" if kind == "views" else "table"
        for name, file in read_sql_files(kind).items():
            statements.append(f"comment on {word} {name} is {quoted(_prose(file))}")
            columns = connection.execute(
                "select column_name from duckdb_columns() where database_name = current_database() and table_name = ?",
                [name],
            )
            statements += [
                f"comment on column {name}.{column} is {quoted(column_comment(file, column))}"
                for (column,) in columns.fetchall()
            ]
    # One text takes a third less time than as many as there are columns.
    connection.execute(";".join(statements))


def column_comment(file: SqlFile, column: str) -> str:
    """What a header says of a column: the sentences that name it; else what its name means everywhere."""
    told = [file.fields[column]] if column in file.fields.keys() - _FIELDS else []
    told += [text for text in _SENTENCE_END.split(_prose(file)) if re.search(rf"\b{column}\b", text)]
    unit = next((text for ending, text in _UNITS.items() if column.endswith(ending)), "")
    words = " ".join(dict.fromkeys(told)) or _EVERYWHERE.get(column, "")
    return " ".join(filter(None, (words, unit))) or column.replace("_", " ").capitalize() + "."


def _prose(file: SqlFile) -> str:
    """The header as a text, without its fields but the units."""
    lines = []
    for line in file.text.splitlines():
        if not line.startswith("--"):
            break
        text = line.removeprefix("--").strip()
        if text.partition(":")[0] not in _FIELDS:
            lines.append(text)
    if units := file.fields.get("units"):
        lines.append(f"Units: {units}.")
    return " ".join(lines)
