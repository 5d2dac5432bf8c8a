#!/usr/bin/env bash
# duckdb 2.0.1, polars 2.1.0 (Python 3.11).
# Expected: JSON names are case-sensitive, so User in one line and user in another are two columns
# or two members.
# Seen: at the top level DuckDB renames the second (user_1); one level down it refuses the whole
# file, also when no single object has both. Polars reads both.
# Who meets it: free-form metadata objects that several programs write, one with User, one with
# user.
# Way around: name the column's type as JSON in columns.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq 'duckdb==2.0.1' 'polars==2.1.0'
venv/bin/python - <<'PY'
import sys

import duckdb
import polars as pl

files = {
    "top level": '{"User":"a"}\n{"user":"b"}\n',
    "nested": '{"metadata":{"User":"a"}}\n{"metadata":{"user":"b"}}\n',
}
found = {}
for name, text in files.items():
    with open("lines.jsonl", "w") as lines:
        lines.write(text)
    try:
        relation = duckdb.sql("from read_json('lines.jsonl')")
        found[name] = dict(zip(relation.columns, zip(*relation.fetchall())))
    except duckdb.NotImplementedException as error:
        found[name] = str(error).split(",")[0]
    print("duckdb", name, "->", found[name])
    print("polars", name, "->", pl.read_ndjson("lines.jsonl").rows())
as_json = duckdb.sql(
    "select metadata->>'User', metadata->>'user' "
    "from read_json('lines.jsonl', columns={metadata: 'JSON'})"
).fetchall()
print("duckdb nested, as JSON ->", as_json)
if found != {
    "top level": {"User": ("a", None), "user_1": (None, "b")},
    "nested": 'Not implemented Error: Duplicate name "user" in struct auto-detected in JSON',
} or as_json != [("a", None), (None, "b")]:
    sys.exit("changed")
PY
