"""Whether every walk of a sync is where it was to go, and which values of it could not be read."""

from pathlib import Path

from pipeline.errors import IncompleteError
from pipeline.flatten.background import Flattener
from pipeline.sqlfiles.duck import read_frame
from pipeline.warehouse.background import Loader
from pipeline.warehouse.database import open_for_reading
from pipeline.warehouse.lost_values import LostValue, lost_by_sync, lost_in_frames


def find_lost(
    receiver: Loader | Flattener, warehouse: Path, raw: Path, sync_id: str, *, source: str, walks: int
) -> list[LostValue]:
    """What could not be read of what this sync fetched, which must have come to at least so many walks.

    Raises IncompleteError where it has not: what was fetched must not get lost.
    """
    if isinstance(receiver, Flattener):
        _check_walks(receiver.count_walks(), f"the flattened parts of {raw}", sync_id, walks=walks)
        return lost_in_frames(receiver.read_frames(("rejects", "walks", "syncs")))
    _check_walks(_count_walks(warehouse, sync_id), str(warehouse), sync_id, walks=walks)
    return lost_by_sync(warehouse, sync_id, source=source)


def _count_walks(warehouse: Path, sync_id: str) -> int:
    with open_for_reading(warehouse) as connection:
        query = "select count(*) as walks from walks where sync_id = $sync_id"
        return int(read_frame(connection, query, {"sync_id": sync_id}).item())


def _check_walks(found: int, where: str, sync_id: str, *, walks: int) -> None:
    if found < walks:
        raise IncompleteError(
            f"of {walks:,} lists that were walked only {found:,} are in {where}: raw parts of {sync_id} are gone."
            " Run the same command again; it fetches what is missing"
        )
