"""Parts that repeat others, as file synchronisers make them under names of their own: each walk counts once."""

import polars as pl

from pipeline.flatten.part_frames import Frames
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, read_frame, register, unregister

_HELD = "select walk_id, part as first_part from walks semi join landed_walks using (walk_id)"


def each_walk_once(connection: Connection, frames: Frames) -> Frames:
    """The frames of parts without walks that the warehouse holds, or that come twice among them.

    No two walks that were made have one id. `copy_of` of a part that brings nothing of its own is the part that has it.
    """
    walks = frames["walks"]
    register(connection, "landed_walks", walks.select("walk_id").unique())
    held = read_frame(connection, _HELD).unique("walk_id")
    unregister(connection, "landed_walks")
    if held.is_empty() and not walks["walk_id"].is_duplicated().any():
        return {**frames, "loaded_parts": frames["loaded_parts"].with_columns(copy_of=pl.lit(None, pl.String))}
    own = {name: _once(name, frame, held) if "walk_id" in frame.columns else frame for name, frame in frames.items()}
    firsts = pl.concat([held, own["walks"].select("walk_id", first_part="part")])
    copies = (
        walks.join(firsts, on="walk_id", how="left")
        .group_by("part")
        .agg(copy_of=pl.col("first_part").min(), is_copy=(pl.col("first_part") != pl.col("part")).all())
        .filter("is_copy")
    )
    return {**own, "loaded_parts": frames["loaded_parts"].join(copies.drop("is_copy"), on="part", how="left")}


def _once(name: str, frame: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    key = list(dict.fromkeys([*read_sql_files("tables")[name].grain, "walk_id"]))
    return frame.join(held, on="walk_id", how="anti", maintain_order="left").unique(
        key, keep="first", maintain_order=True
    )
