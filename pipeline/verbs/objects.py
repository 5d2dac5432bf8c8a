"""The verbs `runs` and `steps`: single objects and pages of them, as the server sent them, one JSON text a line."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, TextIO

import msgspec
from msgspec import Raw

from pipeline.errors import ConfigurationError, PipelineError, RequestError, WalkError
from pipeline.http.client import ApiClient
from pipeline.http.event_loop import run_in_loop
from pipeline.privacy.content import hide_object
from pipeline.privacy.hiding import ContentKey
from pipeline.protocol.cursors import CursorProof, walk_list
from pipeline.protocol.endpoint import check_id
from pipeline.protocol.json_text import decode_with, repair_json
from pipeline.protocol.lists import PAGE_LIMIT, STEPS, Ask, ListAnswer, ListWalk
from pipeline.protocol.pages import Page, Resource
from pipeline.protocol.wire import RawPage

# What `--include content` is short for.
_SHORT_INCLUDES = {"content": STEPS.contents[0]}
# threads, THREAD, runs, RUN, steps.
_STEPS_SEGMENTS = 5
_decode_object = decode_with(dict[str, Raw], "a JSON object")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What to ask a list for; None leaves it to the server. `everything` walks on to the end."""

    limit: int | None = None
    order: str | None = None
    after: str | None = None
    before: str | None = None
    include: Sequence[str] = ()
    everything: bool = False

    def params(self) -> list[tuple[str, str]]:
        """As query parameters, in the words of the protocol."""
        named = (("limit", self.limit), ("order", self.order), ("after", self.after), ("before", self.before))
        return [
            *((name, str(value)) for name, value in named if value is not None),
            *include_params(self.include),
        ]


@dataclass(frozen=True, slots=True)
class Connected:
    """A client, not opened yet, and the key to hide contents with, if they are not to be shown."""

    client: ApiClient
    content_key: ContentKey | None = None

    def shown(self, items: Sequence[bytes], segments: Sequence[str]) -> list[bytes]:
        """Runs or steps as they may be printed."""
        if self.content_key is None:
            return list(items)
        resource: Resource = "steps" if len(segments) >= _STEPS_SEGMENTS else "runs"
        return [hide_object(item, resource, self.content_key) for item in items]


def include_params(include: Sequence[str]) -> list[tuple[str, str]]:
    """`include[]` parameters; `content` is short for the texts that file searches found."""
    return [("include[]", _SHORT_INCLUDES.get(value, value)) for value in include]


def print_object(connected: Connected, segments: Sequence[str], include: Sequence[str] = ()) -> None:
    """One object on standard output. Raises RequestError."""
    _check_segments(segments)

    async def fetch() -> bytes:
        async with connected.client as client:
            return (await client.get(segments, include_params(include), decode=_decode_object)).body

    _write_lines(connected.shown([run_in_loop(fetch())], segments), sys.stdout.buffer)


def print_list(connected: Connected, segments: Sequence[str], query: ListQuery) -> None:
    """Items of a list on standard output, in the order sent; says on standard error when there are more.

    Raises ConfigurationError for a query that cannot be walked, WalkError or RequestError after what came before.
    """
    _check_segments(segments)
    if query.everything and query.before is not None:
        raise ConfigurationError("--all walks forward, from --after if given: --before is for one page")
    walk = ListWalk(after=query.after)
    fault: PipelineError | None = None
    try:
        run_in_loop(_walk(connected.client, segments, query, walk))
    except (RequestError, WalkError) as error:
        fault = error
    for page in walk.pages:
        _write_lines(connected.shown(_items_of(page), segments), sys.stdout.buffer)
    if fault is not None:
        raise fault
    _say_more(query, walk, sys.stderr)


async def _walk(client: ApiClient, segments: Sequence[str], query: ListQuery, walk: ListWalk) -> None:
    reader = client.endpoint.list_reader()

    async def fetch(ask: Ask) -> ListAnswer:
        # limit 1 is the pager's probe; otherwise a person's limit is the size of pages.
        limit = ask.limit if ask.limit != PAGE_LIMIT else query.limit or (PAGE_LIMIT if query.everything else None)
        # The pager asks from the other end; without an order the server's is desc.
        order = query.order if ask.order == "asc" else "desc" if query.order == "asc" else "asc"
        params = replace(query, limit=limit, after=ask.after, order=order).params()
        answer = await client.get(segments, params, decode=reader.decode)
        page = Page(ask.page_index, ask.after, answer.fetched_at, answer.request_id, answer.body)
        return ListAnswer(page, answer.value, reader.doubt_of(answer.value))

    async with client:
        if query.everything:
            await walk_list(fetch, walk, proof=CursorProof(), whole_lists=client.endpoint.whole_lists)
            return
        answer = await fetch(Ask(0, query.after))
        walk.pages.append(answer.page)
        walk.heads.append(answer.head)
        if answer.doubt is not None:
            raise WalkError(f"{client.endpoint.path(segments)}: this page may not be all: {answer.doubt}")


def _items_of(page: Page) -> list[bytes]:
    try:
        items = msgspec.json.decode(page.body, type=RawPage).data
    except msgspec.DecodeError:
        items = msgspec.json.decode(repair_json(page.body), type=RawPage).data
    return [bytes(item) for item in items]


def _write_lines(items: Sequence[bytes], stream: BinaryIO) -> None:
    stream.writelines(one_line(item) + b"\n" for item in items)
    stream.flush()


def one_line(item: bytes) -> bytes:
    """The JSON text as sent, without the line breaks of its formatting: within strings JSON has none."""
    return item.strip().replace(b"\r", b"").replace(b"\n", b"")


def _say_more(query: ListQuery, walk: ListWalk, stream: TextIO) -> None:
    if not query.everything and walk.heads and walk.heads[-1].has_more:
        items = walk.heads[-1].data
        if query.before is not None:
            print(f"there are more before these: --before {items[0].id if items else query.before}", file=stream)
            return
        print(f"there are more: --all, or --after {items[-1].id if items else walk.heads[-1].last_id}", file=stream)


def _check_segments(segments: Sequence[str]) -> None:
    for segment in segments:
        check_id(segment, where="the command line")
