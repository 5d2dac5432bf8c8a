"""Which guarantees of the protocol a server gives, by its answers about one thread, and what we do without. Pure."""

from collections.abc import Iterator, Sequence

from pipeline.protocol.list_heads import foreign_parent, is_settled, order_of, tokens_of, usable_id
from pipeline.protocol.lists import PAGE_LIMIT
from pipeline.protocol.wire import TERMINAL_STATUSES
from pipeline.verbs.doctor.diagnosis import Diagnosis
from pipeline.verbs.doctor.server_answers import Answer, Answers

_SHORT = "the list is too short to tell: name a thread with more runs or steps"
_NOT_OURS = "a sync sees it, and ends with exit code 4"
_SEEN_TO = "a sync sees to it"


def judge_answers(answers: Answers) -> list[Diagnosis]:
    """One line for each guarantee: ok where it is given, warn where a sync does without, fail where it cannot."""
    faults = [answer.fault for answer in (answers.runs, answers.steps) if answer and answer.head is None]
    if faults or answers.runs is None:
        return [Diagnosis("lists", "fail", f"{answers.thread_id}: {faults[0]}", "a sync of this thread fails as well")]
    return [
        _judge_remarks(answers),
        *_judge_limit(answers),
        _judge_order(answers),
        _judge_after(answers),
        _judge_before(answers),
        _judge_unknown(answers),
        _judge_has_more(answers),
        _judge_last_id(answers),
        _judge_ids(answers),
        _judge_parents(answers),
        _judge_retrieve(answers),
        _judge_usage(answers),
        _judge_retry_after(answers),
    ]


def settings_for(answers: Answers, found: Sequence[Diagnosis]) -> dict[str, object]:
    """What a profile for this server should say, beside what it has by default."""
    states = {each.check: each.state for each in found}
    settings: dict[str, object] = {}
    if states.get("limit") == states.get("after") == "fail" and not answers.listed.head.has_more:  # type: ignore[union-attr]
        settings["whole_lists"] = True
    if any(answer.status == 429 for answer in answers.all):
        settings["requests_per_minute"] = 60
    return settings


def _judge_remarks(answers: Answers) -> Diagnosis:
    doubts = [answer.doubt for answer in answers.all if answer.doubt]
    if doubts:
        found, _, advice = doubts[0].partition("; ")
        return Diagnosis("remarks", "fail", f"{len(doubts)} lists may not be all: {found}", f"{_NOT_OURS}; {advice}")
    return Diagnosis("remarks", "ok", "no list says that it may not be all")


def _judge_limit(answers: Answers) -> Iterator[Diagnosis]:
    count = len(answers.listed.items)
    lengths = [len(answers.of_list[name].items) for name in ("limit 1", "limit 2")]
    if count < 3:
        yield Diagnosis("limit", "warn", f"limits of 1 and 2 brought {lengths}", _SHORT)
    elif lengths == [1, 2]:
        yield Diagnosis("limit", "ok", "limits of 1 and 2 are kept")
    else:
        state, advice = ("warn", _SEEN_TO) if lengths == [count, count] else ("fail", _NOT_OURS)
        has_end = answers.listed.head is not None and answers.listed.head.has_more is not None
        if not has_end:
            state, advice = "fail", f"{_NOT_OURS}, unless its lists are known to be whole: whole_lists = true"
        yield Diagnosis("limit", state, f"limits of 1 and 2 brought {lengths[0]:,} and {lengths[1]:,} items", advice)  # type: ignore[arg-type]
    more = answers.listed.head is not None and answers.listed.head.has_more
    if more and count < PAGE_LIMIT:
        yield Diagnosis("limit of 100", "warn", f"a page has {count:,} items though there are more", _SEEN_TO)


