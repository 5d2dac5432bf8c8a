"""The verb `publish delta`, for a person at a terminal: raw parts into a lake, and the lake in good order."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from pipeline.delta_tables import LakeConflictError
from pipeline.errors import ConfigurationError, IncompleteError
from pipeline.gathering import gather_parts
from pipeline.lake import Lake
from pipeline.present import count_of
from pipeline.prices import own_prices_path, read_price_book
from pipeline.publishing import Publisher
from pipeline.sync import raw_store, warehouse_path

_Done = TypeVar("_Done")
_TRIES = 5


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """Where to publish, the data folders of shards to take parts from, and what to do with the lake afterwards."""

    place: str
    folders: Sequence[Path] = ()
    optimize: bool = False
    vacuum_days: float | None = None
    without_pruned: bool = False
    quiet: bool = False


def publish_to_lake(data_dir: Path, request: PublishRequest, *, as_json: bool) -> None:
    """Publish what the lake does not hold yet and say so on stdout, progress on stderr."""
    lake = Lake(request.place)
    store, warehouse = raw_store(data_dir), warehouse_path(data_dir)
    gather_parts(store, request.folders)
    if not store.list_parts():
        raise ConfigurationError(
            f"there are no raw parts in {store.place}: nothing to publish. `python -m pipeline sync` lands some,"
            " --data-dir names another data folder"
        )
    publisher = Publisher(
        store, lake, read_price_book(own_prices_path(data_dir)), warehouse, without_pruned=request.without_pruned
    )

    def say(parts: int) -> None:
        if not request.quiet and not as_json:
            print(f"published {count_of(parts, 'raw parts')}", file=sys.stderr)

    done = publisher.publish(published=say)
    files = _trying(lake.optimize) if request.optimize else None
    days = request.vacuum_days
    removed = None if days is None else _trying(lambda: lake.vacuum(days=days))
    if as_json:
        summary = {"lake": lake.place, **asdict(done), "files": files, "files_removed": removed}
        print(json.dumps(summary))
        return
    print(f"{count_of(done.parts, 'raw parts') if done.parts else 'no new raw parts'}: {lake.place}")
    if files is not None:
        print(f"optimized: {count_of(sum(files.values()), 'files')} in {count_of(len(files), 'tables')}")
    if removed is not None:
        print(f"vacuumed: {count_of(removed, 'files')} removed")


def _trying(work: Callable[[], _Done]) -> _Done:
    """Work on the lake, done again when a publisher has come between."""
    for _ in range(_TRIES):
        try:
            return work()
        except LakeConflictError as error:
            refused = error
    raise IncompleteError(f"others write to the lake all the time ({refused}): run the same command again later")
