"""What recorded pages of a list prove: that it is here to its end, or that something of it is missing; pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.archives.shapes.content import Listed

# What a page held that ended a list: its protocol, its resource, its first id.
ListEnd = tuple[str, str, tuple[str, ...]]
# How a list is cut, as `ended_by` of a walk says it.
OLDER_MISSING, NEWER_MISSING, GAP, UNREAD = "older_missing", "newer_missing", "gap", "unread"


@dataclass(frozen=True, slots=True)
class Cut:
    """Evidence that a list goes on where the archives have nothing: beyond `at_id` in that direction, or before it; or
    that an item of it could not be read.
    """

    how: str
    at_id: str | None
    listed: Listed

    @property
    def where(self) -> str:
        """The place of the page that tells."""
        return self.listed.context.where


def find_cuts(pages: Sequence[tuple[str, Listed]], places: Mapping[str, int]) -> Iterator[tuple[str, Cut]]:
    """Cuts that pages of one list, with their files, tell of; `places` are the ascending ones of its items.

    Of several that are cut in one direction, the one that reaches furthest.
    """
    ends: dict[str, tuple[str, Cut]] = {}
    for file, page in pages:
        cursor = page.context.cursor
        if cursor is not None and cursor not in places:
            ends[f"{GAP} {cursor}"] = file, Cut(GAP, cursor, page)
        if page.has_unread:
            ends[UNREAD] = file, Cut(UNREAD, None, page)
        if not page.has_more:
            continue
        known = [places[item_id] for item_id in page.ids if item_id in places]
        is_backwards = _is_backwards(page, known)
        if not known:
            # It says that there is something, and there is nothing.
            ends[f"{GAP} {cursor} {page.context.where}"] = file, Cut(GAP, None, page)
        elif (min(known) == 0) if is_backwards else (max(known) == len(places) - 1):
            at = min(known) if is_backwards else max(known)
            at_id = next(item_id for item_id in page.ids if places.get(item_id) == at)
            how = OLDER_MISSING if is_backwards else NEWER_MISSING
            ends.setdefault(how, (file, Cut(how, at_id, page)))
    yield from ends.values()


def is_followed(page: Listed, *, cursors: Collection[str], ends: Collection[ListEnd]) -> bool:
    """Whether a page that has more is one of those that were followed: of a recording by one that was asked for with
    an id of it, else by one that ends a list of such items.
    """
    if page.context.order is not None:
        return any(item_id in cursors for item_id in page.ids)
    return any(end[:2] == (page.protocol, page.resource) and not set(end[2]) & set(page.ids) for end in ends)


def begins_whole_list(pages: Sequence[Listed]) -> Listed | None:
    """The page with which a recording of the whole list begins, asked from its start and followed to its end."""
    for first in pages:
        page, seen = first, {id(first)}
        is_start = first.context.is_recorded and first.context.cursor is None
        while is_start and page.is_whole and page.has_more and page.ids:
            after = (each for each in pages if each.context.cursor == page.ids[-1] and id(each) not in seen)
            following = next(after, None)
            if following is None:
                break
            seen.add(id(following))
            page = following
        if is_start and page.is_whole and not page.has_more:
            return first
    return None


def is_before(ended_at: datetime | None, page: Listed) -> bool:
    """Whether a run was over when the page was recorded."""
    return ended_at is not None and page.context.seen_at is not None and ended_at <= page.context.seen_at


def _is_backwards(page: Listed, known: Sequence[int]) -> bool:
    if len(known) > 1:
        return known[0] > known[-1]
    # The API's own order is newest first.
    return page.context.order != "asc"
