#!/usr/bin/env bash
# duckdb 2.0.1 (Python 3.11).
# Expected: for an object, document ->> key gives the member of that name, whatever the name is,
# as it does for names with dots, dashes and digits.
# Seen: a name that begins with / or $ is read as a path, so the answer is another member's value,
# and the empty name gives the whole document. No error, and the same for a name given as a bound
# parameter.
# Who meets it: whoever looks up metadata by keys that come from the data (routes such as /v1,
# variables such as $user).
# Way around: quote the name inside a path: '$."/a"'.
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

cases = {
    "a.b": {"a.b": "own", "a": {"b": "other"}},
    "gpt-4o": {"gpt-4o": "own"},
    "0": {"0": "own"},
    "/a": {"/a": "own", "a": "other"},
    "$.a": {"$.a": "own", "a": "other"},
    "": {"": "own", "a": "other"},
}
found = {}
for key, document in cases.items():
    text = json.dumps(document, separators=(",", ":"))
    plain = duckdb.execute("select ?::json ->> ?", [text, key]).fetchone()[0]
    found[key] = plain
    print(f"{text:32} ->> {key!r:9} = {plain!r}")
    if key:
        path = f'$."{key}"'
        quoted = duckdb.execute("select ?::json ->> ?", [text, path]).fetchone()[0]
        if quoted != "own":
            sys.exit(f"changed: {path} gave {quoted!r}")
if found != {
    "a.b": "own",
    "gpt-4o": "own",
    "0": "own",
    "/a": "other",
    "$.a": "other",
    "": '{"":"own","a":"other"}',
}:
    sys.exit("changed")
PY
