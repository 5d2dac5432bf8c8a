"""Whether a data folder is well: room, rights, lock, warehouse, raw parts, leftovers, prices, runs that stay open."""

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from pipeline.console.tables import count_of
from pipeline.errors import DamagedPartError, PipelineError, WarehouseLockedError
from pipeline.program import command
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.prune_record import read_pruned
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, read_frame
from pipeline.sqlfiles.near_names import did_you_mean
from pipeline.sqlfiles.schema import SCHEMA_VERSION
from pipeline.storage.private_files import find_left, is_dead
from pipeline.storage.writer_lock import is_being_written
from pipeline.verbs.doctor.diagnosis import Diagnosis
from pipeline.warehouse.database import open_for_reading
from pipeline.warehouse.loaded_parts import all_folders, folders_of
from pipeline.warehouse.lost_values import LostValue, read_lost

# So much of the raw parts is read where not all of them are asked for.
READ_BYTES = 256 * 2**20
_LEAST_FREE_BYTES = 512 * 2**20
_OPEN_FOR = timedelta(days=7)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_NAMED = 3
_UNPRICED = "select distinct model from unpriced_usage where model is not null order by model"
_OPEN_RUNS = "open_runs"
_KNOWN_THREAD = """
select thread_id from threads where source = $source and status = 'synced' order by last_synced_at desc, 1 limit 1
"""


@dataclass(frozen=True, slots=True)
class Folder:
    """A data folder and the warehouse in it, which need not be there."""

    store: RawStore
    warehouse: Path

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.warehouse.parent


@dataclass(frozen=True, slots=True)
class Contents:
    """What the warehouse says: names of its parts, models without a price, runs that have been open for long."""

    parts: frozenset[str]
    unpriced: Sequence[str]
    priced: Sequence[str]
    still_open: int
    open_since: date
    lost: Sequence[LostValue]
    thread_id: str | None


def read_contents(warehouse: Path, *, source: str | None, now: datetime) -> Contents:
    """All that is looked at in a warehouse. Raises what opening it raises."""
    with open_for_reading(warehouse) as connection:
        parts = read_frame(connection, "select part from loaded_parts")["part"].to_list()
        unpriced = read_frame(connection, _UNPRICED)["model"].to_list()
        priced = read_frame(connection, "select distinct model from prices")["model"].to_list()
        open_since = (now - _OPEN_FOR).date()
        asked = {"before": open_since.isoformat(), "limit": 2**62}
        still_open = read_frame(connection, read_sql_files("queries")[_OPEN_RUNS].text, asked).height
        lost = read_lost(connection)
        return Contents(
            frozenset(parts), unpriced, priced, still_open, open_since, lost, _known_thread(connection, source)
        )


def _known_thread(connection: Connection, source: str | None) -> str | None:
    found = read_frame(connection, _KNOWN_THREAD, {"source": source})["thread_id"].to_list()
    return found[0] if found else None


def examine_folder(folder: Folder) -> Iterator[Diagnosis]:
    """Room on the disk, and who may read what is there."""
    there = next(path for path in (folder.path.absolute(), *folder.path.absolute().parents) if path.exists())
    if not there.is_dir():
        yield Diagnosis("disk", "fail", f"{there} is a file", "name a folder with --data-dir")
    elif not os.access(there, os.W_OK):
        yield Diagnosis("disk", "fail", f"{there} cannot be written", "give this user the right, or name --data-dir")
    else:
        # A load beside a reader, and a rebuild, write a second warehouse.
        free, needed = shutil.disk_usage(there).free, _size_of(folder.warehouse) + _LEAST_FREE_BYTES
        found = f"{free / 2**30:,.1f} GiB free at {there}"
        if free < needed:
            advice = f"make room: a rebuild and new raw parts need {needed / 2**30:,.1f} GiB"
            yield Diagnosis("disk", "warn", found, advice)
        else:
            yield Diagnosis("disk", "ok", found)
    yield _examine_rights(folder)


