#!/usr/bin/env bash
# openai 3.57.0, pydantic 2.14.4, duckdb 2.0.1 (Python 3.11).
# Expected: model_dump_json of a Response that the client read gives the server's JSON back, apart
# from members that are null.
# Seen: created_at, sent as an integer, comes back with .0 (its type in the client is a float); a
# kind of output that the client does not know yet is taken for a message and gets role, content,
# phase and status of its own, null (with pydantic warnings, here turned off). Those are not told
# apart from null that the server sent. to_dict() leaves the added members out, and has the float
# too.
# Who meets it: archives that hold raw answers beside dumps: DuckDB reads created_at as BIGINT
# from one and DOUBLE from the other, and joining or hashing them as text finds no match; a query
# for outputs that have a role finds ones that have none.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq 'openai==3.57.0' 'pydantic==2.14.4' 'duckdb==2.0.1'
venv/bin/python - <<'PY'
import json
import sys
import warnings

import duckdb
from openai.types.responses import Response

sent = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1764500000,
    "model": "gpt-5.5",
    "output": [{"id": "new_1", "type": "kind_of_next_year", "data": {"a": 1}}],
}
read = Response.construct(**sent)
warnings.simplefilter("ignore", UserWarning)
dumps = {
    "sent": json.dumps(sent),
    "model_dump_json": read.model_dump_json(),
    "to_dict": json.dumps(read.to_dict()),
}
found = {}
for name, text in dumps.items():
    with open("line.jsonl", "w") as line:
        line.write(text + "\n")
    kind = duckdb.execute(
        "select typeof(created_at), created_at::varchar from read_json('line.jsonl')"
    )
    found[name] = (*kind.fetchone(), sorted(json.loads(text)["output"][0]))
    print(f"{name:16}", *found[name])
print("the client took the output for", type(read.output[0]).__name__)
own = ["data", "id", "type"]
added = ["content", "data", "id", "phase", "role", "status", "type"]
if found != {
    "sent": ("BIGINT", "1764500000", own),
    "model_dump_json": ("DOUBLE", "1764500000.0", added),
    "to_dict": ("DOUBLE", "1764500000.0", own),
}:
    sys.exit("changed")
PY
