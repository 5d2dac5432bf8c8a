"""Who walks the threads of a server, by the protocol that it speaks; and the list of these threads."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from pipeline.errors import PipelineError
from pipeline.extract.fetching import ExtractOptions, Extractor, Outcome, Progress
from pipeline.extract.plan import ThreadTask
from pipeline.extract.responses import ResponseExtractor
from pipeline.extract.sessions import SessionExtractor
from pipeline.http.client import ApiClient
from pipeline.protocol.cursors import Ask, ListAnswer, ListWalk, walk_list
from pipeline.protocol.list_heads import decode_list, usable_id
from pipeline.protocol.lists import THREADS, THREADS_OF
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


async def list_thread_ids(client: ApiClient, protocol: Protocol = "assistants") -> list[str]:
    """Ids of all threads, conversations or sessions that the server lists, where it has such a list.

    Raises RequestError or WalkError: half a list would be taken for all.
    """
    ids = await _walk_ids(client, THREADS_OF[protocol])
    if protocol == "responses":
        # A response without a conversation is a thread of its own; a conversation may be listed only through what is of
        # it.
        def note(item: ItemHead) -> None:
            conversation_id = usable_id(item.conversation.get("id") if isinstance(item.conversation, dict) else None)
            if (thread_id := conversation_id or usable_id(item.id)) is not None:
                ids[thread_id] = None

        await _walk_ids(client, ("responses",), note)
    return list(ids)


async def _walk_ids(
    client: ApiClient, segments: Sequence[str], note: Callable[[ItemHead], None] = lambda _: None
) -> dict[str, None]:
    walk = ListWalk()

    async def fetch(ask: Ask) -> ListAnswer:
        params = [("limit", str(ask.limit)), ("order", ask.order), *([("after", ask.after)] if ask.after else [])]
        answer = await client.get(segments, params, decode=decode_list)
        for item in answer.value.data:
            note(item)
            item.usage = item.conversation = None
        # Nothing of it lands, and the bodies of a long list would fill the memory.
        return ListAnswer(Page(ask.page_index, ask.after, answer.fetched_at, answer.request_id, b""), answer.value)

    rule, whole_lists = THREADS, client.endpoint.whole_lists
    await walk_list(fetch, walk, max_pages=MAX_THREAD_PAGES, whole_lists=whole_lists, by_last_id=rule.by_last_id)
    return walk.ids
