#!/usr/bin/env bash
# duckdb 2.0.1, polars 2.1.0, pyarrow 26.0.1 (Python 3.11).
# Expected: the sum of an integer column, exported, is a number without loss.
# Seen: sum(BIGINT) is HUGEINT; COPY ... TO Parquet writes that as DOUBLE, so 9007199254740993
# comes back as 9007199254740992. The same query through Arrow is decimal(38, 0) and exact, and
# CSV is exact: three ways out of one query, three types.
# Who meets it: whoever exports totals of nano-dollars or of token counts; small totals keep their
# value and change their type, so that a schema check against the source fails.
# Way around: sum(x)::BIGINT.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq 'duckdb==2.0.1' 'polars==2.1.0' 'pyarrow==26.0.1'
venv/bin/python - <<'PY'
import sys

import duckdb
import polars as pl

query = "select sum(nanodollars) as total from (values (9007199254740993::bigint)) t(nanodollars)"
duckdb.sql(f"copy ({query}) to 'total.parquet'")
duckdb.sql(f"copy ({query}) to 'total.csv'")
frame = pl.read_parquet("total.parquet")
arrow = duckdb.sql(query).arrow().read_all()

found = {
    "duckdb": duckdb.execute(f"select typeof(total), total::varchar from ({query})").fetchone(),
    "parquet": (str(frame["total"].dtype), f"{frame['total'][0]:.0f}"),
    "arrow": (str(arrow.schema.field("total").type), str(arrow["total"][0])),
    "csv": ("text", open("total.csv").read().split()[1]),
}
for way, seen in found.items():
    print(f"{way:8}", *seen)
if found != {
    "duckdb": ("HUGEINT", "9007199254740993"),
    "parquet": ("Float64", "9007199254740992"),
    "arrow": ("decimal128(38, 0)", "9007199254740993"),
    "csv": ("text", "9007199254740993"),
}:
    sys.exit("changed")
PY
