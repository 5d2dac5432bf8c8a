"""Everything that can be made to go wrong: the table of faults and their application to one request."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pipeline.emulator.exchange import Answer, Exchange, RefusedRequestError
from pipeline.emulator.faults.answers import ANSWER_FAULTS, ANSWER_SHAPES
from pipeline.emulator.faults.pages import PAGE_FAULTS, PAGE_SHAPES, PageFault
from pipeline.emulator.faults.records import RECORD_SHAPE, patch_records
from pipeline.emulator.faults.rules import FaultRule, FaultShape, match_rule, read_rule

SHAPES: Final[Mapping[str, FaultShape]] = {**ANSWER_SHAPES, **PAGE_SHAPES, "record": RECORD_SHAPE}


def read_rules(value: object) -> list[FaultRule]:
    """The rules of a JSON list (or of an object with `rules`); a ValueError says which is wrong and why."""
    listed = value.get("rules") if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise ValueError("Rules must be a list of objects, or an object with such a list under 'rules'.")
    rules = []
    for position, rule in enumerate(listed):
        try:
            rules.append(read_rule(rule, SHAPES))
        except ValueError as error:
            raise ValueError(f"Rule {position}: {error}") from error
    return rules


def choose_rules(rules: Sequence[FaultRule], exchange: Exchange) -> list[FaultRule]:
    """The rules that strike this request, in their order."""
    return [rule for rule in rules if match_rule(rule, exchange)]


def apply_page_faults(rules: Sequence[FaultRule], exchange: Exchange) -> None:
    """Falsify the page of the exchange: first which objects it has, then what is in them."""
    for rule in rules:
        if rule.fault in PAGE_FAULTS and exchange.items is not None:
            _falsify(PAGE_FAULTS[rule.fault], exchange, rule)
    for rule in rules:
        if rule.fault == "record":
            _falsify(patch_records, exchange, rule)


def forgives_cursor(rules: Sequence[FaultRule]) -> str | None:
    """How a cursor that names no object is answered, if it is: as if it were the last one, or the first."""
    for rule in rules:
        if rule.fault in ("cursor_gone_empty", "cursor_gone_restarts"):
            rule.struck += 1
            return rule.fault
    return None


def _falsify(fault: PageFault, exchange: Exchange, rule: FaultRule) -> None:
    """Apply a fault; it has struck only if the page is another one afterwards, or is refused."""
    page = exchange.page
    before = page and replace(page, bodies=list(page.bodies), omitted=set(page.omitted))
    try:
        fault(exchange, rule)
    except RefusedRequestError:
        rule.struck += 1
        raise
    rule.struck += exchange.page != before


def apply_answer_faults(rules: Sequence[FaultRule], exchange: Exchange, answer: Answer) -> Answer:
    """Falsify the encoded answer or the way in which it is sent."""
    for name, fault in ANSWER_FAULTS.items() if rules else ():
        for rule in rules:
            if rule.fault == name:
                falsified = fault(exchange, answer, rule)
                rule.struck += falsified != answer
                answer = falsified
    return answer
