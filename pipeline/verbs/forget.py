"""The verb `forget`: what it would remove, whether a person wants that, and what became of it."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import polars as pl

from pipeline.console.tables import count_of, frame_table, join_counts, stdout_console
from pipeline.errors import ConfigurationError
from pipeline.privacy.hiding import ContentKey
from pipeline.program import command
from pipeline.raw.places import raw_store
from pipeline.settings.invocation import Settings
from pipeline.sqlfiles.duck import read_frame
from pipeline.upkeep.data_folder import DataFolder, Unreadable
from pipeline.upkeep.removal import forget_contents, forget_threads
from pipeline.upkeep.removal_targets import Target, Wanted, find_targets
from pipeline.verbs.content_key import find_content_key, read_history
from pipeline.warehouse.database import open_for_reading, warehouse_path

_SHOWN = 20
_REPORT = "report.html"
_ELSEWHERE = (
    "Not touched: reports, exports, notebooks, published tables, backups, earlier versions that a bucket keeps, and"
    " other data folders that hold copies; a program that has the old warehouse open keeps it until it closes it."
)


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """What a person asked to forget; `metadata` as KEY=VALUE."""

    thread_ids: Sequence[str] = ()
    metadata: Sequence[str] = ()
    full_content: bool = False
    source: str | None = None
    yes: bool = False
    lock_wait_s: float = 30.0


def forget(settings: Settings, request: ForgetRequest, *, as_json: bool) -> None:
    """Show what is to go, ask, remove it. Raises ConfigurationError where nobody can be asked."""
    data_dir = settings.data_dir
    folder = DataFolder(data_dir, raw_store(data_dir), warehouse_path(data_dir), request.lock_wait_s)
    if not data_dir.is_dir():
        raise ConfigurationError(f"there is no data folder {data_dir}: name it with --data-dir")
    if request.full_content == bool(request.thread_ids or request.metadata):
        raise ConfigurationError("say what to forget: --thread ID, --metadata KEY=VALUE, or --full-content alone")
    with folder.alone():
        if request.full_content:
            _forget_contents(folder, settings, request, as_json=as_json)
        else:
            _forget_threads(folder, settings, request, as_json=as_json)


def _forget_threads(folder: DataFolder, settings: Settings, request: ForgetRequest, *, as_json: bool) -> None:
    wanted = Wanted(request.thread_ids, [_pair(text) for text in request.metadata], request.source)
    keys = _keys(folder, settings, request) if wanted.metadata else {}
    targets = find_targets(folder, wanted, keys)
    unreadable = folder.unreadable()
    found = {target.thread_id for target in targets}
    missing = [thread_id for thread_id in request.thread_ids if thread_id not in found]
    rewritten: int | None = None
    if not as_json:
        _print_targets(targets, missing)
        _print_unreadable(folder, unreadable if targets else Unreadable())
    if targets and (request.yes or _confirm(as_json=as_json)):
        rewritten = forget_threads(folder, targets, unreadable, now=datetime.now(UTC))
    if as_json:
        removed = {"threads": [asdict(target) for target in targets], "unreadable": folder.where_of(unreadable)}
        print(json.dumps({"forgotten": rewritten is not None, "parts": rewritten, "not_stored": missing, **removed}))
    elif rewritten is not None:
        print(f"forgotten: {_sum_of(targets)}; {count_of(rewritten, 'raw parts')} written anew, and the warehouse")
        _print_elsewhere(folder)
    else:
        print("nothing was removed")


def _forget_contents(folder: DataFolder, settings: Settings, request: ForgetRequest, *, as_json: bool) -> None:
    source, key = request.source or settings.source, find_content_key(settings)
    history = read_history(folder.warehouse, source)
    if history.key not in (None, key.fingerprint):
        raise ConfigurationError(
            f"the content key (fingerprint {key.fingerprint}) is not the one that source {source!r} was hashed with"
            f" ({history.key}): the same text would have two hashes"
        )
    rewritten: int | None = None
    if not as_json:
        print(f"All contents of source {source!r} that are kept in full become hashes; the texts cannot be had back.")
    if request.yes or _confirm(as_json=as_json):
        rewritten = forget_contents(folder, source, key)
    if as_json:
        print(json.dumps({"forgotten": rewritten is not None, "parts": rewritten, "source": source}))
    elif rewritten is not None:
        print(f"hidden: contents of {count_of(rewritten, 'raw parts')}, and the warehouse was rebuilt from them")
        _print_elsewhere(folder)
    else:
        print("nothing was changed")


def _keys(folder: DataFolder, settings: Settings, request: ForgetRequest) -> dict[str, ContentKey]:
    """The key for each source whose metadata is hidden. Raises ConfigurationError if it is not the one of before."""
    if not folder.warehouse.exists():
        return {}
    with open_for_reading(folder.warehouse) as connection:
        sql = "select distinct source from syncs where content_key is not null"
        hidden: list[str] = read_frame(connection, sql)["source"].to_list()
    keys = {}
    for source in hidden:
        if request.source in (None, source):
            key, history = find_content_key(settings), read_history(folder.warehouse, source)
            if history.key != key.fingerprint:
                raise ConfigurationError(
                    f"metadata of source {source!r} is hashed with another content key (fingerprint {history.key}, this"
                    f" one is {key.fingerprint}): give that key, or name another source with --source"
                )
            keys[source] = key
    return keys


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigurationError(f"--metadata {text!r} is not KEY=VALUE")
    return key, value


def _print_targets(targets: Sequence[Target], missing: Sequence[str]) -> None:
    console = stdout_console()
    if targets:
        rows = [(target.source, target.thread_id, target.runs, target.steps, target.why) for target in targets]
        frame = pl.DataFrame(rows, schema=["source", "thread", "runs", "steps", "why"], orient="row")
        console.print(frame_table(frame, title="To be removed for good", limit=_SHOWN))
        more = f" ({len(targets) - _SHOWN:,} more than shown)" if len(targets) > _SHOWN else ""
        console.print(f"together {_sum_of(targets)}{more}")
    for thread_id in missing[:_SHOWN]:
        console.print(f"nothing is stored of {thread_id}", markup=False)
    if not targets and not missing:
        console.print("no thread has that metadata")


def _print_unreadable(folder: DataFolder, unreadable: Unreadable) -> None:
    console, places = stdout_console(), folder.where_of(unreadable)
    if places:
        console.print(f"and {count_of(len(places), 'damaged files')} that nobody can look into:")
    for place in places[:_SHOWN]:
        console.print(f"  {place}", markup=False, soft_wrap=True)
    if unreadable.parts:
        console.print(
            "What the warehouse has of other threads from the raw parts among them stays; no rebuild will have it:"
            " fetch those threads again with `sync --full`.",
            markup=False,
        )


def _sum_of(targets: Sequence[Target]) -> str:
    runs, steps = sum(target.runs for target in targets), sum(target.steps for target in targets)
    return join_counts([("threads", len(targets)), ("runs", runs), ("steps", steps)])


def _print_elsewhere(folder: DataFolder) -> None:
    if (folder.data_dir / _REPORT).exists():
        print(f"{folder.data_dir / _REPORT} was written before: write it anew with `{command('report')}`")
    print(_ELSEWHERE, file=sys.stderr)


def _confirm(*, as_json: bool) -> bool:
    if as_json:
        return False
    if not sys.stdin.isatty():
        raise ConfigurationError("nobody is there to say yes: look at what would go above, then add --yes")
    return input("Remove this for good? [y/N] ").strip().lower() in ("y", "yes")
