"""What landed: pages as received, the certificates of walks, archives and syncs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from pipeline.protocol.list_heads import ItemOrder

Resource = Literal["runs", "steps"]
Verdict = Literal["complete", "missing", "broken", "failed", "imported"]
Protocol = Literal["assistants", "responses", "agents"]


class Page(Struct, frozen=True):
    """One answer, its body untouched; `cursor` is the `after` it was asked with.

    A page of an archive holds one object: `origin` is its file and position, `fetched_at` the latest instant it tells.
    Of a page that was fetched, `origin` is the turn whose items were asked for.
    """

    page_index: int
    cursor: str | None
    fetched_at: datetime
    request_id: str | None
    body: bytes
    origin: str | None = None


class Certificate(Struct, frozen=True, kw_only=True):
    """How a walk over one list went and ended; the row of `walks` without where it is stored.

    `first_index` is the server's ascending position of the first item (of an import: what orders its parts);
    `run_status` and `run_ended_at` are the run's when a walk over its steps began; `is_settled`: it and its steps say
    all that they will, else it is asked for again for `settle_s`. `item_order` is what the items' instants of creation
    show (None: nothing). `protocol` says what the pages hold; `asked_id` is the id that the one run in them was asked
    for by, whatever the answer calls it. `known_ids` are runs on the pages that were known to be whole before: what
    they did is not in this walk.
    """

    resource: Resource
    thread_id: str
    started_at: datetime
    ended_at: datetime
    verdict: Verdict
    protocol: Protocol = "assistants"
    asked_id: str | None = None
    known_ids: list[str] = []
    run_id: str | None = None
    run_status: str | None = None
    run_ended_at: datetime | None = None
    is_settled: bool | None = None
    settle_s: float | None = None
    item_order: ItemOrder | None = None
    after_id: str | None = None
    first_index: int = 0
    pages: int = 0
    items: int = 0
    first_id: str | None = None
    last_id: str | None = None
    ended_by: str | None = None
    error: str | None = None


class Walk(Struct, frozen=True):
    """A finished walk: its certificate and its pages in order."""

    certificate: Certificate
    pages: list[Page]

    @property
    def size_bytes(self) -> int:
        """Bytes of all bodies."""
        return sum(len(page.body) for page in self.pages)


@dataclass(frozen=True, slots=True)
class BilledPage:
    """A usage or cost answer of an organization (format json) or an export of the console (csv), its body untouched.

    Pages of one file or one fetch have the same `imported_at`.
    """

    source: str
    part: str
    page_index: int
    format: str
    imported_at: datetime
    origin: str | None
    body: bytes


class ArchiveFile(Struct, frozen=True, kw_only=True):
    """A file that was imported to its end, known by its content.

    `items` stand beside responses and turns; those of them are `items_alone` that belong to none that came with them.
    `first_unrecognised` are a few, to be shown: where and why. Those of earlier versions repeat what was there.
    `sync_id` is that of the import that read it (empty: an earlier version's). `runs_alone` are a few runs of which
    there are steps that name no thread.
    """

    file: str
    sha256: str
    size_bytes: int
    pipeline_version: str
    runs: int = 0
    steps: int = 0
    items: int = 0
    left_out: int = 0
    items_alone: int = 0
    unrecognised: int = 0
    first_unrecognised: list[str] = []
    sync_id: str = ""
    runs_alone: list[str] = []

    def without_texts(self) -> "ArchiveFile":
        """The same with no more than where each place is."""
        places = [f"{place.partition(': ')[0]}: not recognised" for place in self.first_unrecognised]
        return msgspec.structs.replace(self, first_unrecognised=places)


class LandedWalk(Struct, frozen=True):
    """A finished walk as read back from its part."""

    source: str
    sync_id: str
    walk_id: str
    part: str
    certificate: Certificate
    pages: list[Page]


class SourceFacts(Struct, frozen=True, kw_only=True):
    """What a profile says of a source: as in `SyncSummary`."""

    kind: str | None = None
    project: str | None = None
    models: dict[str, str] | None = None
    provider: str | None = None
    sku: str | None = None


class UnreadFile(Struct, frozen=True):
    """A file of which an import could not read all: how many places, and the first; 0 where a later one has read it."""

    file: str
    sha256: str
    places: int
    first: str


class SyncSummary(Struct, frozen=True, kw_only=True):
    """How a sync went; the row of `syncs`. `finished_at` is None in the row that opens it.

    `kind` is the kind of server, `project` the one of its organization, `models` what its deployments' names stand for,
    `provider` and `sku` who charges and for which deployment, `odd_fields` what is known to be unreadable.
    `content` is full or hashed (None: full, of an earlier version), `content_key` the fingerprint of the key.
    `unread` are the files that an import could not read all of.
    """

    started_at: datetime
    pipeline_version: str
    finished_at: datetime | None = None
    verdict: str | None = None
    threads: int | None = None
    threads_failed: int | None = None
    requests: int | None = None
    retries: int | None = None
    kind: str | None = None
    project: str | None = None
    models: dict[str, str] | None = None
    provider: str | None = None
    sku: str | None = None
    odd_fields: list[str] | None = None
    content: str | None = None
    content_key: str | None = None
    unread: list[UnreadFile] | None = None
