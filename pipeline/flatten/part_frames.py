"""Raw parts as frames: their walks flattened, and what they say about themselves; grain and columns of the tables."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
import polars as pl

from pipeline.flatten.bills import billed_frame
from pipeline.flatten.frames import flatten
from pipeline.raw.columns import INSTANT
from pipeline.raw.parts import Part
from pipeline.sqlfiles.catalog import read_sql_files

Frames = dict[str, pl.DataFrame]


def frames_of(*parts: Part) -> Frames:
    """Frames of parts by the name of what they go into: the tables of steps and runs, plans, syncs, loaded_parts."""
    return {**flatten([walk for part in parts for walk in part.walks]), **_bookkeeping(parts)}


def frames_of_each(parts: Sequence[Part]) -> list[Frames]:
    """The frames of parts: of all together, which is faster, unless one repeats a walk of another."""
    walk_ids = [walk.walk_id for part in parts for walk in part.walks]
    are_own = len(set(walk_ids)) == len(walk_ids)
    return [frames_of(*parts)] if are_own else [frames_of(part) for part in parts]


def _bookkeeping(parts: Sequence[Part]) -> dict[str, pl.DataFrame]:
    """Frames of what the parts say about themselves: plans, syncs and loaded_parts."""
    plans = [(part.source, thread, seen_at) for part in parts for thread, seen_at in part.planned_threads]
    syncs = [(part.sync_id, part.source, summary) for part in parts for summary in part.summaries]
    sync_columns = read_sql_files("tables")["syncs"].columns
    sync_types = {"varchar": pl.String(), "json": pl.String(), "bigint": pl.Int64(), "timestamptz": INSTANT}
    return {
        "plans": pl.DataFrame(
            plans, schema={"source": pl.String, "thread_id": pl.String, "seen_at": INSTANT}, orient="row"
        ),
        "syncs": pl.DataFrame(
            [
                [sync_id, source, *(_json_text(getattr(summary, name)) for name in list(sync_columns)[2:])]
                for sync_id, source, summary in syncs
            ],
            schema={name: sync_types[sql] for name, sql in sync_columns.items()},
            orient="row",
        ),
        "billed_usage": billed_frame(bill for part in parts for bill in part.bills).with_row_index("row_number"),
        "loaded_parts": pl.DataFrame(
            [_part_row(part) for part in parts],
            schema={
                "part": pl.String,
                "sync_id": pl.String,
                "source": pl.String,
                "page_count": pl.Int64,
                "walk_count": pl.Int64,
                "size_bytes": pl.Int64,
                "landed_at": INSTANT,
            },
            orient="row",
        ),
    }


def _json_text(value: object) -> object:
    return msgspec.json.encode(value).decode() if isinstance(value, (dict, list)) else value


def _part_row(part: Part) -> tuple[str, str, str, int, int, int, datetime]:
    pages = sum(len(walk.pages) for walk in part.walks)
    name = part.part
    return name.name, part.sync_id, name.source, pages, len(part.walks), part.size_bytes, part.landed_at
