"""Archive files to raw parts: what each holds, counted, and landed in parts that keep a run's steps together."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec

from pipeline import __version__
from pipeline.archives.companions import Companions
from pipeline.archives.files import read_beside, read_documents
from pipeline.archives.large import Damage, Document
from pipeline.archives.progress import ImportProgress
from pipeline.archives.proofs import ListEnd, is_followed
from pipeline.archives.shapes.content import OF_SEVERAL, Content, Context, Found, LeftOut, Listed, Loose, Unrecognised
from pipeline.archives.shapes.objects import read_content
from pipeline.archives.unread import UnreadPlaces
from pipeline.archives.walks import FileOrders, make_walks
from pipeline.flatten.cache import FlatStore
from pipeline.privacy.content import content_notes, hiding_with
from pipeline.privacy.forget_record import read_forgotten
from pipeline.privacy.hiding import ContentKey
from pipeline.protocol.pages import ArchiveFile, SourceFacts, SyncSummary, UnreadFile
from pipeline.raw.landing import PART_BYTES
from pipeline.raw.parts import PartName, RawStore
from pipeline.raw.writer import PartWriter

# Unrecognised places that are kept by name, of each file; all are counted.
NAMED_PLACES = 20
# What the record of a file counts.
COUNTS = ("runs", "steps", "items", "left_out", "unrecognised")
# The steps of one run stay together while a part does not grow beyond this.
_LARGEST_PART_BYTES = 4 * PART_BYTES


def is_done(archive: ArchiveFile) -> bool:
    """Whether reading the file again could bring nothing: what was not recognised a newer version may know, and for
    items that stood alone there may be responses now.
    """
    return not archive.items_alone and (not archive.unrecognised or archive.pipeline_version == __version__)


def read_file(
    path: Path, sha256: str, lander: "ArchiveLander", progress: ImportProgress, *, name: str | None = None
) -> ArchiveFile:
    """Land what a file holds; its record, which `finish_file` is to get once all of it was kept."""
    return land_documents(path, sha256, read_documents(path), lander=lander, progress=progress, name=name)


def land_documents(
    path: Path,
    sha256: str,
    documents: Iterable[Document | Damage],
    *,
    lander: "ArchiveLander",
    progress: ImportProgress,
    name: str | None = None,
) -> ArchiveFile:
    """Land what documents of a file hold; the record of the file as if these were all of them.

    The `name` is what a person calls it, if not by its path.
    """
    name = name or str(path)
    counts = dict.fromkeys(COUNTS, 0)
    places = UnreadPlaces()
    alone: dict[str, None] = {}
    for content in _contents_of(documents, Context("", read_beside=partial(read_beside, path), odd_fields=lander.odd)):
        if isinstance(content, Listed):
            lander.note(name, content)
        elif lander.leaves_out(content):
            counts["left_out"] += 1
            progress.left_out += 1
        elif isinstance(content, Found):
            counts[content.resource] += 1
            setattr(progress, content.resource, getattr(progress, content.resource) + 1)
            lander.keep(name, content)
        elif isinstance(content, Loose):
            counts["items"] += 1
            progress.items += 1
            lander.keep_newer(name, content)
        elif isinstance(content, Unrecognised):
            counts["unrecognised"] += 1
            places.add(content)
            if content.run_id is not None and len(alone) < NAMED_PLACES:
                alone[content.run_id] = None
    size_bytes = path.stat().st_size
    return ArchiveFile(
        file=name,
        sha256=sha256,
        size_bytes=size_bytes,
        pipeline_version=__version__,
        first_unrecognised=places.lines(NAMED_PLACES),
        sync_id=lander.sync_id,
        runs_alone=list(alone),
        **counts,
    )


def join_records(records: Sequence[ArchiveFile]) -> ArchiveFile:
    """The record of a whole file from those of its ranges, given in their order."""
    counts = {name: sum(getattr(record, name) for record in records) for name in (*COUNTS, "items_alone")}
    places = UnreadPlaces()
    for record in records:
        places.add_lines(record.first_unrecognised)
    alone = list(dict.fromkeys(run_id for record in records for run_id in record.runs_alone))[:NAMED_PLACES]
    lines = places.lines(NAMED_PLACES)
    return msgspec.structs.replace(records[0], first_unrecognised=lines, runs_alone=alone, **counts)


def _contents_of(documents: Iterable[Document | Damage], context: Context) -> Iterator[Content]:
    for document in documents:
        if isinstance(document, Damage):
            yield Unrecognised(document.where, document.reason)
        else:
            yield from read_content(document.body, replace(context, where=document.where))


class ArchiveLander:
    """Collects what archives hold and lands it in parts, the record of each file not before its content.

    With a `flat` store parts are flattened as well; `landed` hears of each.
    `first_place`: how many objects, or more, the import has before.
    """

    def __init__(
        self,
        store: RawStore,
        *,
        source: str,
        now: datetime,
        content_key: ContentKey | None,
        sync_id: str,
        writer: int = 0,
        flat: FlatStore | None = None,
        first_place: int = 0,
        odd_fields: Sequence[str] = (),
        facts: SourceFacts | None = None,
        landed: Callable[[], None] | None = None,
    ) -> None:
        hide = hiding_with(content_key)
        self._writer = PartWriter(store, source=source, sync_id=sync_id, writer=writer, hide=hide)
        self._flat = flat
        self._landed = landed
        self.odd = frozenset(odd_fields)
        self._facts = facts or SourceFacts()
        self.content_key = content_key
        self.sync_id = sync_id
        self._source = source
        self._forgotten = read_forgotten(store.folder.parent)
        self._now = now
        self._place = first_place
        self._found: list[tuple[str, Found]] = []
        self._newer = Companions()
        self._listed: list[tuple[str, Listed]] = []
        self._of_several: list[tuple[str, Listed]] = []
        self._cursors: set[str] = set()
        self._ends: set[ListEnd] = set()
        self._orders: FileOrders = Counter()
        self._size_bytes = 0
        self._finished: list[ArchiveFile] = []
        self._has_landed = False
        # Items of each file that no response or turn of what was read had or called.
        self.alone: Counter[str] = Counter()
        self.parts: list[PartName] = []

    def open(self) -> PartName:
        """Land that an import begins, for others that work on it; the part."""
        self._writer.add_summary(self._opening(), self._now)
        self._land()
        return self.parts[-1]

    def leaves_out(self, content: Content) -> bool:
        """Whether this is nothing to take: no run or step, or one of a forgotten thread."""
        if isinstance(content, Found):
            return self._forgotten.has(self._source, content.thread_id)
        return isinstance(content, LeftOut)

    def keep(self, file: str, found: Found) -> None:
        """Take an object."""
        if found.protocol != "assistants":
            self.keep_newer(file, found)
            return
        is_between_runs = not self._found or self._found[-1][1].run_id != found.run_id
        if self._size_bytes >= (PART_BYTES if is_between_runs else _LARGEST_PART_BYTES):
            self._land()
        self._found.append((file, found))
        self._size_bytes += len(found.body)

    def keep_newer(self, file: str, content: Found | Loose) -> None:
        """Take a response or a turn, or what belongs to one."""
        if self._newer.is_full:
            self._land_newer()
        self._newer.add(file, content)

    def note(self, file: str, listed: Listed) -> None:
        """Take note of how a list was answered, unless it is of a forgotten thread."""
        if not listed.has_more:
            self._ends.add((listed.protocol, listed.resource, listed.ids[:1]))
        if listed.context.cursor is not None:
            self._cursors.add(listed.context.cursor)
        if listed.thread_id == OF_SEVERAL:
            self._of_several += [(file, listed)] if listed.has_more else []
        elif not self._forgotten.has(self._source, listed.thread_id):
            self._listed.append((file, listed))

    def open_lists(self) -> list[str]:
        """A line for each page of several threads' items that goes on where nothing is."""
        return [
            f"{file}: {page.context.where}: the page says has_more, and what follows is not here"
            for file, page in self._of_several
            if not is_followed(page, cursors=self._cursors, ends=self._ends)
        ]

    def with_items_alone(self, archives: Sequence[ArchiveFile]) -> list[ArchiveFile]:
        """The records of files that say, once all was landed, how many of their items belong to nothing."""
        return [msgspec.structs.replace(archive, items_alone=self.alone[archive.file]) for archive in archives]

    def finish_file(self, archive: ArchiveFile) -> None:
        """Take note that a file has been read to its end."""
        self._finished.append(archive)

    def flush(self) -> None:
        """Land what is left."""
        self._end_waiting()
        if self._finished or self._found or self._listed:
            self._land()

    def _end_waiting(self) -> None:
        """Take all responses and turns; what belongs to some and has not met them stays alone."""
        self._land_newer()
        self.alone += self._newer.count_alone()
        self._newer = Companions()
        self._finished = self.with_items_alone(self._finished)

    def close(self, finished_at: datetime, *, unread: Sequence[UnreadFile] = ()) -> None:
        """Land what is left, and that there was an import; nothing at all if no file was new."""
        if not (self._finished or self._has_landed):
            return
        self._end_waiting()
        summary = msgspec.structs.replace(
            self._opening(),
            finished_at=finished_at,
            verdict="imported",
            threads_failed=0,
            unread=list(unread) or None,
        )
        self._writer.add_summary(summary, finished_at)
        self._land()

    def _opening(self) -> SyncSummary:
        return SyncSummary(
            started_at=self._now,
            pipeline_version=__version__,
            odd_fields=sorted(self.odd),
            **msgspec.structs.asdict(self._facts),
            **content_notes(self.content_key),
        )

    def _land_newer(self) -> None:
        """Land the responses and turns that are here, in parts of the ordinary size."""
        listed = [each for each in self._listed if each[1].protocol != "assistants"]
        self._listed = [each for each in self._listed if each[1].protocol == "assistants"]
        for walk in self._newer.take_walks(listed, now=self._now):
            self._writer.add_walk(walk)
            if self._writer.size_bytes >= PART_BYTES:
                self._land_rows()

    def _land(self) -> None:
        listed = [each for each in self._listed if each[1].protocol == "assistants"]
        walks = make_walks(self._found, now=self._now, listed=listed, first_place=self._place, orders=self._orders)
        for walk in walks:
            self._writer.add_walk(walk)
        self._place += len(self._found)
        self._listed = [each for each in self._listed if each[1].protocol != "assistants"]
        if self._newer.is_empty:
            # The record of a file lands after all that it holds.
            for archive in self._finished:
                self._writer.add_archive(archive, self._now)
            self._finished = []
        self._land_rows()
        self._found, self._size_bytes = [], 0

    def _land_rows(self) -> None:
        part = self._writer.land(self._writer.take_rows())
        if part is not None:
            self.parts.append(part)
            if self._flat is not None:
                self._flat.write(part)
            if self._landed is not None:
                self._landed()
        self._has_landed = True
