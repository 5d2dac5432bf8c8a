"""Threads that show what ordinary traffic seldom does: every tool, every status, page borders, open runs."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from pipeline.emulator.account.assistants import LAST_SECOND
from pipeline.emulator.account.hosted_calls import TOOL_CALLS, make_tool_call
from pipeline.emulator.account.runs import (
    RunDraft,
    activity_details,
    build_run,
    message_details,
    reopen_run,
    tool_details,
)
from pipeline.emulator.account.texts import UNICODE_SAMPLES
from pipeline.emulator.account.tool_calls import (
    JsonObject,
    make_code_long,
    make_code_unicode,
    make_function,
    make_function_unicode,
    make_retry,
)
from pipeline.emulator.account.traffic import Desk, RunHistory, draw_details, draw_run

_LATE: Final = LAST_SECOND - 4 * 3600


def _closed(drafts: Sequence[RunDraft]) -> list[RunHistory]:
    return [RunHistory(draft, draft) for draft in drafts]


def show_every_tool(desk: Desk) -> list[RunHistory]:
    """One run for each variant of a tool call, the last with several kinds in one step."""
    rng = desk.rng
    orchestrator = desk.office.find_assistant("Operations Orchestrator")
    instant = desk.office.clock.draw(rng)
    drafts = []
    for variant in TOOL_CALLS:
        details = [tool_details([make_tool_call(rng, variant)]), message_details(rng)]
        drafts.append(desk.build(orchestrator, instant, details))
        instant += 90
    calls = [make_tool_call(rng, variant) for variant in ("mcp", "file_search/content", "code_interpreter/mixed")]
    calls += [make_function(rng, "get_order_status"), make_function(rng, "get_order_status", failing=True)]
    details = [activity_details(rng), tool_details(calls), message_details(rng)]
    drafts.append(desk.build(orchestrator, instant, details))
    return _closed(drafts)


def show_every_ending(desk: Desk) -> list[RunHistory]:
    """A run for each way to end, with steps and without, and for each kind of error."""
    rng = desk.rng
    support = desk.office.find_assistant("Support Concierge")
    instant = desk.office.clock.draw(rng)
    drafts = []
    for status in ("completed", "failed", "cancelled", "expired", "incomplete"):
        for documented_wire in (False, True):
            calls = tool_details([make_function(rng, "get_order_status")])
            plan = desk.plan(support, instant, [message_details(rng), calls])
            plan = replace(plan, status=status, documented_wire=documented_wire)
            drafts.append(build_run(rng, plan))
            instant += 300
    for status, code in (("failed", "rate_limit_exceeded"), ("failed", "invalid_prompt"), ("cancelled", "")):
        plan = replace(desk.plan(support, instant, []), status=status, error_code=code)
        drafts.append(build_run(rng, plan))
        instant += 300
    return _closed(drafts)


def leave_empty(_desk: Desk) -> list[RunHistory]:
    """A thread without runs."""
    return []


def _open_run(desk: Desk, status: str, keep: int, final_status: str = "completed") -> RunHistory:
    rng = desk.rng
    support = desk.office.find_assistant("Support Concierge")
    calls = [make_function(rng, "lookup_customer"), make_function(rng, "get_order_status")]
    details = [
        message_details(rng),
        tool_details(calls),
        message_details(rng),
        tool_details([make_function(rng, "create_ticket")]),
        message_details(rng),
    ]
    created_at = _LATE + rng.randrange(3600)
    after = build_run(rng, replace(desk.plan(support, created_at, details), status=final_status))
    return RunHistory(reopen_run(after, status=status, keep=keep), after)


def leave_runs_open(desk: Desk) -> list[RunHistory]:
    """After a finished run one that is open before the advance, in each of the four open states in turn."""
    support = desk.office.find_assistant("Support Concierge")
    first = draw_run(desk, support, _LATE - 7200, "completed")
    status, keep, final_status = _OPEN_STATES[desk.rng.randrange(len(_OPEN_STATES))]
    return [RunHistory(first, first), _open_run(desk, status, keep, final_status)]


_OPEN_STATES: Final = (
    ("queued", 0, "completed"),
    ("in_progress", 2, "completed"),
    ("requires_action", 2, "completed"),
    ("cancelling", 4, "cancelled"),
)


def open_in_state(position: int) -> Callable[[Desk], list[RunHistory]]:
    """A scenario with one run that is open in the state at this position of the four."""

    def open_one(desk: Desk) -> list[RunHistory]:
        status, keep, final_status = _OPEN_STATES[position]
        return [_open_run(desk, status, keep, final_status)]

    return open_one


def stay_open(desk: Desk) -> list[RunHistory]:
    """A run that is in progress before the advance and, with more steps, after it."""
    history = _open_run(desk, "in_progress", 1)
    return [RunHistory(history.before, reopen_run(history.after, status="in_progress", keep=3))]


def write_unicode(desk: Desk) -> list[RunHistory]:
    """The same awkward characters twice: as UTF-8 and as ASCII escapes."""
    rng = desk.rng
    analyst = desk.office.find_assistant("Data Analyst")
    instant = desk.office.clock.draw(rng)
    histories = []
    for escaped in (False, True):
        details = [tool_details([make_code_unicode(rng), make_function_unicode(rng)]), message_details(rng)]
        draft = desk.build(analyst, instant, details)
        draft.run["instructions"] = "\n".join(UNICODE_SAMPLES)
        draft.run["metadata"] = {"customer": "株式会社サンプル", "note": UNICODE_SAMPLES[3]}
        histories.append(RunHistory(draft, draft, escaped))
        instant += 600
    return histories


def repeat_and_retry(desk: Desk) -> list[RunHistory]:
    """Calls that were made again: after an error, and for no reason at all."""
    rng = desk.rng
    support = desk.office.find_assistant("Support Concierge")
    instant = desk.office.clock.draw(rng)
    failing = make_function(rng, "get_order_status", failing=True)
    healed = [failing, make_retry(rng, failing, heals=False), make_retry(rng, failing, heals=True)]
    same = make_function(rng, "lookup_customer")
    wasted = [same, *(make_retry(rng, same, heals=False) for _ in range(4))]
    drafts = []
    for calls in (healed, wasted):
        details = [*(tool_details([call]) for call in calls), message_details(rng)]
        drafts.append(desk.build(support, instant, details))
        instant += 1800
    return _closed(drafts)


def remember_first_version(desk: Desk) -> list[RunHistory]:
    """Objects of the first protocol version: retrieval, no usage key; the second run is being cancelled."""
    rng = desk.rng
    faq = desk.office.find_assistant("Legacy FAQ Bot")
    instant = desk.office.clock.draw(rng)
    drafts = []
    for offset in (0, 900):
        details = [tool_details([make_tool_call(rng, "retrieval")]), message_details(rng)]
        plan = desk.plan(faq, instant + offset, details)
        draft = build_run(rng, replace(plan, usage_style="absent", model="gpt-4-1106-preview"))
        draft.run["instructions"] = None
        drafts.append(draft)
    return _closed(drafts)


def disagree_on_type(desk: Desk) -> list[RunHistory]:
    """A step whose type says tool calls while its details are activities."""
    rng = desk.rng
    orchestrator = desk.office.find_assistant("Operations Orchestrator")
    instant = desk.office.clock.draw(rng)
    draft = desk.build(orchestrator, instant, [activity_details(rng), message_details(rng)])
    draft.steps[0]["type"] = "tool_calls"
    return _closed([draft])


def write_long_logs(desk: Desk) -> list[RunHistory]:
    """Three runs with logs of 100 KB."""
    rng = desk.rng
    analyst = desk.office.find_assistant("Data Analyst")
    instant = desk.office.clock.draw(rng)
    drafts = []
    for offset in (0, 700, 1400):
        details = [tool_details([make_code_long(rng)]), message_details(rng)]
        drafts.append(desk.build(analyst, instant + offset, details))
    return _closed(drafts)


def make_long_runs(*lengths: int) -> Callable[[Desk], list[RunHistory]]:
    """A scenario of runs with exactly these numbers of steps."""

    def work_long(desk: Desk) -> list[RunHistory]:
        instant = desk.office.clock.draw(desk.rng)
        names = ("Data Analyst", "Support Concierge", "Operations Orchestrator")
        drafts = []
        for number, length in enumerate(lengths):
            assistant = desk.office.find_assistant(names[number % 3])
            details: list[JsonObject] = list(draw_details(desk, assistant, length))
            plan = replace(desk.plan(assistant, instant, details), pace_s=2)
            drafts.append(build_run(desk.rng, plan))
            instant += 1200
        return _closed(drafts)

    return work_long


def make_busy_thread(runs: int) -> Callable[[Desk], list[RunHistory]]:
    """A scenario of one thread with exactly this number of runs, some of them in the same second."""

    def stay_busy(desk: Desk) -> list[RunHistory]:
        rng = desk.rng
        travel = desk.office.find_assistant("Travel Planner")
        instants = _draw_tied_instants(desk, runs, rng)
        return _closed([draw_run(desk, travel, instant) for instant in instants])

    return stay_busy


def _draw_tied_instants(desk: Desk, count: int, rng: random.Random) -> list[int]:
    instants = sorted(desk.office.clock.draw(rng) for _ in range(count))
    for border in range(20, count, 20):
        instants[border] = instants[border - 1]
    return instants


SCENARIOS: Final[tuple[Callable[[Desk], list[RunHistory]], ...]] = (
    show_every_tool,
    show_every_ending,
    leave_empty,
    open_in_state(0),
    open_in_state(1),
    open_in_state(2),
    open_in_state(3),
    stay_open,
    make_long_runs(105, 200),
    write_unicode,
    repeat_and_retry,
    remember_first_version,
    disagree_on_type,
    make_busy_thread(120),
    write_long_logs,
    make_long_runs(100, 230, 300),
    make_busy_thread(100),
    make_busy_thread(250),
    leave_runs_open,
    leave_runs_open,
    leave_runs_open,
    leave_runs_open,
    leave_empty,
    write_long_logs,
)
