"""The verb `load`: parts that have landed, here or in folders of shards, into the warehouse or one made anew."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.cluster.flatteners import flatteners
from pipeline.console.tables import count_of
from pipeline.errors import ConfigurationError, IncompleteError
from pipeline.raw.parts import RawStore
from pipeline.raw.places import open_raw
from pipeline.raw.prune_record import forget_pruned
from pipeline.upkeep.gathering import gather_parts, gathering_store, raw_folder
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.load import load_new_parts, rebuild
from pipeline.warehouse.loaded_parts import refuse_if_missed, sweep_leftovers
from pipeline.warehouse.lost_values import any_counted, held_parts, lost_since, summary_of, warnings_of


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What is loaded: new parts, those of `folders` brought in before, or with `rebuild` all there are."""

    folders: Sequence[Path] = ()
    rebuild: bool = False
    forget_pruned: bool = False
    lock_wait_s: float = 30.0


def load_landed(data_dir: Path, request: LoadRequest, *, as_json: bool) -> int:
    """Load, say how much that was and what of it could not be read; the exit code.

    Raises ConfigurationError where there is nothing to do what was asked with, WarehouseLockedError while another
    process loads.
    """
    if request.forget_pruned and not request.rebuild:
        raise ConfigurationError("--forget-pruned is for --rebuild: a load takes nothing out of the warehouse")
    store, warehouse = gathering_store(data_dir, request.folders), warehouse_path(data_dir)
    sweep_leftovers(store)
    gathered = gather_parts(store, request.folders, warehouse)
    if request.forget_pruned and not store.list_parts() and not warehouse.exists():
        forget_pruned(store)
        print(f"there is nothing left of {data_dir}: pruned raw parts are forgotten, a sync begins anew")
        return 0
    if request.rebuild and not store.list_parts():
        raise ConfigurationError(
            f"there are no raw parts in {store.place}: nothing to rebuild from, {warehouse} is left"
        )
    held = frozenset[str]() if request.rebuild else held_parts(warehouse)
    count = _load(store, warehouse, request)
    lost = lost_since(warehouse, held)
    for warning in warnings_of(lost):
        print(f"warning: {warning}", file=sys.stderr)
    if as_json:
        summary = {"warehouse": str(warehouse), "parts": count, "gathered": gathered, "rebuilt": request.rebuild}
        print(json.dumps({**summary, **summary_of(lost)}))
    elif not warehouse.exists():
        print(f"there are no raw parts in {store.place} to load")
    else:
        print(f"{'rebuilt from' if request.rebuild else 'loaded'} {count_of(count, 'raw parts')}: {warehouse}")
    if request.folders:
        refuse_if_missed([open_raw(raw_folder(other)) for other in request.folders], warehouse)
    return IncompleteError.exit_code if any_counted(lost) else 0


def _load(store: RawStore, warehouse: Path, request: LoadRequest) -> int:
    """How many parts were loaded, or the warehouse rebuilt from."""
    with flatteners(store, store.list_parts() if request.rebuild or not warehouse.exists() else []) as flattener:
        if not request.rebuild:
            return load_new_parts(store, warehouse, wait_s=request.lock_wait_s, flattener=flattener)
        return rebuild(
            store,
            warehouse,
            wait_s=request.lock_wait_s,
            without_pruned=request.forget_pruned,
            no_ledger=_say_priced_anew,
            flattener=flattener,
        )


def _say_priced_anew() -> None:
    print("there was no ledger to keep: sealed runs are priced with the price book of today", file=sys.stderr)
