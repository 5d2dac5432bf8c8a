"""The columns of a part, in which pages and what is told of them are stored, and the type of an instant."""

import polars as pl

INSTANT = pl.Datetime("us", "UTC")

# grain: one page, one walk's certificate, one plan, one archive file or one sync summary; kind says which.
PART_SCHEMA: dict[str, pl.DataType] = {
    "kind": pl.String(),
    "source": pl.String(),
    "sync_id": pl.String(),
    "walk_id": pl.String(),
    "resource": pl.String(),
    "thread_id": pl.String(),
    "run_id": pl.String(),
    "page_index": pl.Int64(),
    "cursor": pl.String(),
    "fetched_at": INSTANT,
    "request_id": pl.String(),
    "origin": pl.String(),
    "body": pl.Binary(),
}
