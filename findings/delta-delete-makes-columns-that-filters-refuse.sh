#!/usr/bin/env bash
# deltalake 1.6.6, polars 2.1.0, pyarrow 26.0.1 (Python 3.11).
# Expected: a table whose Delta schema says string is filtered by pyarrow, whoever wrote the file.
# Seen: Parquet files that Polars' write_delta writes, and those that a delete or a merge of
# deltalake writes anew whatever came in, carry string_view in the Arrow schema stored in the
# file. The dataset that deltalake itself hands out says string, reads whole, and refuses an
# equality filter on that column unless the file's statistics already decide it.
# Who meets it: pyarrow and pandas readers of a lake that somebody else deletes from or merges
# into: reading worked yesterday.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq 'deltalake==1.6.6' 'polars==2.1.0' 'pyarrow==26.0.1'
venv/bin/python - <<'PY'
import sys

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

rows = pa.table({"id": ["a", "b", "c"], "n": [1, 2, 3]})
for name in ("appended", "deleted", "merged"):
    write_deltalake(name, rows)
DeltaTable("deleted").delete("n = 1")
source = pa.table({"id": ["b"], "n": [5]})
merge = DeltaTable("merged").merge(source, "s.id = t.id", source_alias="s", target_alias="t")
merge.when_matched_update_all().execute()
pl.from_arrow(rows).write_delta("polars")

found = {}
for name in ("appended", "deleted", "merged", "polars"):
    table = DeltaTable(name)
    paths = pa.table(table.get_add_actions())["path"].to_pylist()
    stored = {str(pq.read_schema(f"{name}/{path}").field("id").type) for path in paths}
    dataset = table.to_pyarrow_dataset()
    whole = dataset.to_table().num_rows
    try:
        filtered = f"{dataset.to_table(filter=pc.field('id') == 'b').num_rows} row"
    except pa.ArrowNotImplementedError as error:
        filtered = str(error)
    found[name] = (stored, str(dataset.schema.field("id").type), whole, filtered)
    print(f"{name:9}", *found[name])
refused = "Function 'equal' has no kernel matching input types (string, string_view)"
if found != {
    "appended": ({"string"}, "string", 3, "1 row"),
    "deleted": ({"string_view"}, "string", 2, refused),
    "merged": ({"string_view"}, "string", 3, refused),
    "polars": ({"string_view"}, "string", 3, refused),
}:
    sys.exit("changed")
PY
