"""Why two periods cost differently: the change taken apart exactly, for everything and for each group; pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TypeVar

from pipeline.money.shapley import DIGITS, Pair, round_parts, share_product

# The parts, in the order of a person's questions; of tokens and of prices there is one for each kind.
NEW, GONE, RUNS, GROUPS, MODELS, STEPS = "new", "gone", "runs", "groups", "models", "steps"
RESTS, PRICE = "rests", "price"
KINDS = ("prompt", "cached", "cache_write", "completion")
PARTS = (NEW, GONE, RUNS, GROUPS, MODELS, STEPS, *KINDS, RESTS, PRICE)
# Costs are exact to 12 decimals, and so are their parts.
UNIT = Decimal("0.000000000001")
_NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Cell:
    """What the runs of one group and model came to in a period: of each kind of token how many, and what they cost.

    Only what has a cost is in it. A run counts in one cell. Where there are tokens there is a step, where there is a
    cost there are tokens. `rest_tokens` and their cost are what runs used beyond their steps, of which there are none.
    """

    group: str | None
    model: str | None
    runs: int
    steps: int
    tokens: Mapping[str, int]
    cost_usd: Mapping[str, Decimal]
    rest_tokens: Mapping[str, int] = field(default_factory=dict)
    rest_cost_usd: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What a group cost in both periods, and the parts of the change, which add up to it."""

    group: str | None
    from_usd: Decimal
    to_usd: Decimal
    change_usd: Decimal
    from_runs: int
    to_runs: int
    parts: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Sums:
    """What the groups that are in both periods came to in one of them."""

    runs: int
    steps: int
    tokens: Mapping[str, int]
    rest_tokens: int


@dataclass(frozen=True, slots=True)
class CostChange:
    """The change of everything that has a cost; the parts of its groups add up to `parts`."""

    from_usd: Decimal
    to_usd: Decimal
    change_usd: Decimal
    parts: Mapping[str, Decimal]
    groups: Sequence[GroupChange]
    before: Sums
    after: Sums


_Key = tuple[str | None, str | None]
_Cells = tuple[Cell | None, Cell | None]
_Number = TypeVar("_Number", int, Fraction)


def explain_change(before: Iterable[Cell], after: Iterable[Cell]) -> CostChange:
    """The change from one period to another, by its reasons.

    A group that is in one period only is new or gone in full. Of the others each cost is a product: all runs x the
    group's share of them x the model's share of the group's runs x steps per run x tokens per step x price per token,
    and beyond the steps x tokens per run x price per token; each factor's part is its Shapley value. Groups are in the
    order of what they changed most.
    """
    with localcontext(prec=DIGITS):
        old, new = _merged(before), _merged(after)
        both = {group for group, _ in old} & {group for group, _ in new}
        kept_old, kept_new = ([cell for key, cell in cells.items() if key[0] in both] for cells in (old, new))
        totals = sum(cell.runs for cell in kept_old), sum(cell.runs for cell in kept_new)
        pairs: dict[str | None, list[_Cells]] = {}
        for key in old.keys() | new.keys():
            pairs.setdefault(key[0], []).append((old.get(key), new.get(key)))
        changes = [_explain_group(group, cells, totals) for group, cells in pairs.items()]
        changes.sort(key=lambda change: (-abs(change.change_usd), change.group is None, change.group or ""))
        parts = {part: sum((change.parts[part] for change in changes), Decimal(0)) for part in PARTS}
        from_usd, to_usd = _cost(old.values()), _cost(new.values())
        return CostChange(from_usd, to_usd, to_usd - from_usd, parts, changes, _sums(kept_old), _sums(kept_new))


def _explain_group(group: str | None, pairs: Sequence[_Cells], totals: tuple[int, int]) -> GroupChange:
    old, new = [cell for cell, _ in pairs if cell], [cell for _, cell in pairs if cell]
    runs = sum(cell.runs for cell in old), sum(cell.runs for cell in new)
    from_usd, to_usd = _cost(old), _cost(new)
    parts = dict.fromkeys(PARTS, _NOTHING)
    if old and new:
        for cells in pairs:
            _add_parts(parts, cells, totals, runs)
    else:
        parts[NEW if new else GONE] = Fraction(to_usd - from_usd)
    rounded, change_usd = round_parts(list(parts.values()), Fraction(to_usd - from_usd), UNIT)
    return GroupChange(group, from_usd, to_usd, change_usd, *runs, dict(zip(parts, rounded, strict=True)))