def _examine_rights(folder: Folder) -> Diagnosis:
    looked_at = [folder.warehouse, *folders_of(folder.store), *(folder.path.glob("*.html"))]
    there = [path for path in looked_at if path.exists()]
    if not there or os.name != "posix":
        return Diagnosis("rights", "ok", f"nothing in {folder.path} yet")
    if open_ := [str(path) for path in there if path.stat().st_mode & _OTHERS]:
        advice = f"they hold conversations; unless that is meant so: chmod -R go-rwx {' '.join(open_)}"
        return Diagnosis("rights", "warn", f"others on this machine may read {', '.join(open_)}", advice)
    return Diagnosis("rights", "ok", "only you can read the warehouse and the raw parts")


def examine_lock(folder: Folder, fault: PipelineError | None) -> Diagnosis:
    """Who holds the warehouse; `fault` is what opening it came to."""
    if isinstance(fault, WarehouseLockedError):
        return Diagnosis("lock", "warn", str(fault))
    if is_being_written(folder.warehouse):
        return Diagnosis("lock", "warn", "a load or a rebuild of this program is under way", "wait until it has ended")
    return Diagnosis("lock", "ok", "nobody writes to the warehouse")


def examine_warehouse(folder: Folder, fault: PipelineError | None) -> Diagnosis:
    """Whether it is there, can be read and has this program's schema."""
    if not folder.warehouse.exists():
        return Diagnosis("warehouse", "ok", f"none at {folder.warehouse} yet: a sync makes it")
    if isinstance(fault, WarehouseLockedError):
        return Diagnosis("warehouse", "warn", "not looked at, another process holds it")
    if fault is not None:
        return Diagnosis("warehouse", "fail", str(fault))
    size = f"{_size_of(folder.warehouse) / 2**20:,.1f} MiB"
    return Diagnosis("warehouse", "ok", f"{folder.warehouse}, schema version {SCHEMA_VERSION}, {size}")


def examine_parts(folder: Folder, contents: Contents | None, *, read_all: bool) -> Iterator[Diagnosis]:
    """Raw parts: those that cannot be read or were set aside, those that are gone, those that wait."""
    found = _look_at_parts(folder, contents, read_all=read_all)
    amiss = [*_examine_damage(found), *_examine_gone(found), *_examine_waiting(found)]
    if amiss:
        yield from amiss
    else:
        held = f", {found.pruned:,} pruned" if found.pruned else ""
        advice = "keep a copy of the warehouse, it alone has what they held and no rebuild brings it back"
        yield Diagnosis(
            "raw parts", "ok", f"{found.read}, all whole and loaded{held}", advice if found.pruned else None
        )


@dataclass(frozen=True, slots=True)
class _Parts:
    """Names of raw parts by what is amiss with them; `read` says how many were looked into, `pruned` counts."""

    read: str
    damaged: Sequence[str]
    aside: Sequence[str]
    gone: Sequence[str]
    waiting: Sequence[str]
    pruned: int
    no_warehouse: bool


def _look_at_parts(folder: Folder, contents: Contents | None, *, read_all: bool) -> _Parts:
    parts = folder.store.list_parts()
    chosen = parts if read_all else _newest(folder.store, parts)
    names = frozenset(part.name for part in parts)
    pruned = {part.part for part in read_pruned(folder.store)}
    loaded = contents.parts if contents else frozenset()
    rest = "" if len(chosen) == len(parts) else " (--all-parts reads the others)"
    return _Parts(
        read=f"{len(chosen):,} of {count_of(len(parts), 'raw parts')} read{rest}",
        damaged=[part.name for part in chosen if _is_damaged(folder.store, part)],
        aside=sorted(path.name for path in folder.store.folder.glob("*/*.damaged")),
        gone=sorted(loaded - names - pruned),
        waiting=sorted(names - loaded),
        pruned=len(pruned),
        no_warehouse=not folder.warehouse.exists(),
    )


