"""The ordinary work of the generated business: threads of a few runs, runs of a few steps."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pipeline.emulator.account.assistants import LAST_SECOND, Assistant, BusinessClock
from pipeline.emulator.account.hosted_calls import make_tool_call
from pipeline.emulator.account.runs import (
    RunDraft,
    RunPlan,
    activity_details,
    build_run,
    message_details,
    tool_details,
)
from pipeline.emulator.account.texts import make_id, pick_customer
from pipeline.emulator.account.tool_calls import JsonObject, is_failed_function, make_retry

_STATUSES = ("completed", "failed", "cancelled", "expired", "incomplete")
_STATUS_WEIGHTS = (92, 3, 2, 1.5, 1.5)
_MAX_ORDINARY_RUNS = 60
_MAX_ORDINARY_STEPS = 40


@dataclass(frozen=True, slots=True)
class ChildSlot:
    """The thread and run that are kept free for one call of a connected agent."""

    thread_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class RunHistory:
    """One run before and after the advance; None when it was not there yet. `escaped`: sent as ASCII JSON."""

    before: RunDraft | None
    after: RunDraft
    escaped: bool = False


@dataclass(slots=True)
class Office:
    """What all threads of one corpus share while it is generated."""

    assistants: Sequence[Assistant]
    clock: BusinessClock
    runs_per_thread: float
    steps_per_run: float
    free_slots: list[ChildSlot] = field(default_factory=list)
    called_at: dict[str, int] = field(default_factory=dict)

    def find_assistant(self, name: str) -> Assistant:
        """The assistant of that name."""
        return next(assistant for assistant in self.assistants if assistant.name == name)


@dataclass(slots=True)
class Desk:
    """Where one thread is generated: its own random numbers, its id and its customer."""

    office: Office
    rng: random.Random
    thread_id: str
    customer: str

    def build(self, assistant: Assistant, created_at: int, details: Sequence[JsonObject]) -> RunDraft:
        """A completed run with these steps."""
        return build_run(self.rng, self.plan(assistant, created_at, details))

    def plan(self, assistant: Assistant, created_at: int, details: Sequence[JsonObject]) -> RunPlan:
        """The plan of a completed run; child runs are linked to its calls of connected agents."""
        self._link_children(created_at, details)
        return RunPlan(
            thread_id=self.thread_id,
            assistant=assistant,
            created_at=created_at,
            details=details,
            metadata={"customer": self.customer, "feature": assistant.feature},
            documented_wire=self.rng.random() < 0.1,
        )

    def _link_children(self, created_at: int, details: Sequence[JsonObject]) -> None:
        for detail in details:
            for call in detail.get("tool_calls", ()):
                if call["type"] == "connected_agent" and self.office.free_slots:
                    slot = self.office.free_slots.pop()
                    self.office.called_at[slot.thread_id] = created_at + 2
                    call["connected_agent"] |= {
                        "thread_id": slot.thread_id,
                        "run_id": slot.run_id,
                        "assistant_id": self.office.find_assistant("Research Desk").assistant_id,
                    }


def open_desk(office: Office, rng: random.Random) -> Desk:
    """A desk for a new thread."""
    return Desk(office, rng, make_id(rng, "thread_"), pick_customer(rng))


def pick_assistant(desk: Desk) -> Assistant:
    """An assistant, busy ones more often."""
    assistants = desk.office.assistants
    return desk.rng.choices(assistants, weights=[assistant.traffic for assistant in assistants])[0]


def _draw_count(rng: random.Random, mean: float, sigma: float) -> int:
    return round(rng.lognormvariate(math.log(mean) - sigma * sigma / 2, sigma))


def draw_ordinary_thread(desk: Desk) -> list[RunHistory]:
    """A conversation: none to some dozen runs with one assistant, minutes to days apart."""
    rng, office = desk.rng, desk.office
    if rng.random() < 0.03:
        return []
    count = max(1, min(_MAX_ORDINARY_RUNS, _draw_count(rng, office.runs_per_thread, 0.9)))
    assistant = pick_assistant(desk)
    instant = office.clock.draw(rng)
    histories = []
    for _ in range(count):
        draft = draw_run(desk, assistant, instant)
        histories.append(RunHistory(draft, draft))
        instant += rng.randint(45, 2400) if rng.random() < 0.9 else rng.randint(43_200, 180_000)
        if instant > LAST_SECOND:
            break
    return histories


def draw_run(desk: Desk, assistant: Assistant, created_at: int, status: str | None = None) -> RunDraft:
    """A run of ordinary length whose end is drawn unless it is given."""
    rng = desk.rng
    status = status or rng.choices(_STATUSES, weights=_STATUS_WEIGHTS)[0]
    details = list(draw_details(desk, assistant, draw_length(desk)))
    if status in ("failed", "expired") and rng.random() < 0.4:
        details = []
    plan = desk.plan(assistant, created_at, details)
    code = rng.choice(("server_error", "rate_limit_exceeded"))
    return build_run(rng, replace(plan, status=status, error_code=code))


def draw_length(desk: Desk) -> int:
    """How many steps an ordinary run takes."""
    if desk.rng.random() < 0.25:
        return 1
    mean = desk.office.steps_per_run * 1.3
    return max(1, min(_MAX_ORDINARY_STEPS, _draw_count(desk.rng, mean, 0.6)))


def draw_details(desk: Desk, assistant: Assistant, length: int) -> Iterator[JsonObject]:
    """The details of a run's steps: tools, now and then a message, a message at the end."""
    rng = desk.rng
    previous: JsonObject | None = None
    if "mcp" in assistant.tool_weights and length > 1:
        yield activity_details(rng)
        length -= 1
    for _ in range(length - 1):
        if rng.random() < 0.2:
            yield message_details(rng)
            continue
        calls = _draw_calls(rng, assistant, previous)
        previous = calls[-1]
        yield tool_details(calls)
    yield message_details(rng)


def _draw_calls(rng: random.Random, assistant: Assistant, previous: JsonObject | None) -> list[JsonObject]:
    if previous is not None and previous["type"] == "function" and "output" in previous["function"]:
        failed = is_failed_function(previous)
        # Models try again after an error, and some repeat a call that had gone well.
        if rng.random() < (0.7 if failed else 0.05):
            return [make_retry(rng, previous, heals=failed and rng.random() < 0.75)]
    count = 1 if rng.random() < 0.85 else rng.randint(2, 4)
    variants = rng.choices(list(assistant.tool_weights), weights=list(assistant.tool_weights.values()), k=count)
    return [make_tool_call(rng, variant) for variant in variants]
