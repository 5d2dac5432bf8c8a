#!/usr/bin/env bash
# duckdb 2.0.1, ijson 3.6.0, msgspec 0.23.0, orjson 3.13.0, polars 2.1.0 and json of Python 3.11.
# Expected: an integer literal is read as that integer or refused.
# Seen: json, msgspec, ijson and Polars (Int128) keep 123456789012345678901234567890; orjson and
# DuckDB's read_json make a float of it without a word, and DuckDB takes the small integers of the
# same column along. ijson with use_float=True refuses integers past 2^63 in its yajl2_c backend
# and keeps them in its python backend, though the option is about floats.
# Who meets it: 128-bit trace ids and content hashes written as decimal integers: two ids become
# one.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq 'duckdb==2.0.1' 'ijson==3.6.0' 'msgspec==0.23.0' 'orjson==3.13.0' 'polars==2.1.0'
venv/bin/python - <<'PY'
import io
import json
import sys

import duckdb
import ijson
import msgspec
import orjson
import polars as pl

ids = [123456789012345678901234567890, 123456789012345678901234567891]
raw = json.dumps(ids).encode()
with open("ids.jsonl", "w") as lines:
    lines.writelines('{"id":%d}\n' % number for number in ids)


def by_ijson(backend, **options):
    return list(ijson.get_backend(backend).items(io.BytesIO(raw), "item", **options))


def by_duckdb():
    return [row[0] for row in duckdb.sql("from read_json('ids.jsonl')").fetchall()]


readers = {
    "json": lambda: json.loads(raw),
    "msgspec": lambda: msgspec.json.decode(raw),
    "orjson": lambda: orjson.loads(raw),
    "polars": lambda: pl.read_ndjson("ids.jsonl")["id"].to_list(),
    "duckdb": by_duckdb,
    "ijson": lambda: by_ijson("yajl2_c"),
    "ijson yajl2_c, use_float": lambda: by_ijson("yajl2_c", use_float=True),
    "ijson python, use_float": lambda: by_ijson("python", use_float=True),
}
found = {}
for name, read in readers.items():
    try:
        values = read()
        kind = f"{len(set(values))} id as {type(values[0]).__name__}"
        found[name] = "kept" if values == ids else kind
        print(f"{name:25} {found[name]:18} {values}")
    except ijson.JSONError as error:
        found[name] = "refused"
        print(f"{name:25} refused            {str(error).splitlines()[0]}")
kept = dict.fromkeys(["json", "msgspec", "polars", "ijson", "ijson python, use_float"], "kept")
floats = dict.fromkeys(["orjson", "duckdb"], "1 id as float")
if found != kept | floats | {"ijson yajl2_c, use_float": "refused"}:
    sys.exit("changed")
PY
