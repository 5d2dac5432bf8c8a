"""Faults at the lists and objects of conversations, of responses that are named, and of sessions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.protocol.lists import PAGE_LIMIT
from tests.faults.cell import Cell, Gap, Outcome
from tests.faults.http_cells import SOON, Rule
from tests.faults.successor_account import SyncSuccessors, long_chain, long_conversation, session_of
from tests.faults.successor_judging import SuccessorJudge

_GROUP = "Successors"
# Two responses of the chain: one that calls nothing, and one whose outputs stand in two pages of items.
_PLAIN, _CALLING = 50, 37
_PAGE = PAGE_LIMIT
# Of two pages the first two items are said to be one, so that one is missing and one is another.
_TWICE, _TWISTED = "an id stands in a page twice", 2
_CIRCLE, _REMARK = "A-B-A: a cycle of two pages", "200 with a remark beside the list, once"
_SKIPS, _OTHERS = "the cursor skips an item", "items of others among its own"
# Items of conversations and of inputs do not say whose they are. Without last_id there is no way on in a turn's items.
# How a server counts its cursors is found out with the first list of two pages, of inputs that of another response.
_NOT_TO_BE_TOLD = {
    (_OTHERS, "conversation items"),
    (_OTHERS, "input items"),
    (_SKIPS, "input items"),
    *((f"{name}has_more missing", "turn items") for name in ("", "cursor ignored, ", "answers cut at 20, ")),
}


@dataclass(frozen=True, slots=True)
class _Stage:
    """Which requests are struck and which thread, or run of it, may then lack something.

    `before`: so many requests match as well and come earlier. `kept`: how many runs the thread has if nothing of the
    list is there; what `lists_runs` adds its own to them.
    """

    name: str
    way: str
    route: str
    match: Rule
    thread_id: str
    session: int = 0
    run_id: str | None = None
    before: int = 0
    kept: int = 0
    lists_runs: bool = False

    @property
    def is_object(self) -> bool:
        """Whether it is one object, and no list."""
        return self.route.startswith("get_")

    def rule(self, fault: Rule, *, page: int = 0) -> Rule:
        """The fault at this stage, from this page on."""
        after = self.before + page
        return {"route": self.route, "match": self.match, **({"after_requests": after} if after else {}), **fault}

    def gap(self, items: int) -> Gap:
        """What may be missing with so many items of the list kept."""
        return Gap(self.thread_id, self.run_id, self.kept + (items if self.lists_runs else 0))


def _stages() -> list[_Stage]:
    conversation, chain = long_conversation(), [history.after["id"] for history in long_chain().histories]
    sessions = [session_of(number).session["id"] for number in range(3)]
    turn = session_of(2).turns[0].after["id"]
    plain, calling, going_on = chain[_PLAIN], chain[_CALLING], chain[_CALLING + 1]

    def of_session(name: str, route: str, number: int, **more: Any) -> _Stage:
        match = {"thread_id": sessions[number]}
        return _Stage(name, "agents", route, **{"match": match, "thread_id": sessions[number], **more}, session=number)

    of = {"thread_id": conversation}
    return [
        _Stage("conversations", "conversations", "list_responses", of, conversation, lists_runs=True),
        _Stage("conversation items", "conversations", "list_conversation_items", of, conversation, kept=105),
        _Stage("named responses", "chains", "get_response", {"run_id": plain}, plain),
        _Stage("input items", "chains", "list_input_items", {"run_id": going_on}, calling, kept=1),
        of_session("sessions", "get_session", 2),
        of_session("turns", "list_turns", 0, lists_runs=True),
        of_session("subagents' turns", "list_turns", 1, before=1, kept=2, lists_runs=True),
        of_session(
            "turn items", "list_turn_items", 2, match={"thread_id": sessions[2], "run_id": turn}, run_id=turn, kept=2
        ),
    ]


def successor_cells() -> Iterator[Cell]:
    """Every fault of the group at every list and object that it can strike."""
    for stage in _stages():
        # A subagent's turns are asked for as the session's are.
        yield from () if stage.before else _http(stage)
        if not stage.is_object:
            yield from _paging(stage)


def _http(stage: _Stage) -> Iterator[Cell]:
    for status in (429, 500):
        fault: Rule = {"fault": "status", "status": status, "headers": SOON}
        yield _cell(f"{status}, three in a row", stage, [{**fault, "times": 3}])
        yield _cell(f"{status} for ever", stage, [fault], "failed")
    yield _cell("404 for ever", stage, [{"fault": "status", "status": 404}], "missing")
    for name, rule in _BROKEN_ANSWERS.items():
        yield _cell(f"{name}, for ever", stage, [rule], "failed", page=0 if stage.is_object else 1)


_BROKEN_ANSWERS: Mapping[str, Rule] = {
    "reset in the middle of a body": {"fault": "reset", "at": "middle"},
    "200 with HTML": {"fault": "html_200"},
    "200 with half a JSON": {"fault": "half_json"},
    "gzip that breaks off": {"fault": "broken_gzip", "kind": "truncated"},
}

_WHOLE: Mapping[str, list[Rule]] = {
    "has_more missing": [{"fault": "missing_has_more"}],
    "has_more missing, first_id and last_id sent": [{"fault": "missing_has_more", "keep_ids": True}],
    "pages repeat the last item": [{"fault": "items_repeat", "overlap": 1}],
    "order ignored, newest first": [{"fault": "order_ignored"}],
    "every page says that it is the last": [{"fault": "never_more"}],
    "pages of 20, each says that it is the last": [{"fault": "limit_capped"}, {"fault": "never_more"}],
}

# With how many items of the list are kept.
_BROKEN: Mapping[str, tuple[list[Rule], int]] = {
    "A-A: the cursor is ignored": ([{"fault": "cursor_ignored"}], _PAGE),
    _CIRCLE: ([{"fault": "cursor_cycle", "length": 2}], 105),
    "cursor ignored, has_more missing": ([{"fault": "cursor_ignored"}, {"fault": "missing_has_more"}], _PAGE),
    "answers cut at 20, has_more missing": ([{"fault": "answer_cut"}, {"fault": "missing_has_more"}], 20),
    "empty first page says more": ([{"fault": "empty_page_more"}], 0),
    "empty second page says more": ([{"fault": "empty_page_more", "from_page": 1}], _PAGE),
    "order changes after the first page": ([{"fault": "order_changes"}], _PAGE),
    "has_more without a cursor": ([{"fault": "has_more_no_cursor"}], _PAGE),
    _SKIPS: ([{"fault": "cursor_skips"}], _PAGE),
    _TWICE: ([{"fault": "id_twice"}], _PAGE),
    _OTHERS: ([{"fault": "other_parents"}], _PAGE),
    _REMARK: ([{"fault": "remark_in_200", "list": "full", "times": 1}], 105),
}


def _paging(stage: _Stage) -> Iterator[Cell]:
    for name, rules in _WHOLE.items():
        if (name, stage.name) not in _NOT_TO_BE_TOLD:
            yield _cell(name, stage, rules)
    for name, (rules, kept) in _BROKEN.items():
        if (name, stage.name) in _NOT_TO_BE_TOLD:
            continue
        struck = (
            replace(stage, match={"thread_id": stage.thread_id}, run_id=None)
            if name == _SKIPS and stage.run_id
            else stage
        )
        yield _cell(name, struck, rules, "broken", kept=kept)


def _cell(
    fault: str, stage: _Stage, rules: Sequence[Rule], verdict: str = "complete", *, page: int = 0, kept: int = 0
) -> Cell:
    known = _OTHERWISE.get((fault, stage.name))
    synced = SyncSuccessors(stage.way, stage.session, {"attempts": 4 if "three" in fault else 2})
    outcome = Outcome()
    if verdict != "complete":
        outcome = Outcome(exit_code=4, verdict=verdict, gap=stage.gap(_PAGE if page else kept))
    if stage.lists_runs and fault in _OF_RUNS:
        kept, rejects = _OF_RUNS[fault]
        outcome = replace(outcome, gap=stage.gap(kept), rejects=rejects)
    if known is not None:
        outcome = replace(outcome, **known)
    judge = SuccessorJudge(synced, twisted=_TWISTED if stage.lists_runs and fault == _TWICE else 0)
    faults = [stage.rule(rule, page=page) for rule in rules]
    return Cell(_GROUP, fault, stage.name, outcome, faults, act=synced, judge=judge)


# How many responses or turns of a list are kept, and how many rejects there are, where it is their ids that are wrong.
_OF_RUNS = {"has_more without a cursor": (99, 2), _TWICE: (103, 0), _OTHERS: (100, 1)}
_NO_OUTPUTS: Mapping[str, Any] = {"exit_code": 0, "verdict": "complete", "says": "outputs of calls cannot be had"}
# What comes of a fault where the stage is not like the others.
_OTHERWISE: Mapping[tuple[str, str], Mapping[str, Any]] = {
    # What is gone is no failure. What was put into it may be missing then, which the command says.
    **{("404 for ever", name): {"exit_code": 0} for name in ("conversations", "named responses", "sessions")},
    **{("404 for ever", f"{kind} items"): _NO_OUTPUTS for kind in ("conversation", "input")},
    # The session is there, and so is the turn.
    **{("404 for ever", name): {"verdict": "failed"} for name in ("turns", "turn items")},
    # Calls are known by their places, outputs by their calls.
    **{(_TWICE, f"{kind} items"): {"exit_code": 0, "gap": None} for kind in ("conversation", "input", "turn")},
    (_OTHERS, "turn items"): {"gap": None, "says": "it belongs to another list", "rejects": 2},
    # Of the session itself there are two, and its subagent has one more than other long lists.
    (_TWICE, "subagents' turns"): {"gap": Gap(session_of(1).session["id"], kept=106)},
    **{(name, "subagents' turns"): {"gap": Gap(session_of(1).session["id"], kept=108)} for name in (_CIRCLE, _REMARK)},
}
