#!/usr/bin/env bash
# openai 3.57.0 (Python 3.11), against a server on this machine that answers with the lists
# written below.
# Expected: iterating over a list asks on while the server says has_more: true, and every list
# pages by one rule.
# Seen: a page with has_more: true and no data ends the loop as if all had been read, even when it
# names a last_id to go on from. And there are two rules: conversation items go on after the
# page's last_id, vector stores, batches, files after the id of the last entry of data: one page,
# two cursors.
# Who meets it: servers that speak this API and filter a page after reading it (proxies, gateways,
# mocks); the client's loop then ends early without an error.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq 'openai==3.57.0'
venv/bin/python - <<'PY'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from openai import OpenAI

pages, asked = [], []


class Lists(BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.path.partition("?")[2])
        body = json.dumps(pages.pop(0)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def page(ids, last_id, has_more):
    entries = [{"id": name, "type": "message", "role": "user", "content": []} for name in ids]
    return {"object": "list", "data": entries, "last_id": last_id, "has_more": has_more}


LISTS = {
    "filtered page": [page(["a", "b"], "c", True), page(["d"], "d", False)],
    "empty page": [page(["a", "b"], "b", True), page([], "c", True), page(["d"], "d", False)],
}
server = ThreadingHTTPServer(("127.0.0.1", 0), Lists)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = OpenAI(
    api_key="none", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0, timeout=20
)
readers = {
    "conversation items": lambda: client.conversations.items.list("conv_1"),
    "vector stores": client.vector_stores.list,
    "batches": client.batches.list,
}
found = {}
for case, answers in LISTS.items():
    for name, read in readers.items():
        pages[:] = answers
        asked.clear()
        found[case, name] = ([entry.id for entry in read()], asked[1:])
        print(f"{case:14} {name:19} read {found[case, name][0]}, asked {asked[1:]}")
server.shutdown()
for name in readers:
    cursor = "after=c" if name == "conversation items" else "after=b"
    if found["filtered page", name] != (["a", "b", "d"], [cursor]):
        sys.exit(f"changed: cursor of {name}")
    if found["empty page", name] != (["a", "b"], ["after=b"]):
        sys.exit(f"changed: {name} at an empty page")
PY
