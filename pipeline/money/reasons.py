"""The parts of a change in words: what a person reads of it in a table and in a sentence; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from pipeline.console.tables import count_of
from pipeline.money.cost_cells import BY_TOOL, Grouping, PeriodCosts
from pipeline.money.cost_change import (
    GONE,
    GROUPS,
    KINDS,
    MODELS,
    NEW,
    PARTS,
    PRICE,
    RESTS,
    RUNS,
    STEPS,
    CostChange,
    GroupChange,
    explain_change,
)
from pipeline.money.shapley import DIGITS, round_parts

FEES = "fees"
# Cents, or millionths of a dollar where nothing comes to a dollar.
_CENT, _MICRO = Decimal("0.01"), Decimal("0.000001")
_MOST_IN_SENTENCE = 3
_LABELS = {
    RUNS: "runs",
    STEPS: "steps per run",
    "prompt": "prompt tokens per step, not cached",
    "cached": "prompt tokens per step, cached",
    "cache_write": "prompt tokens per step, written to the cache",
    "completion": "completion tokens per step",
    RESTS: "tokens per run beyond its steps",
    PRICE: "price of a token",
    FEES: "fees of tools",
}
# What a part that costs more is because of, and one that costs less.
_BECAUSE = {
    STEPS: ("runs took more steps", "runs took fewer steps"),
    "prompt": (
        "steps had more prompt tokens that were not cached",
        "steps had fewer prompt tokens that were not cached",
    ),
    "cached": ("steps had more cached prompt tokens", "steps had fewer cached prompt tokens"),
    "cache_write": ("steps wrote more to the cache", "steps wrote less to the cache"),
    "completion": ("steps had more completion tokens", "steps had fewer completion tokens"),
    RESTS: ("runs used more beyond their steps", "runs used less beyond their steps"),
    PRICE: ("tokens were dearer", "tokens were cheaper"),
    FEES: ("tools had more fees", "tools had fewer fees"),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One part of the change: its name, what it is to a person, what was and what became of it, and why it is so."""

    part: str
    label: str
    usd: Decimal
    before: Fraction | None
    after: Fraction | None
    because: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The change from one period to another, fees of tools included; the reasons add up to it."""

    from_usd: Decimal
    to_usd: Decimal
    change_usd: Decimal
    reasons: Sequence[Reason]
    groups: Sequence[GroupChange]


def explain_costs(before: PeriodCosts, after: PeriodCosts, grouping: Grouping) -> Explanation:
    """The change from one period to another with its reasons, in their order."""
    change = explain_change(before.cells, after.cells)
    with localcontext(prec=DIGITS):
        fees = after.fees_usd - before.fees_usd
        from_usd, to_usd = change.from_usd + before.fees_usd, change.to_usd + after.fees_usd
        usd = {**change.parts, FEES: fees}
        figures = {**_figures(change), FEES: (Fraction(before.fees_usd), Fraction(after.fees_usd))}
        reasons = [
            Reason(
                part,
                label_part(part, grouping),
                usd[part],
                *figures[part],
                _because(part, usd[part], figures[part], grouping),
            )
            for part in (*PARTS, FEES)
            if usd[part] or _applies(part, grouping)
        ]
        return Explanation(from_usd, to_usd, to_usd - from_usd, reasons, change.groups)


def label_part(part: str, grouping: Grouping) -> str:
    """What a part is to a person who reads of these groups."""
    if part == NEW:
        return "usage where there was none" if grouping.by == "all" else f"new {grouping.plural}"
    if part == GONE:
        return "usage that is no more" if grouping.by == "all" else f"{grouping.plural} that are gone"
    if part == GROUPS:
        return f"mix of {grouping.plural}"
    if part == MODELS:
        return "mix of tiers of service" if grouping.by == "model" else "mix of models"
    if grouping.by == BY_TOOL:
        return {RUNS: "calls, and usage without one", PRICE: "cost of a call"}.get(part, _LABELS[part])
    return _LABELS[part]


def display_unit(amounts: Iterable[Decimal]) -> Decimal:
    """The unit in which to show amounts that stand together."""
    return _CENT if any(abs(amount) >= 1 for amount in amounts) else _MICRO


def write_sentence(found: Explanation) -> str:
    """The change and its largest reasons; what it says adds up to the change as it is written."""
    usd = [reason.usd for reason in found.reasons]
    unit = display_unit([found.from_usd, found.to_usd, *usd])
    rounded, total = round_parts([Fraction(each) for each in usd], Fraction(found.change_usd), unit)
    order = sorted(range(len(rounded)), key=lambda place: -abs(rounded[place]))
    named = [place for place in order if rounded[place]][:_MOST_IN_SENTENCE]
    if not named:
        return "no change"
    with localcontext(prec=DIGITS):
        rest = total - sum(rounded[place] for place in named)
    texts = [f"{write_usd(rounded[place])} because {found.reasons[place].because}" for place in named]
    texts += [f"{write_usd(rest)} for other reasons"] if rest else []
    percent = f" ({_percent(found.from_usd, found.to_usd)})" if found.from_usd > 0 else ""
    listed = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
    return f"{write_usd(total)} USD{percent}, of it {listed}"


def write_usd(value: Decimal) -> str:
    """Dollars with their sign, and all digits that they were rounded to."""
    return f"{value:+,f}"


def _applies(part: str, grouping: Grouping) -> bool:
    """Whether the part can be anything but 0 for these groups."""
    if grouping.by == "all":
        return part not in (NEW, GONE, GROUPS, "cache_write", RESTS)
    if grouping.by == BY_TOOL:
        return part not in (STEPS, *KINDS, RESTS)
    return part not in ("cache_write", RESTS, *((MODELS,) if grouping.by == "model" else ()))


def _figures(change: CostChange) -> Mapping[str, tuple[Fraction | None, Fraction | None]]:
    """What was and what became of a factor, on average over the groups that are in both periods."""
    both = (change.before, change.after)
    figures: dict[str, list[Fraction | None]] = {
        NEW: [None, Fraction(sum(1 for group in change.groups if not group.from_runs))],
        GONE: [Fraction(sum(1 for group in change.groups if not group.to_runs)), None],
        RUNS: [Fraction(sums.runs) for sums in both],
        STEPS: [Fraction(sums.steps, sums.runs) if sums.runs else None for sums in both],
    }
    figures[RESTS] = [Fraction(sums.rest_tokens, sums.runs) if sums.runs else None for sums in both]
    for kind in KINDS:
        figures[kind] = [Fraction(sums.tokens[kind], sums.steps) if sums.steps else None for sums in both]
    nothing: list[Fraction | None] = [None, None]
    return {part: (figures.get(part, nothing)[0], figures.get(part, nothing)[1]) for part in PARTS}


def _because(part: str, usd: Decimal, figures: tuple[Fraction | None, Fraction | None], grouping: Grouping) -> str:
    is_more = usd > 0
    before, after = figures
    if part in (NEW, GONE):
        if grouping.by == "all":
            return "there was nothing before" if part == NEW else "there was nothing any more"
        count = int((after if part == NEW else before) or 0)
        are = "is" if count == 1 else "are"
        return f"{count_of(count, grouping.plural)} {are} {part}"
    if part == RUNS and before and after:
        noun = "calls" if grouping.by == BY_TOOL else "runs"
        percent = abs((after / before - 1) * 100)
        return f"there were {_round(percent)} % {'more' if after > before else 'fewer'} {noun}"
    if part in (GROUPS, MODELS, RUNS):
        return f"the {label_part(part, grouping)} changed"
    if part == PRICE and grouping.by == BY_TOOL:
        return f"calls were {'dearer' if is_more else 'cheaper'}"
    return _BECAUSE[part][0 if is_more else 1]


def _percent(before: Decimal, after: Decimal) -> str:
    change = (Fraction(after) / Fraction(before) - 1) * 100
    return f"{'-' if change < 0 else '+'}{_round(abs(change))} %"


def _round(percent: Fraction) -> str:
    """Whole per cent, below ten with one digit."""
    return f"{float(percent):,.0f}" if percent >= 10 else f"{float(percent):.1f}"
