"""A difference of products shared out exactly over their factors, and parts rounded so that they add up; pure."""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from math import factorial, prod

# What a factor was and what it became.
Pair = tuple[Fraction, Fraction]
# More than any sum of costs has: Decimal would round what is longer without a word.
DIGITS = 100


def share_product(pairs: Sequence[Pair]) -> list[Fraction]:
    """What each factor has of the change of their product: its Shapley value.

    It is what the product changes by as the factor goes from its old value to its new one, on average over every order
    in which the factors can go. The parts add up to the change exactly; a factor that stays has 0; old and new swapped
    negate every part; the order of the factors is of no consequence.
    """
    # In whole numbers of one denominator: fractions would be cut down after every step.
    whole = [(old.numerator * new.denominator, new.numerator * old.denominator) for old, new in pairs]
    denominator = prod(old.denominator * new.denominator for old, new in pairs)
    moving = [place for place, (old, new) in enumerate(whole) if old != new]
    staying = prod(old for old, new in whole if old == new)
    parts = [Fraction(0)] * len(pairs)
    for place in moving:
        others = [whole[other] for other in moving if other != place]
        old, new = whole[place]
        total = (new - old) * staying * _weigh(others)
        parts[place] = Fraction(total, denominator * factorial(len(moving)))
    return parts


def round_parts(parts: Sequence[Fraction], total: Fraction, unit: Decimal) -> tuple[list[Decimal], Decimal]:
    """Parts and their total in whole units; the rounded parts add up to the rounded total.

    Each part is cut towards zero; the units that are then missing go, one each, to the parts of which most was cut,
    the first of equals before the others. So a part that is 0 stays, and negated parts are rounded to negated ones.
    """
    size = Fraction(unit)
    cut = [int(part / size) for part in parts]
    whole = _nearest(total / size)
    missing = whole - sum(cut)
    sign = 1 if missing > 0 else -1
    left = [sign * (part / size - kept) for part, kept in zip(parts, cut, strict=True)]
    for place in sorted(range(len(parts)), key=lambda place: -left[place])[: abs(missing)]:
        cut[place] += sign
    with localcontext(prec=DIGITS):
        return [units * unit for units in cut], whole * unit


def _weigh(others: Sequence[tuple[int, int]]) -> int:
    """The sum over all orders of the product of the others, those before the factor new, those behind it old."""
    # by_new[n]: the sum of the products in which n of the others have their new value.
    by_new = [1]
    for old, new in others:
        by_new = [old * same + new * fewer for same, fewer in zip([*by_new, 0], [0, *by_new], strict=True)]
    count = len(others)
    return sum(factorial(new) * factorial(count - new) * products for new, products in enumerate(by_new))


def _nearest(value: Fraction) -> int:
    """The nearest whole number, of two the one farther from zero."""
    return (1 if value >= 0 else -1) * int(abs(value) + Fraction(1, 2))
