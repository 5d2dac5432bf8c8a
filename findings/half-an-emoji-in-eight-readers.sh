#!/usr/bin/env bash
# duckdb 2.0.1, ijson 3.6.0 (backends yajl2_c and python), jiter 0.19.0, msgspec 0.23.0, orjson
# 3.13.0, polars 2.1.0 and json of Python 3.11.
# Expected: {"text":"\ud83d"} is within JSON's grammar (RFC 8259, section 8.2, warns that readers
# differ), so each library should keep it or refuse it plainly, and none should change it.
# Seen: json and ijson's python backend keep it, orjson, msgspec, jiter and DuckDB refuse the
# document (msgspec and jiter as if it had been cut short), and two change it without a word:
# ijson's yajl2_c gives "?", Polars gives the character NUL. The same library, ijson, answers
# differently by backend.
# Who meets it: JavaScript's JSON.stringify and Python's json.dumps write that escape for a string
# cut in the middle of an emoji, as streamed model output is when it is cut by UTF-16 length.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq 'duckdb==2.0.1' 'ijson==3.6.0' 'jiter==0.19.0' 'msgspec==0.23.0' 'orjson==3.13.0' 'polars==2.1.0'
venv/bin/python - <<'PY'
import io
import json
import sys

import duckdb
import ijson
import jiter
import msgspec
import orjson
import polars as pl

half = "\N{GRINNING FACE}".encode("utf-16-le")[:2].decode("utf-16-le", "surrogatepass")
document = json.dumps({"text": half})
raw = document.encode()
with open("line.jsonl", "w") as line:
    line.write(document + "\n")


def by_ijson(backend):
    return next(ijson.get_backend(backend).items(io.BytesIO(raw), "text"))


readers = {
    "json": lambda: json.loads(raw)["text"],
    "orjson": lambda: orjson.loads(raw)["text"],
    "msgspec": lambda: msgspec.json.decode(raw)["text"],
    "jiter": lambda: jiter.from_json(raw)["text"],
    "ijson yajl2_c": lambda: by_ijson("yajl2_c"),
    "ijson python": lambda: by_ijson("python"),
    "duckdb": lambda: duckdb.sql("from read_json('line.jsonl')").fetchone()[0],
    "polars": lambda: pl.read_ndjson("line.jsonl")["text"][0],
}
found = {}
print(document)
for name, read in readers.items():
    try:
        found[name] = ascii(read())
        print(f"{name:14} {found[name]}")
    except (ValueError, msgspec.DecodeError, duckdb.Error) as error:
        found[name] = "refused"
        print(f"{name:14} refused: {str(error).splitlines()[0].split('/')[0]}")
if found != {
    "json": r"'\ud83d'",
    "orjson": "refused",
    "msgspec": "refused",
    "jiter": "refused",
    "ijson yajl2_c": "'?'",
    "ijson python": r"'\ud83d'",
    "duckdb": "refused",
    "polars": r"'\x00'",
}:
    sys.exit("changed")
PY
