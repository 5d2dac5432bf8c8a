"""Responses and turns of archives with what stands beside them: outputs in later items, the session of a turn."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime

from msgspec.structs import replace

from pipeline.archives.shapes.content import Found, Listed, Loose
from pipeline.archives.shapes.successors import output_calls
from pipeline.archives.walks import make_walks
from pipeline.protocol.item_types import ANSWERS, MESSAGES, base_of
from pipeline.protocol.pages import Page, Walk
from pipeline.protocol.successors import SESSION

# They wait for what belongs to them until there are so many bytes of them.
_WAITING_BYTES = 64 * 2**20
# A file, and a list in it.
_List = tuple[str, str | None]


class Companions:
    """Responses and turns that were found, and what belongs to them, which may come before them or after."""

    def __init__(self) -> None:
        self._found: list[tuple[str, Found]] = []
        self._loose: list[tuple[str, Loose]] = []
        # Lists of which something belonged to somebody: the rest of them stands beside it.
        self._used: set[_List] = set()
        self._size_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether it is time to make walks of what is here."""
        return self._size_bytes >= _WAITING_BYTES

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._found and not self._loose

    def add(self, file: str, content: Found | Loose) -> None:
        """Take a response, a turn, or what belongs to one."""
        if isinstance(content, Found):
            self._found.append((file, content))
        else:
            self._loose.append((file, content))
        self._size_bytes += len(content.body)

    def take_walks(self, listed: Sequence[tuple[str, Listed]], *, now: datetime) -> Iterator[Walk]:
        """Walks of the responses and turns, each with what belongs to its thread; what belongs to none waits on."""
        conversations = _conversations_of(found for _, found in self._found)
        self._found = [(file, _told(found, conversations)) for file, found in self._found]
        taken = self._share_out()
        for walk in make_walks(self._found, now=now, listed=listed):
            loose = taken.pop(walk.certificate.thread_id, []) if walk.pages else []
            first = len(walk.pages)
            pages = [
                Page(first + index, None, now, None, b'{"data":[' + item.body + b"]}", f"{file}: {item.context.where}")
                for index, (file, item) in enumerate(loose)
            ]
            certificate = replace(walk.certificate, pages=first + len(pages))
            yield Walk(certificate, [*walk.pages, *pages])
        self._found, self._size_bytes = [], sum(len(item.body) for _, item in self._loose)

    def count_alone(self) -> Counter[str]:
        """How many items of each file nobody had or called.

        Messages and sessions say nothing of tools or costs, and what was sent to a server was had from elsewhere.
        """
        return Counter(
            file
            for file, item in self._loose
            if item.type not in MESSAGES
            and item.type != SESSION
            and not item.context.is_sent
            and (file, item.context.list_place) not in self._used
        )

    def _share_out(self) -> dict[str, list[tuple[str, Loose]]]:
        """What belongs to the responses and turns that are here, by their thread."""
        threads = {found.thread_id for _, found in self._found}
        runs = {found.object_id: found.thread_id for _, found in self._found}
        callers = self._callers() if self._loose else {}
        said = [item.thread_id if item.thread_id in threads else runs.get(item.run_id or "") for _, item in self._loose]
        of_lists: dict[_List, set[str]] = {}
        for (file, item), thread_id in zip(self._loose, said, strict=True):
            if thread_id is not None:
                of_lists.setdefault((file, item.context.list_place), set()).add(thread_id)
        taken: dict[str, list[tuple[str, Loose]]] = {}
        left: list[tuple[str, Loose]] = []
        for (file, item), thread_id in zip(self._loose, said, strict=True):
            of_list = file, item.context.list_place
            owner = thread_id or _only(callers.get(_key_of(item), set()), of_lists.get(of_list))
            if owner is None:
                left.append((file, item))
            else:
                taken.setdefault(owner, []).append((file, item))
                self._used.add(of_list)
        self._loose = left
        return taken

    def _callers(self) -> dict[tuple[str, str | None], set[str]]:
        callers: dict[tuple[str, str | None], set[str]] = {}
        for _, found in self._found:
            if found.protocol == "responses":
                for item_type, call_id in output_calls(found):
                    callers.setdefault((base_of(item_type), call_id), set()).add(found.thread_id)
        return callers


def _conversations_of(found: Iterable[Found]) -> dict[str, str]:
    """The conversations that responses are of, where one state of them says so and another does not."""
    return {
        each.object_id: each.thread_id
        for each in found
        if each.protocol == "responses" and each.thread_id != each.object_id
    }


def _told(found: Found, conversations: Mapping[str, str]) -> Found:
    thread_id = conversations.get(found.object_id)
    is_alone = found.protocol == "responses" and found.thread_id == found.object_id
    return found if thread_id is None or not is_alone else dataclasses.replace(found, thread_id=thread_id)


def _only(callers: Set[str], near: Set[str] | None) -> str | None:
    """The one thread that made a call: of several, as ids of calls are used again, one that its list is of."""
    named = callers if len(callers) == 1 else callers & (near or set())
    return next(iter(named)) if len(named) == 1 else None


def _key_of(item: Loose) -> tuple[str, str | None]:
    """What the call has that an output answers, or the request that an answer does."""
    return (ANSWERS[item.type][0] if item.type in ANSWERS else base_of(item.type)), item.call_id
