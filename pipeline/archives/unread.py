"""Places of a file that nobody could read: each reason is named once, with the first of its places."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.archives.shapes.content import Unrecognised
from pipeline.protocol.pages import ArchiveFile, UnreadFile

_SHOWN = 3
_LINE = re.compile(r"(?P<places>.*?)(?: and (?P<more>[0-9,]+) more)?: (?P<reason>.*)", re.DOTALL)


@dataclass(slots=True)
class UnreadPlaces:
    """The first places of each reason, and how many there are."""

    places: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, found: Unrecognised) -> None:
        """Take note of a place."""
        self._add(found.reason, [found.where], 1)

    def add_lines(self, lines: Iterable[str]) -> None:
        """Take note of what `lines` of another part of the file say."""
        for line in lines:
            if match := _LINE.fullmatch(line):
                places = match["places"].split(", ")
                more = int((match["more"] or "0").replace(",", ""))
                self._add(match["reason"], places, len(places) + more)

    def lines(self, most: int) -> list[str]:
        """A line for each reason."""
        return [self._line(reason) for reason in list(self.places)[:most]]

    def _add(self, reason: str, places: list[str], count: int) -> None:
        first = self.places.setdefault(reason, [])
        first += places[: _SHOWN - len(first)]
        self.counts[reason] += count

    def _line(self, reason: str) -> str:
        places = self.places[reason]
        more = self.counts[reason] - len(places)
        return f"{', '.join(places)}{f' and {more:,} more' if more else ''}: {reason}"


def unread_of(read: Iterable[ArchiveFile], known: Iterable[ArchiveFile]) -> list[UnreadFile]:
    """Of the files that were `read` those of which something could not be; those that could be now and that `known`
    records tell otherwise of have no place.
    """
    once = {archive.sha256 for archive in known if archive.unrecognised}
    return [
        UnreadFile(each.file, each.sha256, each.unrecognised, next(iter(each.first_unrecognised), ""))
        for each in read
        if each.unrecognised or each.sha256 in once
    ]
