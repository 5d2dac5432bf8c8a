"""The record of raw parts that were removed on purpose: what they were, and which archive files came with them.

It is in the folder of raw parts, not in the warehouse: who rebuilds may have lost the warehouse.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Struct

from pipeline.console.tables import count_of
from pipeline.errors import ConfigurationError, PipelineError
from pipeline.program import command
from pipeline.protocol.pages import ArchiveFile
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.places import holds_parts, read_place
from pipeline.storage.private_files import replace_private

_RECORD = "pruned.jsonl"


class PrunedPart(Struct, frozen=True):
    """A part that was removed on purpose; instants are UTC. `archives` are the files that an import had read."""

    source: str
    part: str
    size_bytes: int
    landed_at: datetime
    pruned_at: datetime | None = None
    archives: list[ArchiveFile] = []

    @property
    def name(self) -> PartName:
        """The part's name."""
        return PartName(self.source, self.part)


def read_pruned(store: RawStore) -> list[PrunedPart]:
    """Parts that were pruned and are not there, each once. Raises PipelineError if the record cannot be read."""
    path = store.folder / _RECORD
    if not path.exists():
        return []
    try:
        recorded = [msgspec.json.decode(line, type=PrunedPart) for line in path.read_bytes().splitlines()]
    except (OSError, msgspec.DecodeError) as error:
        raise PipelineError(f"the record of pruned parts {path} cannot be read ({error}): restore it") from error
    present = {(part.source, part.name) for part in store.list_parts()}
    return list({part.part: part for part in recorded if (part.source, part.part) not in present}.values())


def add_pruned(store: RawStore, parts: Iterable[PrunedPart]) -> None:
    """Add parts to the record. It is on disk on return. Raises OSError."""
    lines = [msgspec.json.encode(part) + b"\n" for part in (*read_pruned(store), *parts)]
    replace_private(store.folder / _RECORD, b"".join(lines))


def drop_texts(store: RawStore) -> None:
    """Let the record repeat nothing of what was in archive files. Raises ConfigurationError if it cannot be written."""
    recorded = read_pruned(store)
    cleaned = [
        msgspec.structs.replace(part, archives=[archive.without_texts() for archive in part.archives])
        for part in recorded
    ]
    if cleaned == recorded:
        return
    path = store.folder / _RECORD
    try:
        replace_private(path, b"".join(msgspec.json.encode(part) + b"\n" for part in cleaned))
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from error


def forget_pruned(store: RawStore) -> None:
    """Drop the record: there is no warehouse any more that holds what those parts held."""
    (store.folder / _RECORD).unlink(missing_ok=True)


def read_imported(store: RawStore, source: str) -> list[ArchiveFile]:
    """Files that imports into a source have read to their end, oldest first, also where their parts were pruned."""
    gone = [archive for part in read_pruned(store) if part.source == source for archive in part.archives]
    return [*gone, *store.read_archives(source)]


def advise_rebuild(store: RawStore, else_: str) -> str:
    """How to replace a warehouse that this program cannot use, or, where that would lose something, what `else_`."""
    pruned = read_pruned(store)
    if not pruned and not holds_parts(store.folder.parent) and read_place(store.folder.parent) is None:
        return f"there are no raw parts here to make it anew from: {else_}"
    if not pruned:
        return f"`{command('load --rebuild')}` makes it anew from the raw parts"
    return (
        f"a rebuild would lack what it has from {count_of(len(pruned), 'raw parts')} that were pruned: {else_}, or do"
        f" without, with `{command('load --rebuild --forget-pruned')}` (keep a copy of the file)"
    )
