#!/usr/bin/env bash
# polars 2.1.0 (Python 3.11).
# Expected: pl.DataFrame is strict by default, so 1.5 given for an Int64 column raises however the
# data lies.
# Seen: given as a column it raises TypeError; given as rows (dicts or lists, from_dicts too) 1.5
# becomes 1 and the text "7" becomes 7, in silence, and strict=True said aloud changes nothing.
# Text that is no number does raise, so the rows are looked at.
# Who meets it: whoever builds frames from lists of JSON objects with a schema as the guard.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq 'polars==2.1.0'
venv/bin/python - <<'PY'
import sys

import polars as pl

SCHEMA = {"n": pl.Int64}


def rows(values):
    return pl.DataFrame([{"n": value} for value in values], schema=SCHEMA, strict=True)


ways = {
    "column": lambda values: pl.DataFrame({"n": values}, schema=SCHEMA, strict=True),
    "dicts": rows,
    "from_dicts": lambda values: pl.from_dicts([{"n": v} for v in values], schema=SCHEMA),
    "lists": lambda values: pl.DataFrame([[v] for v in values], schema=SCHEMA, orient="row"),
}
found = {}
for value in (1.5, "7", "seven"):
    for way, build in ways.items():
        try:
            found[way, value] = build([1, value])["n"].to_list()
        except (TypeError, pl.exceptions.ComputeError) as error:
            found[way, value] = type(error).__name__
        print(f"[1, {value!r}] as {way:10} -> {found[way, value]}")
for way in ways:
    cut, parsed, refused = found[way, 1.5], found[way, "7"], found[way, "seven"]
    expected = ["TypeError"] * 3 if way == "column" else [[1, 1], [1, 7], "ComputeError"]
    if [cut, parsed, refused] != expected:
        sys.exit(f"changed: {way}")
PY
