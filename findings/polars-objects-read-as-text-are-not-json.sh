#!/usr/bin/env bash
# polars 2.1.0 (Python 3.11).
# Expected: read_ndjson with an object in a String column gives that object's JSON text (it does
# so for quotes and line ends in values, and for nested objects).
# Seen: it writes the text anew: a backslash or a control character in a value and a quote or a
# line end in a name come out unescaped, so that the text is no JSON; where it can still be read
# it may be another value (C:\new becomes C:, a line end and ew); 1.0 becomes 1 and 1e22 becomes
# 23 digits.
# Who meets it: whoever keeps tool arguments or metadata as JSON text: Windows paths, regular
# expressions.
# Way around: let the column be a struct and encode it with struct.json_encode.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq 'polars==2.1.0'
venv/bin/python - <<'PY'
import io
import json
import sys

import polars as pl

documents = {
    "quote": r'{"say":"a \"b\""}',
    "line end": r'{"say":"a\nb"}',
    "path": r'{"path":"C:\\new"}',
    "regex": r'{"regex":"\\d+"}',
    "control": r'{"say":"\u001b[0m"}',
    "quoted name": r'{"a \"b\"":1}',
    "float": '{"price":1.0}',
}
found = {}
for name, document in documents.items():
    line = ('{"v":%s}\n' % document).encode()
    text = pl.read_ndjson(io.BytesIO(line), schema={"v": pl.String})["v"][0]
    encoded = pl.read_ndjson(io.BytesIO(line))["v"].struct.json_encode()[0]
    if json.loads(encoded) != json.loads(document):
        sys.exit(f"changed: struct.json_encode of {name}")
    try:
        back = json.loads(text)
        found[name] = "same" if repr(back) == repr(json.loads(document)) else "another value"
    except json.JSONDecodeError:
        found[name] = "not JSON"
    print(f"{name:12} {document:22} -> {text!r:26} {found[name]}")
if found != {
    "quote": "same",
    "line end": "same",
    "path": "another value",
    "regex": "not JSON",
    "control": "not JSON",
    "quoted name": "not JSON",
    "float": "another value",
}:
    sys.exit("changed")
PY
