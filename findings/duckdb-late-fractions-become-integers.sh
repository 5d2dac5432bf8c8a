#!/usr/bin/env bash
# duckdb 2.0.1, polars 2.1.0 (Python 3.11).
# Expected: a column guessed as integer from the first rows either widens or raises when a
# fraction comes later; Polars raises on the same bytes.
# Seen: read_json and read_csv of DuckDB guess from the first 20,480 rows, then round every later
# fraction to an integer, with no error and nothing rejected. Text in the same place does raise.
# Who meets it: logs of costs that begin with a long free stretch (cost 0), then have cents.
# Way around: sample_size=-1, or name the type in columns.
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

free, paid = [0] * 20_480, [0.37, 0.37, 0.37]
with open("costs.jsonl", "w") as jsonl, open("costs.csv", "w") as csv:
    csv.write("cost\n")
    for cost in free + paid:
        jsonl.write('{"cost":%s}\n' % cost)
        csv.write("%s\n" % cost)

found = {}
for name, source in {
    "json": "read_json('costs.jsonl')",
    "csv": "read_csv('costs.csv')",
    "json, sample_size=-1": "read_json('costs.jsonl', sample_size=-1)",
}.items():
    query = f"select typeof(any_value(cost)), round(sum(cost), 2)::double from {source}"
    found[name] = duckdb.execute(query).fetchone()
    print("duckdb", name, "->", *found[name])
try:
    print("polars json ->", pl.read_ndjson("costs.jsonl")["cost"].sum())
    sys.exit("changed: polars no longer refuses")
except pl.exceptions.ComputeError as error:
    print("polars json ->", str(error).splitlines()[0])

if found != {
    "json": ("BIGINT", 0.0),
    "csv": ("BIGINT", 0.0),
    "json, sample_size=-1": ("DOUBLE", 1.11),
}:
    sys.exit("changed: duckdb no longer rounds late fractions")
PY
