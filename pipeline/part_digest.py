"""The digest of a raw part's rows: Parquet as Polars writes it has no checksum, a flipped bit reads as other data."""

import hashlib

import polars as pl

from pipeline.pages import PART_SCHEMA


def digest_rows(frame: pl.DataFrame) -> str:
    """SHA-256 over every value of a frame of `PART_SCHEMA`, in hexadecimal."""
    digest = hashlib.sha256()
    columns = [pl.col(name).to_physical() for name in PART_SCHEMA if name != "body"]
    for row in frame.select(*columns, pl.col("body").bin.size()).iter_rows():
        digest.update(repr(row).encode())
    for body in frame["body"].drop_nulls():
        digest.update(body)
    return digest.hexdigest()
