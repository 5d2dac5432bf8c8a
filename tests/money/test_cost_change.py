"""Why periods cost differently: parts that add up to the last digit, as an oracle has them that tries every order."""

from collections.abc import Iterator
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import permutations
from math import factorial, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.money.cost_change import GONE, KINDS, NEW, PARTS, Cell, CostChange, explain_change
from pipeline.money.shapley import Pair, round_parts, share_product

PICO = Decimal("0.000000000001")


def make_cell(
    group: str | None = "northwind",
    model: str | None = "gpt-4o",
    *,
    runs: int = 10,
    steps: int = 20,
    tokens: int = 20_000,
    kind: str = "prompt",
    usd_per_mtok: str = "2.5",
) -> Cell:
    """Runs that used one kind of token."""
    return Cell(group, model, runs, steps, {kind: tokens}, {kind: tokens * Decimal(usd_per_mtok) / 1_000_000})


def parts_of(change: CostChange) -> dict[str, Decimal]:
    """The parts that are not 0."""
    return {part: usd for part, usd in change.parts.items() if usd}


@st.composite
def cells(draw: st.DrawFn) -> list[Cell]:
    """Cells of some groups and models, some of them twice, with counts and costs of any size."""
    counts = st.one_of(st.integers(1, 9), st.integers(1, 10**15))
    names = st.sampled_from(["a", "b", None])
    drawn = []
    for _ in range(draw(st.integers(0, 6))):
        tokens = {kind: draw(st.one_of(st.just(0), counts)) for kind in draw(st.sets(st.sampled_from(KINDS)))}
        costs = {kind: draw(st.integers(0, 10**30)) * PICO if count else Decimal(0) for kind, count in tokens.items()}
        rests = {kind: draw(st.one_of(st.just(0), counts)) for kind in draw(st.sets(st.sampled_from(KINDS)))}
        left = {kind: draw(st.integers(0, 10**30)) * PICO if count else Decimal(0) for kind, count in rests.items()}
        steps = draw(counts) if any(tokens.values()) else draw(st.integers(0, 9))
        drawn.append(Cell(draw(names), draw(names), draw(counts), steps, tokens, costs, rests, left))
    return drawn


def total_of(listed: list[Cell]) -> Fraction:
    costs = (cost for cell in listed for each in (cell.cost_usd, cell.rest_cost_usd) for cost in each.values())
    return sum((Fraction(cost) for cost in costs), Fraction(0))


@settings(deadline=None)
@given(before=cells(), after=cells())
def test_parts_add_up_to_the_last_digit_for_each_group_and_for_all(before: list[Cell], after: list[Cell]) -> None:
    change = explain_change(before, after)

    with localcontext(prec=100):
        assert Fraction(change.change_usd) == total_of(after) - total_of(before)
        assert sum(change.parts.values()) == change.change_usd
        assert all(sum(group.parts.values()) == group.change_usd for group in change.groups)
        assert sum(group.change_usd for group in change.groups) == change.change_usd


@settings(deadline=None)
@given(before=cells(), after=cells())
def test_periods_swapped_negate_every_part_and_what_was_new_is_gone(before: list[Cell], after: list[Cell]) -> None:
    change, back = explain_change(before, after), explain_change(after, before)
    other = {NEW: GONE, GONE: NEW}

    assert {part: usd.copy_negate() for part, usd in back.parts.items()} == {
        part: change.parts[other.get(part, part)] for part in PARTS
    }


@settings(deadline=None)
@given(before=cells(), after=cells(), data=st.data())
def test_the_order_of_what_is_read_is_of_no_consequence(
    before: list[Cell], after: list[Cell], data: st.DataObject
) -> None:
    shuffled = explain_change(data.draw(st.permutations(before)), data.draw(st.permutations(after)))

    assert shuffled == explain_change(before, after)


@given(listed=cells())
def test_a_period_beside_itself_changes_nothing(listed: list[Cell]) -> None:
    assert parts_of(explain_change(listed, listed)) == {}


FACTORS = st.lists(
    st.tuples(st.fractions(0, 50, max_denominator=9), st.fractions(0, 50, max_denominator=9)), max_size=5
)


def average_over_every_order(pairs: list[Pair]) -> Iterator[Fraction]:
    """Each factor goes from old to new in each order; what it changes the product by then, on average."""
    for factor in range(len(pairs)):
        total = Fraction(0)
        for order in permutations(range(len(pairs))):
            gone = order[: order.index(factor)]
            values = [pair[place in gone] for place, pair in enumerate(pairs)]
            later = [*values[:factor], pairs[factor][1], *values[factor + 1 :]]
            total += prod(later) - prod(values)
        yield total / factorial(len(pairs))


@settings(deadline=None)
@given(pairs=FACTORS)
def test_a_factor_has_what_it_changes_on_average_over_every_order(pairs: list[Pair]) -> None:
    assert share_product(pairs) == list(average_over_every_order(pairs))


