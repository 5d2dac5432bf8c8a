"""Finished walks to the rows of raw parts: the one place that every page passes on its way to the disk."""

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
import polars as pl

from pipeline.protocol.pages import ArchiveFile, BilledPage, Certificate, SyncSummary, Walk
from pipeline.raw.columns import PART_SCHEMA
from pipeline.raw.parts import PartName, PartRow, RawStore


class PartWriter:
    """Collects finished walks of one sync and lands them as parts; not for several threads at once."""

    def __init__(
        self,
        store: RawStore,
        *,
        source: str,
        sync_id: str,
        writer: int = 0,
        hide: Callable[[Walk], Walk] | None = None,
    ) -> None:
        self._store = store
        # The one place that every page passes on its way to the disk.
        self._hide = hide
        self._source = source
        self._sync_id = sync_id
        # Writers of one sync in several processes must not give the same names.
        self._writer = writer
        self._numbers = itertools.count(1)
        self._walk_numbers = itertools.count(1)
        self._rows: list[PartRow] = []
        self.size_bytes = 0

    def add_walk(self, walk: Walk) -> None:
        """Take a walk with its pages and its certificate."""
        walk = walk if self._hide is None else self._hide(walk)
        certificate = walk.certificate
        walk_id = f"{self._sync_id}.{self._writer}.{next(self._walk_numbers)}"
        for page in walk.pages:
            self._add(
                "page",
                walk_id,
                certificate,
                page_index=page.page_index,
                cursor=page.cursor,
                fetched_at=page.fetched_at,
                request_id=page.request_id,
                origin=page.origin,
                body=page.body,
            )
        body = msgspec.json.encode(certificate)
        self._add("walk", walk_id, certificate, fetched_at=certificate.ended_at, body=body)
        self.size_bytes += walk.size_bytes + len(body)

    def add_plan(self, thread_ids: Sequence[str], now: datetime) -> None:
        """Take the ids of threads that this sync is going to visit."""
        self._add("plan", None, None, fetched_at=now, body=msgspec.json.encode(list(thread_ids)))

    def add_summary(self, summary: SyncSummary, now: datetime) -> None:
        """Take the state of the sync itself."""
        self._add("sync", None, None, fetched_at=now, body=msgspec.json.encode(summary))

    def add_archive(self, archive: ArchiveFile, now: datetime) -> None:
        """Take the record of an archive file, all of whose walks were added before."""
        self._add("archive", None, None, fetched_at=now, body=msgspec.json.encode(archive))

    def add_bill(self, page: BilledPage) -> None:
        """Take a page of a bill."""
        self._add(
            "bill",
            None,
            None,
            resource=page.format,
            page_index=page.page_index,
            fetched_at=page.imported_at,
            origin=page.origin,
            body=page.body,
        )

    def take_rows(self) -> list[PartRow]:
        """What has been collected; the writer is empty afterwards."""
        rows, self._rows, self.size_bytes = self._rows, [], 0
        return rows

    def land(self, rows: list[PartRow]) -> PartName | None:
        """Write rows taken before as the next part; None if there are none."""
        if not rows:
            return None
        part = PartName(self._source, f"{self._sync_id}-{self._writer}-{next(self._numbers):06d}")
        columns = zip(PART_SCHEMA, zip(*rows, strict=True), strict=True)
        frame = pl.DataFrame(dict(columns), schema=PART_SCHEMA)
        self._store.write_part(part, frame)
        return part

    def _add(
        self,
        kind: str,
        walk_id: str | None,
        certificate: Certificate | None,
        *,
        fetched_at: datetime,
        body: bytes,
        resource: str | None = None,
        page_index: int | None = None,
        cursor: str | None = None,
        request_id: str | None = None,
        origin: str | None = None,
    ) -> None:
        thread_id = run_id = None
        if certificate is not None:
            resource, thread_id, run_id = certificate.resource, certificate.thread_id, certificate.run_id
        # In the order of PART_SCHEMA.
        self._rows.append(
            (
                kind,
                self._source,
                self._sync_id,
                walk_id,
                resource,
                thread_id,
                run_id,
                page_index,
                cursor,
                fetched_at,
                request_id,
                origin,
                body,
            )
        )
