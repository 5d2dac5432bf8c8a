"""The digest of a raw part's rows: Parquet as Polars writes it has no checksum, a flipped bit reads as other data."""

import hashlib

import polars as pl

from pipeline.raw.columns import PART_SCHEMA

# Bodies that are hashed at once: between two calls another thread may take the interpreter's lock for a while.
_BODIES = 64


def digest_rows(frame: pl.DataFrame) -> str:
    """SHA-256 over every value of a frame of `PART_SCHEMA`, in hexadecimal."""
    columns = [pl.col(name).to_physical() for name in PART_SCHEMA if name != "body"]
    rows = frame.select(*columns, pl.col("body").bin.size()).rows()
    digest = hashlib.sha256("".join(map(repr, rows)).encode())
    for bodies in frame.select(pl.col("body").drop_nulls()).iter_slices(_BODIES):
        digest.update(b"".join(bodies["body"].to_list()))
    return digest.hexdigest()
