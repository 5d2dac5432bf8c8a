#!/usr/bin/env bash
# duckdb 2.0.1 (Python 3.11).
# Expected: a macro stored in a database file reads the tables of that file, as a view stored
# beside it does.
# Seen: once the file is attached, the macro's table names are looked up from the caller's place.
# With no such table there the macro fails; with a table of the same name there it answers from
# that one, without a word, while the view beside it still answers from its own file. Table macros
# and scalar macros with a subquery alike.
# Who meets it: whoever ships a database file with macros and has it attached by others, next to a
# table with a name as common as usage.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq 'duckdb==2.0.1'
venv/bin/python - <<'PY'
import sys

import duckdb

with duckdb.connect("shipped.duckdb") as shipped:
    shipped.sql("create table usage as select 10 as tokens")
    shipped.sql("create view total_view as select sum(tokens)::int as total from usage")
    shipped.sql("create macro total_rows() as table select sum(tokens)::int as total from usage")
    shipped.sql("create macro total_value() as (select sum(tokens)::int from usage)")

QUERIES = {
    "view": "from shipped.total_view",
    "table macro": "from shipped.total_rows()",
    "scalar macro": "select shipped.total_value()",
}


def answers(connection):
    found = {}
    for name, query in QUERIES.items():
        try:
            found[name] = connection.execute(query).fetchone()[0]
        except duckdb.CatalogException as error:
            found[name] = str(error).splitlines()[0]
    return found


caller = duckdb.connect()
caller.sql("attach 'shipped.duckdb' as shipped (read_only)")
alone = answers(caller)
caller.sql("create table usage as select 999 as tokens")
beside = answers(caller)
print("caller has no table usage: ", alone)
print("caller has its own usage:  ", beside)

missing = "Catalog Error: Table with name usage does not exist!"
if alone != {"view": 10, "table macro": missing, "scalar macro": missing}:
    sys.exit("changed: attached alone")
if beside != {"view": 10, "table macro": 999, "scalar macro": 999}:
    sys.exit("changed: beside a table of the same name")
PY
