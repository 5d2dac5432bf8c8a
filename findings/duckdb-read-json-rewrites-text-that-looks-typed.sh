#!/usr/bin/env bash
# duckdb 2.0.1 (Python 3.11).
# Expected: a JSON string is a string; turning it to text again gives what the file has.
# Seen: read_json makes DATE, TIME, TIMESTAMP WITH TIME ZONE or UUID of a string column whose
# sampled values fit, and its text is then another: an upper-case id comes back in lower case, a
# blank at the end goes, an offset goes and digits past the microsecond go. Strings of digits are
# left alone, so the rule is not to be guessed from those.
# Who meets it: joins on ids between a table read by DuckDB and text read by anything else; hashes
# of exported rows.
# Way around: name the types in columns.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq 'duckdb==2.0.1'
venv/bin/python - <<'PY'
import json
import sys

import duckdb

texts = {
    "id": "6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
    "day": "2024-11-20 ",
    "clock": "10:00",
    "stamp": "2024-11-20T10:00:00.123456789+02:00",
    "number": "0012",
}
with open("line.jsonl", "w") as line:
    line.write(json.dumps(texts) + "\n")
duckdb.sql("set timezone = 'UTC'")
found = {}
for name, text in texts.items():
    query = f'select typeof("{name}"), "{name}"::varchar from read_json(\'line.jsonl\')'
    found[name] = duckdb.execute(query).fetchone()
    print(f"{text!r:40} -> {found[name][0]:25} {found[name][1]!r}")
if found != {
    "id": ("UUID", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    "day": ("DATE", "2024-11-20"),
    "clock": ("TIME", "10:00:00"),
    "stamp": ("TIMESTAMP WITH TIME ZONE", "2024-11-20 08:00:00.123456+00"),
    "number": ("VARCHAR", "0012"),
}:
    sys.exit("changed")
PY
