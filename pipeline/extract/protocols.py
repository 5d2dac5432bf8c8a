"""Who walks the threads of a server, by the protocol that it speaks; and the list of these threads."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from pipeline.errors import PipelineError, WalkError
from pipeline.extract.fetching import ExtractOptions, Extractor, Outcome, Progress
from pipeline.extract.plan import ThreadTask
from pipeline.extract.responses import ResponseExtractor
from pipeline.extract.sessions import SessionExtractor
from pipeline.http.client import ApiClient
from pipeline.protocol.cursors import CursorProof, walk_list
from pipeline.protocol.list_heads import usable_id
from pipeline.protocol.lists import THREADS, THREADS_OF, Ask, ListAnswer, ListWalk
from pipeline.protocol.pages import Page, Protocol
from pipeline.protocol.wire import ItemHead
from pipeline.raw.landing import Lander

# A hundred million threads: an account has more of them than a thread has runs.
MAX_THREAD_PAGES = 1_000_000
_EXTRACTORS: Mapping[Protocol, type[Extractor]] = {
    "assistants": Extractor,
    "responses": ResponseExtractor,
    "agents": SessionExtractor,
}


async def extract_threads(
    client: ApiClient, tasks: Iterable[ThreadTask], *, lander: Lander, options: ExtractOptions, progress: Progress
) -> Outcome:
    """Walk all tasks into the lander. A cancelled extraction ends as interrupted; what it has stays to be landed."""
    try:
        await _EXTRACTORS[options.protocol](client, keep=lander.keep, progress=progress, options=options).run(tasks)
    except PipelineError as error:
        return Outcome(error=error)
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        return Outcome(interrupted=True)
    return Outcome()


async def list_threads(client: ApiClient, protocol: Protocol = "assistants") -> dict[str, int]:
    """All threads, conversations or sessions that the server lists, where it has such a list, by their ids.

    With each stands how many runs were seen of it: where these have a list of all, its own list must have as many.
    Raises RequestError or WalkError: half a list would be taken for all.
    """
    seen = dict.fromkeys(await _walk_ids(client, THREADS_OF[protocol]), 0)
    if protocol == "responses":
        # A response without a conversation is a thread of its own; a conversation may be listed only through what is of
        # it. A page may come twice.
        thread_of: dict[str, str] = {}

        def note(item: ItemHead) -> None:
            named = item.conversation
            conversation_id = usable_id(named.get("id") if isinstance(named, dict) else named)
            if (response_id := usable_id(item.id)) is not None:
                thread_of[response_id] = sys.intern(conversation_id or response_id)

        await _walk_ids(client, ("responses",), note)
        for thread_id in thread_of.values():
            seen[thread_id] = seen.get(thread_id, 0) + 1
    return seen


async def list_thread_ids(client: ApiClient, protocol: Protocol = "assistants") -> list[str]:
    """The ids of all that the server lists, as `list_threads`."""
    return list(await list_threads(client, protocol))


async def _walk_ids(
    client: ApiClient, segments: Sequence[str], note: Callable[[ItemHead], None] = lambda _: None
) -> dict[str, None]:
    walk, reader = ListWalk(), client.endpoint.list_reader()

    async def fetch(ask: Ask) -> ListAnswer:
        params = [("limit", str(ask.limit)), ("order", ask.order), *([("after", ask.after)] if ask.after else [])]
        answer = await client.get(segments, params, decode=reader.decode)
        for item in answer.value.data:
            note(item)
            item.usage = item.conversation = None
        # Nothing of it lands, and the bodies of a long list would fill the memory.
        page = Page(ask.page_index, ask.after, answer.fetched_at, answer.request_id, b"")
        return ListAnswer(page, answer.value, reader.doubt_of(answer.value))

    path = client.endpoint.path(segments)
    try:
        await walk_list(
            fetch,
            walk,
            proof=CursorProof(),
            max_pages=MAX_THREAD_PAGES,
            whole_lists=client.endpoint.whole_lists,
            by_last_id=THREADS.by_last_id,
        )
    except WalkError as error:
        raise WalkError(f"{path}: {error}") from None
    if nameless := walk.items - len(walk.ids):
        raise WalkError(f"{path}: {nameless:,} of its {walk.items:,} items have no id: they cannot be asked for")
    return walk.ids