def _examine_damage(found: _Parts) -> Iterator[Diagnosis]:
    if found.damaged:
        sync = command("sync --full")
        advice = f"move them away, then `{sync}` for their threads; the warehouse still has what was loaded"
        yield Diagnosis("raw parts", "fail", f"damaged: {_some(found.damaged)} ({found.read})", advice)
    if found.aside:
        advice = "a sync of the same threads fetches what they held; then they may go"
        yield Diagnosis("raw parts", "warn", f"damaged and set aside: {_some(found.aside)}", advice)


def _examine_gone(found: _Parts) -> Iterator[Diagnosis]:
    if found.gone:
        advice = "the warehouse has what they held, but no rebuild would: restore them, or keep a copy of the warehouse"
        yield Diagnosis("raw parts", "warn", f"loaded and gone since: {_some(found.gone)}", advice)
    if found.pruned and found.no_warehouse:
        lost = f"{count_of(found.pruned, 'raw parts')} were pruned, and the warehouse that had them is gone"
        advice = f"restore it, or do without: {command('load --rebuild --forget-pruned')}"
        yield Diagnosis("raw parts", "fail", lost, advice)


def _examine_waiting(found: _Parts) -> Iterator[Diagnosis]:
    if found.waiting:
        waiting = f"{count_of(len(found.waiting), 'raw parts')} not loaded yet"
        yield Diagnosis("raw parts", "warn", waiting, command("load"))


def _newest(store: RawStore, parts: Sequence[PartName]) -> Sequence[PartName]:
    left = READ_BYTES
    chosen = []
    for part in reversed(parts):
        try:
            left -= store.size_bytes(part)
        except OSError:
            # It went meanwhile.
            continue
        if left < 0:
            break
        chosen.append(part)
    return chosen


def _is_damaged(store: RawStore, part: PartName) -> bool:
    try:
        store.read_part(part)
    except DamagedPartError:
        return True
    except PipelineError:
        # It went meanwhile, or this user may not read it.
        return part in store.list_parts()
    return False


def examine_leftovers(folder: Folder) -> Diagnosis:
    """Files that processes were writing when they died."""
    left = [path for each in all_folders(folder.store) for path in find_left(each)]
    dead = [path.name for path in left if is_dead(path)]
    if dead:
        found = f"{count_of(len(dead), 'files')} of dead processes: {_some(dead)}"
        return Diagnosis("leftovers", "warn", found, "the next sync, load or prune removes them")
    others = [path for path in left if not is_dead(path)]
    if others:
        found = f"being written, here or on another machine: {_some([path.name for path in others])}"
        return Diagnosis("leftovers", "ok", f"{found}; if no machine of that name writes here any more, remove them")
    return Diagnosis("leftovers", "ok", "none")


def examine_contents(contents: Contents) -> Iterator[Diagnosis]:
    """Prices that are missing, values that could not be read, and runs that have not ended for long."""
    if contents.lost:
        found = f"{contents.lost[0].line}; {sum(value.rejects for value in contents.lost):,} in all"
        yield Diagnosis("values", "warn", found, f"see {command('query rejects_summary')}")
    else:
        yield Diagnosis("values", "ok", "all could be read")
    if contents.unpriced:
        found = f"{count_of(len(contents.unpriced), 'models')} without a price: {_some(contents.unpriced)}"
        hints = [f"{name}: {hint}" for name in contents.unpriced if (hint := did_you_mean(name, contents.priced))]
        found += f"; {_some(hints)}" if hints else ""
        advice = (
            "add rows to own-prices.csv, or map deployments with `models` in the profile, then"
            f" `{command('prices reprice')}`"
        )
        yield Diagnosis("prices", "warn", found, advice)
    else:
        yield Diagnosis("prices", "ok", "every model that was used has one")
    if contents.still_open:
        seen = command(f"query {_OPEN_RUNS} --param before={contents.open_since}")
        found = f"{count_of(contents.still_open, 'runs')} open for more than {_OPEN_FOR.days} days when last seen"
        advice = f"each sync of their threads asks for them again; see {seen}"
        yield Diagnosis("open runs", "warn", found, advice)
    else:
        yield Diagnosis("open runs", "ok", f"none for more than {_OPEN_FOR.days} days")


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
