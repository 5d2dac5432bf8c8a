#!/usr/bin/env bash
# duckdb 2.0.1 (Python 3.11).
# Expected: get_table_names says which tables a query reads, for every query that can be run.
# Seen: of a query with an ASOF JOIN, and of any query over a view that has one, it raises "Missing
# ASOF JOIN inequality", though the inequality is there and the query runs. With an inner join in
# its place it names both tables, also through a view.
# Who meets it: whoever asks DuckDB what a statement depends on before it is run (cells of
# notebooks, lineage, caches by table): prices or rates joined by the day they are from are the
# usual case of such a join.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq 'duckdb==2.0.1'
venv/bin/python - <<'PY'
import sys

import duckdb

connection = duckdb.connect()
connection.execute("create table calls (model text, made_on date)")
connection.execute("create table prices (model text, valid_from date, usd decimal(9, 2))")
connection.execute("insert into calls values ('m', date '2026-03-05')")
connection.execute("insert into prices values ('m', date '2026-01-01', 2), ('m', date '2026-03-01', 3)")
join = "join prices on calls.model = prices.model and calls.made_on >= prices.valid_from"
connection.execute(f"create view priced as select calls.model, usd from calls asof {join}")
found = {}
for name, query in {
    "asof": f"select usd from calls asof {join}",
    "view": "select usd from priced",
    "inner": f"select max(usd) from calls {join}",
}.items():
    rows = connection.execute(query).fetchall()
    try:
        names = sorted(connection.get_table_names(query))
    except duckdb.Error as error:
        names = str(error)
    found[name] = names
    print(f"{name:6} runs: {rows[0][0]}; reads: {names}")
refused = "Binder Error: Missing ASOF JOIN inequality"
if found != {"asof": refused, "view": refused, "inner": ["calls", "prices"]}:
    sys.exit("changed")
PY