def _add_parts(parts: dict[str, Fraction], cells: _Cells, totals: tuple[int, int], of_group: tuple[int, int]) -> None:
    """What each factor has of the change of one model's cost in a group that is in both periods."""
    runs = _of_both(cells, lambda cell: cell.runs)
    steps = _of_both(cells, lambda cell: cell.steps)
    shared = [_ratios(totals, (1, 1)), _ratios(of_group, totals), _ratios(runs, of_group)]
    for kind in KINDS:
        tokens = _of_both(cells, _tokens_of(kind))
        costs = _of_both(cells, _costs_of(kind))
        factors = [*shared, _ratios(steps, runs), _ratios(tokens, steps), _ratios(costs, tokens)]
        _share_out(parts, factors, (RUNS, GROUPS, MODELS, STEPS, kind, PRICE))
        tokens = _of_both(cells, _tokens_of(kind, of_rest=True))
        costs = _of_both(cells, _costs_of(kind, of_rest=True))
        factors = [*shared, _ratios(tokens, runs), _ratios(costs, tokens)]
        _share_out(parts, factors, (RUNS, GROUPS, MODELS, RESTS, PRICE))


def _tokens_of(kind: str, *, of_rest: bool = False) -> Callable[[Cell], int]:
    return lambda cell: (cell.rest_tokens if of_rest else cell.tokens).get(kind, 0)


def _costs_of(kind: str, *, of_rest: bool = False) -> Callable[[Cell], Fraction]:
    return lambda cell: Fraction((cell.rest_cost_usd if of_rest else cell.cost_usd).get(kind, 0))


def _share_out(parts: dict[str, Fraction], factors: Sequence[Pair], names: Sequence[str]) -> None:
    for part, share in zip(names, share_product(factors), strict=True):
        parts[part] += share


def _of_both(cells: _Cells, read: Callable[[Cell], _Number]) -> tuple[_Number | int, _Number | int]:
    old, new = (read(cell) if cell else 0 for cell in cells)
    return old, new


def _ratios(amounts: tuple[Fraction | int, Fraction | int], counts: tuple[int, int]) -> Pair:
    """How much for each, before and after; where there was nothing to divide by it counts as unchanged."""
    old, new = (Fraction(amount) / count if count else None for amount, count in zip(amounts, counts, strict=True))
    return (new or _NOTHING) if old is None else old, (old or _NOTHING) if new is None else new


def _merged(cells: Iterable[Cell]) -> dict[_Key, Cell]:
    """One cell for each group and model. Raises ValueError for a cost that nothing was used for."""
    merged: dict[_Key, Cell] = {}
    for cell in cells:
        _check(cell)
        key = (cell.group, cell.model)
        other = merged.get(key)
        merged[key] = cell if other is None else _added(other, cell)
    return {key: cell for key, cell in merged.items() if cell.runs}


def _added(one: Cell, other: Cell) -> Cell:
    return Cell(
        one.group,
        one.model,
        one.runs + other.runs,
        one.steps + other.steps,
        {kind: one.tokens.get(kind, 0) + other.tokens.get(kind, 0) for kind in KINDS},
        {kind: one.cost_usd.get(kind, Decimal(0)) + other.cost_usd.get(kind, Decimal(0)) for kind in KINDS},
        {kind: one.rest_tokens.get(kind, 0) + other.rest_tokens.get(kind, 0) for kind in KINDS},
        {kind: one.rest_cost_usd.get(kind, Decimal(0)) + other.rest_cost_usd.get(kind, Decimal(0)) for kind in KINDS},
    )


def _check(cell: Cell) -> None:
    used, left = any(cell.tokens.values()), any(cell.rest_tokens.values())
    pairs = ((cell.cost_usd, cell.tokens), (cell.rest_cost_usd, cell.rest_tokens))
    is_costly = any(cost and not tokens.get(kind) for costs, tokens in pairs for kind, cost in costs.items())
    if is_costly or (used and not (cell.runs and cell.steps)) or (left and not cell.runs):
        raise ValueError(f"a cost without tokens, or tokens without a run and a step: {cell}")


def _cost(cells: Iterable[Cell]) -> Decimal:
    costs = (cost for cell in cells for each in (cell.cost_usd, cell.rest_cost_usd) for cost in each.values())
    return sum(costs, Decimal(0))


def _sums(cells: Sequence[Cell]) -> Sums:
    tokens = {kind: sum(cell.tokens.get(kind, 0) for cell in cells) for kind in KINDS}
    rest_tokens = sum(count for cell in cells for count in cell.rest_tokens.values())
    return Sums(sum(cell.runs for cell in cells), sum(cell.steps for cell in cells), tokens, rest_tokens)
