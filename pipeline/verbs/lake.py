"""The verb `publish delta`, for a person at a terminal: raw parts into a lake, and the lake in good order."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipeline.cluster.executors import Executor
from pipeline.cluster.ray_session import open_cluster
from pipeline.console.tables import count_of
from pipeline.errors import ConfigurationError
from pipeline.lake.publishing import Published, Publisher
from pipeline.lake.retrying import retry_conflicts
from pipeline.lake.store import Lake
from pipeline.program import command
from pipeline.sqlfiles.price_book import own_prices_path, read_price_book
from pipeline.upkeep.gathering import gather_parts, gathering_store
from pipeline.warehouse.database import warehouse_path


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """Where to publish, the data folders of shards to take parts from, and what to do with the lake afterwards.

    With the executor ray `workers` tasks (0: as many as help) work out what batches change.
    """

    place: str
    folders: Sequence[Path] = ()
    optimize: bool = False
    vacuum_days: float | None = None
    without_pruned: bool = False
    quiet: bool = False
    executor: Executor = "local"
    ray_address: str | None = None
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a lake's files: how many each table has left, how many were removed; None where nobody asked."""

    files: dict[str, int] | None
    files_removed: int | None


def publish_to_lake(data_dir: Path, request: PublishRequest, *, as_json: bool) -> None:
    """Publish what the lake does not hold yet and say so on stdout, progress and warnings on stderr."""
    publisher = _make_publisher(data_dir, request)

    def say(parts: int) -> None:
        if not request.quiet and not as_json:
            print(f"published {count_of(parts, 'raw parts')}", file=sys.stderr)

    done = _publish(publisher, request, published=say)
    for note in done.notes:
        print(f"warning: {note}", file=sys.stderr)
    kept = _keep_in_order(publisher.lake, request)
    if as_json:
        print(json.dumps({"lake": publisher.lake.place, **asdict(done), **asdict(kept)}))
    else:
        _report(publisher.lake.place, done, kept)


def _make_publisher(data_dir: Path, request: PublishRequest) -> Publisher:
    lake = Lake(request.place)
    store, warehouse = gathering_store(data_dir, request.folders), warehouse_path(data_dir)
    gather_parts(store, request.folders, warehouse)
    if not store.list_parts():
        raise ConfigurationError(
            f"there are no raw parts in {store.place}: nothing to publish. `{command('sync')}` lands some,"
            " --data-dir names another data folder"
        )
    book = read_price_book(own_prices_path(data_dir))
    return Publisher(store, lake, book, warehouse, without_pruned=request.without_pruned)


def _publish(publisher: Publisher, request: PublishRequest, *, published: Callable[[int], None]) -> Published:
    if request.executor == "local":
        return publisher.publish(published=published)
    with closing(open_cluster(request.ray_address, workers=request.workers)) as cluster:
        return replace(publisher, cluster=cluster).publish(published=published)


def _keep_in_order(lake: Lake, request: PublishRequest) -> Kept:
    days = request.vacuum_days
    return Kept(
        retry_conflicts(lambda _: lake.optimize(), place=lake.place) if request.optimize else None,
        None if days is None else retry_conflicts(lambda _: lake.vacuum(days=days), place=lake.place),
    )


def _report(place: str, done: Published, kept: Kept) -> None:
    print(f"{count_of(done.parts, 'raw parts') if done.parts else 'no new raw parts'}: {place}")
    if kept.files is not None:
        print(f"optimized: {count_of(sum(kept.files.values()), 'files')} in {count_of(len(kept.files), 'tables')}")
    if kept.files_removed is not None:
        print(f"vacuumed: {count_of(kept.files_removed, 'files')} removed")
