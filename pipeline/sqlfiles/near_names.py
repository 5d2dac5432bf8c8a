"""Which priced names a name without a price may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches

_OFFERED = 3
# Shorter ones stand in too many names: o1 in promo1.
_TOLD_INSIDE = 4
# difflib compares each sign with each; no model is called by a page of text.
_LONGEST = 200
_LIKENESS, _SLIP = 0.7, 0.93


def nearest_names(name: str, priced: Iterable[str]) -> list[str]:
    """The priced names most like this one, likeliest first: those a slip away, those inside it, those written alike.

    Capitals, blanks, slashes and underscores count for nothing; patterns are never offered.
    """
    known = {_letters(one): one for one in sorted(set(priced), reverse=True) if not {"*", "?"} & set(one)}
    wanted = _letters(name)
    if known.get(wanted, name) != name:
        return [known[wanted]]
    inside = [one for one in known if len(one) >= _TOLD_INSIDE and one in wanted]
    # Of gpt-4o-mini and gpt-4o in prod-gpt-4o-mini the longer is meant.
    told = [one for one in inside if not any(one != other and one in other for other in inside)]
    alike = get_close_matches(wanted, known, n=_OFFERED, cutoff=_LIKENESS) if len(wanted) <= _LONGEST else []
    slips = get_close_matches(wanted, alike, n=1, cutoff=_SLIP)
    found = dict.fromkeys([*slips, *sorted(told, key=len, reverse=True), *alike])
    return [known[one] for one in found if known[one] != name][:_OFFERED]


def did_you_mean(name: str, priced: Iterable[str]) -> str:
    """The same as a question, empty where nothing is near."""
    near = nearest_names(name, priced)
    return f"did you mean {' or '.join(near)}?" if near else ""


def _letters(name: str) -> str:
    return name.lower().translate(str.maketrans(" _/", "---"))
