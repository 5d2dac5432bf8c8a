"""The walk along cursors once more, deliberately simple: lists of names, one loop, no state but what it has seen."""

import json
from collections.abc import Callable
from typing import Any

# Page number, cursor, limit and order, and for them a body, or the status of a refusal.
Answer = Callable[[int, str | None, int, str], bytes | int]
_CURSOR_REFUSED = (400, 404, 422)


def walk_pages(answer: Answer, *, after: str | None, whole_lists: bool, most: int) -> tuple[list[bytes], str | None]:
    """The pages of a list by its cursors and how it ended, None if not honestly.

    A cursor that is refused in the middle starts the walk over, once.
    """
    pages, end = _walk_once(answer, after, whole_lists, most)
    if pages and end == "refused":
        pages, end = _walk_once(answer, after, whole_lists, most)
    return pages, None if end in ("refused", "error") else end


def _walk_once(answer: Answer, after: str | None, whole_lists: bool, most: int) -> tuple[list[bytes], str]:
    pages: list[bytes] = []
    seen: list[str] = []
    cursors = [after]
    while True:
        body = answer(len(pages), cursors[-1], 100, "asc")
        if isinstance(body, int):
            return pages, "refused" if body in _CURSOR_REFUSED else "error"
        envelope = json.loads(body)
        has_more, ids = envelope.get("has_more"), _ids(body)
        if has_more is None and len(pages) == 1 and ids and ids == _ids(pages[0]):
            return pages, _judge_whole(answer, ids, cursors[-1], whole_lists)
        names = [name for name in ids if _is_name(name)]
        old = [name for name in names if name in seen]
        is_all_old = len(old) == len(ids) and has_more is not False
        if old and not is_all_old and list(dict.fromkeys(old)) != seen[-len(set(old)) :]:
            return pages, "error"
        pages.append(body)
        fresh = [name for name in dict.fromkeys(names) if name not in seen]
        seen += fresh
        if has_more is False:
            return pages, "has_more_false"
        if not ids:
            return pages, "error" if has_more else "empty_page"
        last = next(filter(_is_name, (ids[-1], envelope.get("last_id"))), None)
        if not fresh or len(pages) >= most or last is None or last in cursors:
            return pages, "error"
        cursors.append(last)


def _judge_whole(answer: Answer, ids: list[Any], cursor: str | None, whole_lists: bool) -> str:
    """A server that has no cursors: its one answer is whole if it is the same for a limit of one and turned round."""
    for limit, after, order in ((1, cursor, "asc"), (100, None, "desc")):
        body = answer(1, after, limit, order)
        if isinstance(body, int):
            return "error"
        found = _ids(body)
        if order == "asc" and found != ids:
            return "error"
    if sorted(map(str, found)) != sorted(map(str, ids)):
        return "error"
    return "whole_answer" if found != ids or whole_lists else "error"


def _ids(body: bytes) -> list[Any]:
    return [item.get("id") for item in json.loads(body)["data"]]


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""