def _judge_order(answers: Answers) -> Diagnosis:
    ids, turned = answers.listed.ids, answers.of_list["desc"].ids
    if len(ids) < 2:
        return Diagnosis("order", "warn", "not seen", _SHORT)
    seen = order_of(answers.listed.items)
    if seen == "desc":
        return Diagnosis("order", "warn", "asked ascending it lists the newest first", f"{_SEEN_TO}: it turns the list")
    if seen is None:
        advice = f"{_SEEN_TO}: it lists such threads from the start each time"
        return Diagnosis("order", "warn", "instants of creation do not show it", advice)
    if seen == "mixed":
        return Diagnosis("order", "warn", "instants of creation go up and down", f"{_SEEN_TO}: no cursor is kept")
    if turned[:1] == ids[:1]:
        return Diagnosis("order", "warn", "asked descending it lists the oldest first", "a sync asks ascending")
    return Diagnosis("order", "ok", "both orders are kept")


def _judge_after(answers: Answers) -> Diagnosis:
    ids, asked = answers.listed.ids, answers.of_list.get("after")
    if asked is None:
        return Diagnosis("after", "warn", "not seen", _SHORT)
    last = answers.of_list["after the last"].ids
    if asked.ids[:1] == ids[1:2] and not set(map(str, last)) & set(map(str, ids)):
        return Diagnosis("after", "ok", "the list goes on after an item")
    if last == ids[-1:]:
        return Diagnosis("after", "warn", "pages begin with the item before", f"{_SEEN_TO}: it counts it once")
    if asked.ids[:1] == ids[1:2]:
        return Diagnosis("after", "fail", "after the last item come others of before", _NOT_OURS)
    whole = answers.listed.head is not None and answers.listed.head.has_more is False
    if asked.head is None:
        found = asked.fault or "refused"
    else:
        found = "an empty page" if not asked.items else "the same items again" if asked.ids[:1] == ids[:1] else "others"
    advice = f"{_NOT_OURS} where a list is longer than a page" if whole else _NOT_OURS
    if answers.listed.head is not None and usable_id(answers.listed.head.last_id) not in (None, ids[-1]):
        return Diagnosis("after", "warn", f"after an item comes {found}", f"{_SEEN_TO}: it follows last_id")
    return Diagnosis("after", "fail", f"after an item comes {found}", advice)


def _judge_before(answers: Answers) -> Diagnosis:
    asked = answers.of_list.get("before")
    if asked is None:
        return Diagnosis("before", "warn", "not seen", _SHORT)
    if asked.ids == answers.listed.ids[:1]:
        return Diagnosis("before", "ok", "the list ends before an item")
    return Diagnosis("before", "warn", f"before the second item come {len(asked.items):,} others", "a sync has no use")


def _judge_unknown(answers: Answers) -> Diagnosis:
    asked = answers.of_list["unknown"]
    if asked.head is None:
        state = "ok" if 400 <= asked.status < 500 and asked.status != 429 else "warn"
        return Diagnosis("unknown id", state, asked.fault or "refused")  # type: ignore[arg-type]
    found = "an empty page" if not asked.items else "the list from its start"
    return Diagnosis("unknown id", "warn", found, f"{_SEEN_TO}: each list has to begin with the last known run")


def _judge_has_more(answers: Answers) -> Diagnosis:
    first, last = answers.of_list["limit 1"], answers.of_list.get("after the last")
    said = [answer.head.has_more if answer.head else None for answer in (first, answers.listed)]
    count = len(answers.listed.items)
    if None in said:
        return Diagnosis("has_more", "warn", "missing", f"{_SEEN_TO}: a list has ended once an empty page comes")
    after_last = [] if last is None or last.head is None else [one for one in last.ids if one not in answers.listed.ids]
    if said[1] is False and after_last:
        return Diagnosis("has_more", "warn", "false though there is more", f"{_SEEN_TO}: it asks on after full pages")
    if count > 1 and len(first.items) == 1 and said[0] is False:
        return Diagnosis("has_more", "warn", "false though there is more", f"{_SEEN_TO}: it asks on after full pages")
    if said[1] is True and last is not None and last.head is not None and not after_last:
        advice = _SEEN_TO if last.head.has_more is not True else _NOT_OURS
        return Diagnosis("has_more", "warn" if advice == _SEEN_TO else "fail", "true though there is no more", advice)
    return Diagnosis("has_more", "ok", "true where there is more, false where not")


