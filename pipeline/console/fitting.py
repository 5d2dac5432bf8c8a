"""Columns of texts on the lines of a terminal: what does not fit is shortened, then left out from the right; pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

GAP = 2
_MORE = "…"
_ID_NAME = re.compile(r"(^|_)id$")
# Widest header, id and text at each step, from comfort to need; numbers and instants are whole or not there.
_STEPS = ((None, None), (0, None), (0, 24), (0, 16))
_TEXT_PER_ID = 1.5
_LEAST_ID = 6


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A header and cells on one line each; `is_right`: as numbers stand; `is_whole`: may not be shortened."""

    name: str
    cells: Sequence[str]
    is_right: bool = False
    is_whole: bool = False

    @property
    def is_id(self) -> bool:
        """Whether its ends tell more than its middle."""
        return not self.is_whole and bool(_ID_NAME.search(self.name)) and not any(" " in cell for cell in self.cells)

    def parts(self) -> list[str]:
        """Where the header may be broken: after each `_`."""
        return re.findall(r"[^_]*_+|[^_]+", self.name) or [self.name]


@dataclass(frozen=True, slots=True)
class Fitted:
    """The columns that fit, from the left, how wide each is, and the names of those that do not."""

    columns: Sequence[TextColumn]
    widths: Sequence[int]
    left_out: Sequence[str]


def fit_columns(columns: Sequence[TextColumn], width: int | None) -> Fitted:
    """As many columns as fit into a width, as whole as they can be; None is all of it."""
    natural = [_least_width(column, None, None) for column in columns]
    if width is None or _line_width(natural) <= width:
        return Fitted(columns, natural, ())
    narrowest = [_least_width(column, *_STEPS[-1]) for column in columns]
    count = max((count for count in range(1, len(columns) + 1) if _line_width(narrowest[:count]) <= width), default=1)
    kept = columns[:count]
    widths: list[int] = []
    for step in _STEPS:
        widths = [_least_width(column, *step) for column in kept]
        if _line_width(widths) <= width:
            break
    spare = width - _line_width(widths)
    if spare < 0:
        # One column that does not fit either.
        widths = [max(width, 1)]
    # Headers on one line first, then more of the cells.
    for wanted in ([text_width(column.name) for column in kept], natural):
        for place, wide in enumerate(widths):
            wider = min(max(wanted[place] - wide, 0), max(spare, 0))
            widths[place], spare = wide + wider, spare - wider
    return Fitted(kept, widths, [column.name for column in columns[count:]])


def header_lines(column: TextColumn, width: int) -> list[str]:
    """The header in as few lines as a width lets it."""
    lines = [""]
    for part in column.parts():
        if lines[-1] and text_width(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return [shorten(line, width) for line in lines]


def shorten(text: str, width: int, *, is_id: bool = False) -> str:
    """The text in at most so many columns of the terminal: of an id the middle goes, of any other text the end."""
    if text_width(text) <= width:
        return text
    if is_id and width >= _LEAST_ID and text.isascii():
        end = (width - 1) // 2
        return text[: width - 1 - end] + _MORE + text[len(text) - end :]
    while text and text_width(text) >= width:
        text = text[: min(len(text) - 1, width - 1)]
    return text.rstrip() + _MORE


def text_width(text: str) -> int:
    """Columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def pad(text: str, width: int, *, is_right: bool) -> str:
    """The text with as many blanks as bring it to a width."""
    blanks = " " * (width - text_width(text))
    return blanks + text if is_right else text + blanks


def _least_width(column: TextColumn, header: int | None, longest: int | None) -> int:
    """How wide a column is with its header whole (None) or broken, ids and texts no longer than that (None: any)."""
    cells = max(map(text_width, column.cells), default=0)
    if longest is not None and not column.is_whole:
        cells = min(cells, longest if column.is_id else int(longest * _TEXT_PER_ID))
    heads = [column.name] if header is None else column.parts()
    return max(cells, *map(text_width, heads))


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
