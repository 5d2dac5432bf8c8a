"""Publishes a data folder, in batches of any size: here, or in a process of its own that is to be killed."""

from pathlib import Path
from typing import Any

from pipeline.lake.publishing import Published, Publisher
from pipeline.lake.store import Lake
from pipeline.raw.places import raw_store
from pipeline.sqlfiles.price_book import own_prices_path, read_price_book
from pipeline.warehouse.database import warehouse_path


def publish(
    data_dir: Path,
    lake: Path | str | Lake,
    *,
    batch_bytes: int = 2**25,
    without_pruned: bool = False,
    attempts: int = 20,
    cluster: Any = None,
) -> Published:
    """Publish a data folder's parts, in batches of that many bytes; with a cluster its workers work them out."""
    publisher = Publisher(
        raw_store(data_dir),
        lake if isinstance(lake, Lake) else Lake(str(lake)),
        read_price_book(own_prices_path(data_dir)),
        warehouse_path(data_dir),
        without_pruned=without_pruned,
        batch_bytes=batch_bytes,
        attempts=attempts,
        cluster=cluster,
    )
    return publisher.publish()
