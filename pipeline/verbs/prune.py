"""The verb `prune`: what would go, the question, and what went."""

import json
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.console.tables import count_of
from pipeline.errors import ConfigurationError
from pipeline.program import command
from pipeline.raw.places import raw_store
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.loaded_parts import Prunable, find_prunable, prune_parts, sweep_leftovers


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """Parts that landed longer before `now` than `older_than` are asked for."""

    older_than: timedelta
    now: datetime
    dry_run: bool = False
    yes: bool = False
    lock_wait_s: float = 30.0

    @property
    def before(self) -> datetime:
        """The instant that parts must have landed before."""
        try:
            return self.now - self.older_than
        except OverflowError as error:
            raise ConfigurationError("--older-than is before all time") from error


def prune_raw(data_dir: Path, request: PruneRequest, *, as_json: bool) -> None:
    """Remove loaded raw parts once somebody has agreed, and say how much that was.

    Raises ConfigurationError if nobody is there to agree, WarehouseLockedError while another process loads.
    """
    store, warehouse = raw_store(data_dir), warehouse_path(data_dir)
    store.check_is_folder("pruning")
    if not request.dry_run:
        sweep_leftovers(store)
    found = find_prunable(store, warehouse, before=request.before)
    agreed = bool(found.parts) and not request.dry_run and (request.yes or _ask(found, warehouse, as_json=as_json))
    if agreed:
        found = prune_parts(store, warehouse, before=request.before, now=request.now, wait_s=request.lock_wait_s)
    if as_json:
        counts = {"parts": len(found.parts), "size_bytes": found.size_bytes, "waiting_parts": found.waiting}
        print(json.dumps({"pruned": agreed, **counts, "before": request.before.isoformat()}))
        return
    _print_outcome(found, store.folder, pruned=agreed, dry_run=request.dry_run)
    if agreed and found.parts:
        print(f"{_only_place(warehouse)}: keep a copy of it")


def _ask(found: Prunable, warehouse: Path, *, as_json: bool) -> bool:
    if as_json or not sys.stdin.isatty():
        raise ConfigurationError(
            f"nobody is there to say yes to removing {_what(found)}. {_only_place(warehouse)}: keep a copy of it; look"
            " with --dry-run, then add --yes"
        )
    print(f"{_what(found)}, all loaded into {warehouse}, would be removed.")
    print(f"{_only_place(warehouse)}:")
    print("keep a copy of it, and of the parts if you may want them.")
    print("A later version of this program may need to rebuild it: that would then lack what the parts held, and only")
    print("the version that wrote the warehouse could still query all of it.")
    return input("Remove them? [y/N] ").strip().lower() in ("y", "yes")


def _print_outcome(found: Prunable, folder: Path, *, pruned: bool, dry_run: bool) -> None:
    if not found.parts:
        print(f"nothing to prune in {folder}: no loaded raw part is that old")
    elif pruned:
        print(f"removed {_what(found)} from {folder}")
    elif dry_run:
        print(
            f"would remove {_what(found)} from {folder}: they are loaded. The warehouse could not be rebuilt any more"
        )
    else:
        print("nothing was removed")
    if found.waiting:
        print(f"{count_of(found.waiting, 'raw parts')} not loaded yet: kept. Load with: {command('load')}")


def _only_place(warehouse: Path) -> str:
    return (
        f"Without them {warehouse} is the only place that has what they held, and cannot be rebuilt from raw parts any"
        " more"
    )


def _what(found: Prunable) -> str:
    first, last = found.parts[0].landed_at, found.parts[-1].landed_at
    days = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    return f"{count_of(len(found.parts), 'raw parts')} ({found.size_bytes / 2**20:,.1f} MiB, {days})"