@given(
    parts=st.lists(st.fractions(-50, 50), min_size=1, max_size=9),
    unit=st.sampled_from(["1", "0.01", "0.000000000001"]),
)
def test_rounded_parts_add_up_nothing_goes_to_what_is_0_and_the_sign_is_of_no_consequence(
    parts: list[Fraction], unit: str
) -> None:
    size = Decimal(unit)

    rounded, total = round_parts(parts, sum(parts, Fraction(0)), size)
    negated, negated_total = round_parts([-part for part in parts], -sum(parts, Fraction(0)), size)

    assert sum(rounded) == total
    assert abs(Fraction(total) - sum(parts)) <= Fraction(size) / 2
    assert all(abs(Fraction(cut) - part) < Fraction(size) for cut, part in zip(rounded, parts, strict=True))
    assert [part for part, exact in zip(rounded, parts, strict=True) if exact == 0 and part] == []
    assert ([-part for part in negated], -negated_total) == (rounded, total)


@pytest.mark.parametrize(
    ("after", "part"),
    [
        (make_cell(runs=20, steps=40, tokens=40_000), "runs"),
        (make_cell(steps=40, tokens=40_000), "steps"),
        (make_cell(tokens=40_000), "prompt"),
        (make_cell(usd_per_mtok="5"), "price"),
        (make_cell(model="gpt-5", usd_per_mtok="5"), "models"),
    ],
    ids=["runs", "steps", "prompt", "price", "models"],
)
def test_one_reason_alone_has_the_whole_change(after: Cell, part: str) -> None:
    assert parts_of(explain_change([make_cell()], [after])) == {part: Decimal("0.05")}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_token_has_its_part(kind: str) -> None:
    before, after = make_cell(kind=kind), make_cell(kind=kind, tokens=40_000)

    assert parts_of(explain_change([before], [after])) == {kind: Decimal("0.05")}


def make_rest(runs: int = 10, tokens: int = 20_000, usd_per_mtok: str = "2.5", steps: int = 0) -> Cell:
    """Runs of which only they themselves tell what they used."""
    costs = {"prompt": tokens * Decimal(usd_per_mtok) / 1_000_000}
    return Cell("northwind", "gpt-4o", runs, steps, {}, {}, {"prompt": tokens}, costs)


@pytest.mark.parametrize(
    ("after", "part"),
    [
        (make_rest(runs=20, tokens=40_000), "runs"),
        (make_rest(tokens=40_000), "rests"),
        (make_rest(usd_per_mtok="5"), "price"),
    ],
    ids=["runs", "rests", "price"],
)
def test_what_runs_used_beyond_their_steps_is_no_step(after: Cell, part: str) -> None:
    change = explain_change([make_rest()], [after])

    assert parts_of(change) == {part: Decimal("0.05")}
    assert (change.before.steps, change.after.steps) == (0, 0)


def test_steps_that_take_over_what_a_run_told_alone_change_steps_and_rests_and_no_sum() -> None:
    change = explain_change([make_rest()], [make_cell()])

    assert change.change_usd == 0
    assert set(parts_of(change)) <= {"steps", "prompt", "rests", "price"}
    assert (change.before.rest_tokens, change.after.rest_tokens) == (20_000, 0)


def test_groups_that_are_in_one_period_only_are_new_or_gone_in_full() -> None:
    change = explain_change([make_cell("gone"), make_cell("stays")], [make_cell("stays"), make_cell("new", tokens=100)])

    assert parts_of(change) == {"new": Decimal("0.00025"), "gone": Decimal("-0.05")}


def test_runs_that_go_from_one_group_to_another_are_no_more_runs() -> None:
    before = [make_cell("large", tokens=40_000), make_cell("small")]
    after = [make_cell("large", runs=15, steps=30, tokens=60_000), make_cell("small", runs=5, steps=10, tokens=10_000)]

    assert parts_of(explain_change(before, after)) == {"groups": Decimal("0.025")}


def test_runs_that_go_from_one_model_to_another_are_a_matter_of_models() -> None:
    dear, cheap = make_cell(model="dear", usd_per_mtok="10"), make_cell(model="cheap", usd_per_mtok="1")

    assert parts_of(explain_change([dear], [cheap])) == {"models": Decimal("-0.18")}


def test_two_reasons_share_what_they_do_together() -> None:
    change = explain_change([make_cell()], [make_cell(runs=20, steps=40, tokens=40_000, usd_per_mtok="5")])

    assert parts_of(change) == {"runs": Decimal("0.075"), "price": Decimal("0.075")}


@pytest.mark.parametrize(
    "cell",
    [
        Cell("a", "m", 1, 1, {"prompt": 0}, {"prompt": Decimal(1)}),
        Cell("a", "m", 1, 0, {"prompt": 1}, {"prompt": Decimal(1)}),
        Cell("a", "m", 0, 1, {"prompt": 1}, {"prompt": Decimal(1)}),
        Cell("a", "m", 1, 1, {}, {}, {"prompt": 0}, {"prompt": Decimal(1)}),
        Cell("a", "m", 0, 1, {}, {}, {"prompt": 1}, {"prompt": Decimal(1)}),
    ],
    ids=["no tokens", "no step", "no run", "no tokens of the rest", "no run of the rest"],
)
def test_a_cost_that_nothing_was_used_for_is_refused(cell: Cell) -> None:
    with pytest.raises(ValueError, match="a cost without tokens, or tokens without a run and a step"):
        explain_change([cell], [])
