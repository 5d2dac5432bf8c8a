"""The walk along cursors once more, deliberately simple: lists of names, one loop, no state but what it has seen."""

import json
from collections.abc import Callable
from typing import Any

# Page number, cursor, limit and order, and for them a body, or the status of a refusal.
Answer = Callable[[int, str | None, int, str], bytes | int]
_CURSOR_REFUSED = (400, 404, 422)
_USUAL_LENGTHS = (10, 20, 25, 50, 100, 200, 250, 500, 1000)


def walk_pages(answer: Answer, *, after: str | None, whole_lists: bool, most: int) -> tuple[list[bytes], str | None]:
    """The pages of a list by its cursors and how it ended, None if not honestly.

    A cursor that is refused or forgotten in the middle starts the walk over, once.
    """
    pages, end, named = _walk_once(answer, after, whole_lists, most, named=False)
    if pages and end in ("refused", "forgotten"):
        pages, end, _ = _walk_once(answer, after, whole_lists, most, named=named)
    return pages, None if end in ("refused", "forgotten", "error") else end


def _walk_once(
    answer: Answer, after: str | None, whole_lists: bool, most: int, *, named: bool
) -> tuple[list[bytes], str, bool]:
    """`named`: cursors are what envelopes name (last_id), as the ids of items led nowhere."""
    pages: list[bytes] = []
    seen: list[str] = []
    cursors = [after]
    lengths: list[int] = []
    said: dict[str, Any] = {}
    while True:
        body = answer(len(pages), cursors[-1], 100, "asc")
        other = _named(said.get("last_id"))
        has_other = not named and bool(pages) and _is_name(other) and other not in [*seen, *cursors]
        if isinstance(body, int):
            if has_other and body in _CURSOR_REFUSED:
                named = True
                cursors.append(other)
                continue
            return pages, "refused" if body in _CURSOR_REFUSED else "error", named
        envelope = json.loads(body)
        has_more, ids = envelope.get("has_more"), _ids(body)
        if has_other and all(item in seen for item in ids if _is_name(item)) and all(map(_is_name, ids)):
            named = True
            cursors.append(other)
            continue
        if not has_more and len(pages) == 1 and ids and ids == _ids(pages[0]):
            return pages, _judge_whole(answer, ids, cursors[-1], whole_lists), named
        if not ids and not has_more and pages and seen and not (named and len(pages) > 1):
            was_sure = said.get("has_more") is False or (said.get("has_more") is None and lengths[-1] < 10)
            if not was_sure:
                proof = answer(len(pages), ([after, *seen])[-2], 100, "asc")
                shown = [] if isinstance(proof, int) else _ids(proof)
                if isinstance(proof, int) and proof not in _CURSOR_REFUSED:
                    return pages, "error", named
                if seen[-1] not in shown or any(item not in seen for item in shown):
                    return pages, "forgotten", named
        names = [name for name in ids if _is_name(name)]
        old = [name for name in names if name in seen]
        is_all_old = len(old) == len(ids) and has_more is not False
        if old and not is_all_old and list(dict.fromkeys(old)) != seen[-len(set(old)) :]:
            return pages, "error", named
        pages.append(body)
        lengths.append(len(ids))
        said = envelope
        fresh = [name for name in dict.fromkeys(names) if name not in seen]
        seen += fresh
        wanted = (ids[-1] if ids else None, _named(envelope.get("last_id")))
        wanted = wanted[::-1] if named else wanted
        last = next(filter(_is_name, wanted), None)
        if has_more is False:
            is_full = len(ids) in _USUAL_LENGTHS or (len(pages) > 1 and len(ids) == lengths[0] > 10)
            if not ids or last is None or whole_lists or not is_full or len(pages) >= most:
                return pages, "has_more_false", named
        elif not ids:
            return pages, "error" if has_more else "empty_page", named
        if not fresh or len(pages) >= most or last is None or last in cursors:
            return pages, "error", named
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
    return [_named(item.get("id")) for item in json.loads(body)["data"]]


def _named(value: Any) -> Any:
    """What an id is called: one that is a number by its digits."""
    return str(value) if type(value) is int else value


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""
