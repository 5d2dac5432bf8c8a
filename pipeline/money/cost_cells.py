"""What a period cost, as the cells that a change is taken apart by, and what of it is not known."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pipeline.errors import ConfigurationError
from pipeline.money.cost_change import KINDS, Cell
from pipeline.money.periods import Period
from pipeline.sqlfiles.catalog import read_sql_files
from pipeline.sqlfiles.duck import Connection, read_frame

BY_TOOL = "tool"
_BY = re.compile(r"(?P<by>all|model|assistant|tool|(?P<metadata>metadata)\.(?P<key>.+))", re.DOTALL)
_FEES = """
select cast(sum(fee_usd) as decimal(38, 12)) as fees_usd, count(*) - count(fee_usd) as unknown_fees
from tool_fees where charged_on between $since and $until and ($source = '' or source = $source)
"""
_UNDATED = """
select count(*) as entries from spending where created_on is null and ($source = '' or source = $source)
"""


@dataclass(frozen=True, slots=True)
class Grouping:
    """What the change is told by: `all` is one group, metadata has a key."""

    by: str
    key: str = ""

    @property
    def plural(self) -> str:
        """What groups are called."""
        return f"{self.key or self.by}s"


@dataclass(frozen=True, slots=True)
class PeriodCosts:
    """The cells of a period, its fees, and what has no cost: steps, rests of runs, tokens of both, and fees."""

    cells: Sequence[Cell]
    fees_usd: Decimal
    unpriced_steps: int
    unpriced_rests: int
    unpriced_tokens: int
    unknown_fees: int


def parse_grouping(text: str | None) -> Grouping:
    """What a person wants groups of. Raises ConfigurationError for what there is none of."""
    match = _BY.fullmatch("all" if text is None else text)
    if match is None:
        raise ConfigurationError(f"--by {text!r} is not model, assistant, tool or metadata.KEY")
    return Grouping(match["metadata"] or match["by"], match["key"] or "")


def read_costs(connection: Connection, period: Period, grouping: Grouping, *, source: str | None) -> PeriodCosts:
    """What the period cost in one source, or in all. Steps and fees belong to the UTC day on which they began."""
    scope = {"since": period.first_on, "until": period.last_on, "source": source or ""}
    asked = {**scope, "by": grouping.by, "key": grouping.key}
    rows = read_frame(connection, read_sql_files("queries")["cost_cells"].text, asked).to_dicts()
    [fees] = read_frame(connection, _FEES, scope).to_dicts()
    return PeriodCosts(
        [_cell(row, is_call=grouping.by == BY_TOOL) for row in rows if row["runs"]],
        # No fee costs nothing: here 0 is the sum and not a missing value.
        fees["fees_usd"] or Decimal(0),
        sum(row["unpriced_steps"] for row in rows),
        sum(row["unpriced_rests"] for row in rows),
        sum(int(row["unpriced_tokens"] or 0) for row in rows),
        fees["unknown_fees"],
    )


def count_undated(connection: Connection, *, source: str | None) -> int:
    """How many steps, rests and fees are in no period, as nobody knows when they were."""
    return int(read_frame(connection, _UNDATED, {"source": source or ""})["entries"][0])


def _cell(row: Mapping[str, Any], *, is_call: bool) -> Cell:
    tier = "" if row["tier"] in (None, "standard") else f" ({row['tier']})"
    model = None if row["model"] is None else row["model"] + tier
    if is_call:
        # A call costs what it costs: as if it were one token.
        return Cell(
            row["what"], model, row["runs"], row["steps"], {KINDS[-1]: row["steps"]}, {KINDS[-1]: row["cost_usd"]}
        )
    return Cell(row["what"], model, row["runs"], row["steps"], *_amounts(row), *_amounts(row, "rest_"))


def _amounts(row: Mapping[str, Any], of: str = "") -> tuple[dict[str, int], dict[str, Decimal]]:
    """Tokens and costs by kind; where nothing was used, 0 is the sum and not a missing value."""
    return (
        {kind: int(row[f"{of}{kind}_tokens"] or 0) for kind in KINDS},
        {kind: row[f"{of}{kind}_cost_usd"] or Decimal(0) for kind in KINDS},
    )