def _judge_last_id(answers: Answers) -> Diagnosis:
    head, ids = answers.listed.head, answers.listed.ids
    named = usable_id(head.last_id) if head else None
    if not ids or named == ids[-1]:
        return Diagnosis("last_id", "ok", "the id of the last item")
    if named is None:
        return Diagnosis("last_id", "warn", "missing", f"{_SEEN_TO}: it goes by the items")
    return Diagnosis(
        "last_id", "warn", "not the id of the last item", f"{_SEEN_TO}: it is tried where items lead nowhere"
    )


def _judge_ids(answers: Answers) -> Diagnosis:
    for name, answer in (("runs", answers.runs), ("steps", answers.steps)):
        ids = [usable_id(value) for value in answer.ids] if answer else []
        if None in ids:
            return Diagnosis("ids", "fail", f"{ids.count(None):,} of {len(ids):,} {name} have none", _NOT_OURS)
        if len(set(ids)) < len(ids):
            return Diagnosis(
                "ids", "fail", f"{len(ids) - len(set(ids)):,} of {len(ids):,} {name} are doubles", _NOT_OURS
            )
    return Diagnosis("ids", "ok", "each item has its own")


def _judge_parents(answers: Answers) -> Diagnosis:
    places: tuple[tuple[Answer | None, str | None], ...] = ((answers.runs, None), (answers.steps, answers.run_id))
    items = [(item, run_id) for answer, run_id in places if answer for item in answer.items]
    foreign = [
        parent for item, run_id in items if (parent := foreign_parent(item, thread_id=answers.thread_id, run_id=run_id))
    ]
    if foreign:
        found = f"{len(foreign):,} of {len(items):,} items name another, such as {foreign[0]}"
        return Diagnosis("parents", "fail", found, f"{_NOT_OURS}: does a gateway drop ids from the path?")
    silent = sum(usable_id(item.thread_id) is None or (run_id and not item.run_id) is True for item, run_id in items)
    if silent:
        return Diagnosis(
            "parents", "warn", f"{silent:,} of {len(items):,} items name none", "nothing shows a mix-up then"
        )
    return Diagnosis("parents", "ok", "items name the thread and run that were asked for")


def _judge_retrieve(answers: Answers) -> Diagnosis:
    if answers.retrieved is None:
        return Diagnosis("retrieve", "warn", "not seen: the thread has no runs")
    if answers.retrieved.ids == [answers.run_id]:
        return Diagnosis("retrieve", "ok", "a run by its id is the run of the list")
    found = answers.retrieved.fault if answers.retrieved.head is None else "another object"
    return Diagnosis("retrieve", "warn", found or "nothing", "a sync has no use, `runs get` has")


def _judge_usage(answers: Answers) -> Diagnosis:
    run, steps = answers.run, answers.steps
    if run is None or steps is None or run.status not in TERMINAL_STATUSES:
        return Diagnosis("usage", "warn", "not seen: no run of the thread has ended")
    if steps.head is not None and (steps.head.has_more or len(steps.items) == PAGE_LIMIT):
        return Diagnosis("usage", "warn", f"not seen: {run.id} has more than {PAGE_LIMIT} steps")
    if is_settled(run.status, tokens_of(run), steps.items):
        return Diagnosis("usage", "ok", f"the steps of {run.id} add up to it")
    own, total = tokens_of(run).total, sum(tokens_of(step).total or 0 for step in steps.items)
    found = f"{run.id} has {'no usage' if own is None else f'{own:,} tokens'}, its steps {total:,} tokens"
    return Diagnosis("usage", "warn", found, "a sync asks for it again as long as settle_after says (1d)")


def _judge_retry_after(answers: Answers) -> Diagnosis:
    limited = [answer for answer in answers.all if answer.status in (429, 503)]
    if not limited:
        return Diagnosis("Retry-After", "ok", "not seen: no request was pushed back")
    if all(answer.retry_after for answer in limited):
        return Diagnosis("Retry-After", "ok", f"sent with HTTP {limited[0].status}")
    advice = "give requests_per_minute: a sync can only guess when to come again"
    return Diagnosis("Retry-After", "warn", f"HTTP {limited[0].status} without it", advice)
