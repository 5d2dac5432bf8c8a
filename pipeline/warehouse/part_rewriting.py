"""Raw parts written anew, each under its own name: without the rows of some threads, or with contents hidden."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import msgspec
import polars as pl

from pipeline.errors import DamagedPartError
from pipeline.flatten.cache import FlatStore
from pipeline.privacy.content import HASHED, asking, hide_certificate, hide_id, hide_list
from pipeline.privacy.forget_record import Forgotten, read_forgotten
from pipeline.privacy.hiding import ContentKey
from pipeline.protocol.pages import ArchiveFile, Certificate, Resource, SyncSummary
from pipeline.raw.columns import PART_SCHEMA
from pipeline.raw.parts import PartName, RawStore

# What answers are known by.
_SERVER_IDS = ("cursor", "request_id")
Rewrite = Callable[[pl.DataFrame], pl.DataFrame]


def rewrite_part(store: RawStore, part: PartName, rewrite: Rewrite) -> bool:
    """Put another part in a part's place, at once or not at all; whether there was anything to change.

    Raises DamagedPartError if the part is not what was written.
    """
    before = store.read_rows(part)
    after = rewrite(before)
    if after.equals(before):
        return False
    store.write_part(part, after, replacing=True)
    return True


def leave_out_again(store: RawStore, parts: Sequence[PartName]) -> None:
    """Remove forgotten threads from parts that landed, or came from elsewhere, after they were forgotten."""
    forgotten = read_forgotten(store.folder.parent)
    for part in parts if forgotten.threads else ():
        # A load sets aside what is damaged.
        with suppress(DamagedPartError):
            if rewrite_part(store, part, lambda rows: without_threads(rows, forgotten)):
                FlatStore(store).drop([part])


def without_threads(rows: pl.DataFrame, forgotten: Forgotten) -> pl.DataFrame:
    """The rows of a part without those of forgotten threads. A plan of none is left where that were all rows.

    Records of archive files lose what they may repeat of them.
    """
    gone = [
        thread
        for thread in rows.select("source", "thread_id").drop_nulls().unique().iter_rows()
        if forgotten.has(*thread)
    ]
    threads = pl.DataFrame(gone, schema={"source": pl.String, "thread_id": pl.String}, orient="row")
    kept = rows.join(threads, on=["source", "thread_id"], how="anti", maintain_order="left")
    if kept.is_empty():
        last = rows.sort("fetched_at").tail(1)
        kept = last.select(
            pl.lit(None, dtype).alias(name) if name not in ("source", "sync_id", "fetched_at") else pl.col(name)
            for name, dtype in PART_SCHEMA.items()
        ).with_columns(kind=pl.lit("plan"), body=pl.lit(b"[]"))
    columns = kept.select("kind", "source", "body").iter_rows()
    bodies = [_without_forgotten(kind, source, body, forgotten) for kind, source, body in columns]
    return kept.with_columns(body=pl.Series(bodies, dtype=pl.Binary))


def with_contents_hidden(rows: pl.DataFrame, key: ContentKey) -> pl.DataFrame:
    """The rows of a part as a sync that hides contents would have landed them; what is hidden stays as it is."""
    columns = rows.select("kind", "resource", "body", "thread_id", "run_id").iter_rows()
    bodies = [_hidden_body(kind, resource, body, asking(key, *asked)) for kind, resource, body, *asked in columns]
    ids = {name: pl.Series([hide_id(text, key) for text in rows[name]], dtype=pl.String) for name in _SERVER_IDS}
    return rows.with_columns(body=pl.Series(bodies, dtype=pl.Binary), **ids)


def _without_forgotten(kind: str, source: str, body: bytes, forgotten: Forgotten) -> bytes:
    if kind == "plan":
        thread_ids = msgspec.json.decode(body, type=list[str])
        return msgspec.json.encode([thread_id for thread_id in thread_ids if not forgotten.has(source, thread_id)])
    if kind == "archive" and forgotten.threads:
        archive = msgspec.json.decode(body, type=ArchiveFile)
        return msgspec.json.encode(archive.without_texts()) if archive.first_unrecognised else body
    return body


def _hidden_body(kind: str, resource: Resource, body: bytes, key: ContentKey) -> bytes:
    match kind:
        case "page":
            return hide_list(body, resource, key)
        case "walk":
            certificate = msgspec.json.decode(body, type=Certificate)
            # An error may repeat what a server said.
            error = None if certificate.error is None else key.hide(certificate.error)
            hidden = hide_certificate(msgspec.structs.replace(certificate, error=error), key)
            return body if hidden == certificate else msgspec.json.encode(hidden)
        case "archive":
            archive = msgspec.json.decode(body, type=ArchiveFile)
            named = [key.hide(place) for place in archive.first_unrecognised]
            return msgspec.json.encode(msgspec.structs.replace(archive, first_unrecognised=named))
        case "sync":
            summary = msgspec.json.decode(body, type=SyncSummary)
            changed = msgspec.structs.replace(summary, content=HASHED, content_key=key.fingerprint)
            return msgspec.json.encode(changed)
    return body


def parts_of(store: RawStore, source: str | None) -> Iterator[PartName]:
    """All parts, or those of one source, in the order of their syncs."""
    return (part for part in store.list_parts() if source in (None, part.source))
