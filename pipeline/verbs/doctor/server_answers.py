"""Some ten questions about the lists of one thread, and what a server answers to them; each is asked once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from pipeline.http.probe import Probe
from pipeline.protocol.list_heads import ListReader, decode_list, tokens_of, usable_id
from pipeline.protocol.lists import PAGE_LIMIT
from pipeline.protocol.wire import TERMINAL_STATUSES, ItemHead, ListHead

# No server has it.
UNKNOWN_ID = "item_that_no_server_has"
Ask = Callable[[Sequence[str], Sequence[tuple[str, str]]], Probe]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a list, or (None) a status, or why there was neither."""

    status: int
    head: ListHead | None = None
    fault: str | None = None
    retry_after: str | None = None
    doubt: str | None = None

    @property
    def items(self) -> list[ItemHead]:
        """The items of the list, none if it is no list."""
        return self.head.data if self.head else []

    @property
    def ids(self) -> list[object]:
        """Their ids."""
        return [item.id for item in self.items]


@dataclass(slots=True)
class Answers:
    """The answers by what was asked; `listed` is the longer one of the two whole lists, which the others are about."""

    thread_id: str
    run_id: str | None = None
    runs: Answer | None = None
    steps: Answer | None = None
    run: ItemHead | None = None
    retrieved: Answer | None = None
    of_list: dict[str, Answer] = field(default_factory=dict)
    requests: int = 0

    @property
    def listed(self) -> Answer:
        """The list that was asked about."""
        both = [answer for answer in (self.runs, self.steps) if answer is not None]
        return max(both, key=lambda answer: len(answer.items))

    @property
    def all(self) -> list[Answer]:
        """Every answer."""
        named = (self.runs, self.steps, self.retrieved)
        return [*(answer for answer in named if answer is not None), *self.of_list.values()]


def ask_server(thread_id: str, ask: Ask, reader: ListReader) -> Answers:
    """Ask a thread's lists in a few ways, about ten requests in all."""
    found = Answers(thread_id)

    def get(segments: Sequence[str], **params: str | int) -> Answer:
        found.requests += 1
        answer = _answer_of(ask(segments, [(name, str(value)) for name, value in params.items()]))
        return answer if answer.head is None else replace(answer, doubt=reader.doubt_of(answer.head))

    runs = ("threads", thread_id, "runs")
    found.runs = get(runs, limit=PAGE_LIMIT, order="asc")
    found.run = _telling_run(found.runs.items)
    segments: tuple[str, ...] = runs
    if found.run is not None and (run_id := usable_id(found.run.id)):
        found.run_id = run_id
        found.steps = get((*runs, run_id, "steps"), limit=PAGE_LIMIT, order="asc")
        found.requests += 1
        found.retrieved = _object_of(ask((*runs, run_id), []))
        if found.listed is found.steps:
            segments = (*runs, run_id, "steps")
    ids = [item_id for value in found.listed.ids if (item_id := usable_id(value))]
    asked: dict[str, dict[str, str | int]] = {
        "limit 1": {"limit": 1, "order": "asc"},
        "limit 2": {"limit": 2, "order": "asc"},
        "desc": {"limit": 2, "order": "desc"},
        "unknown": {"limit": 2, "order": "asc", "after": UNKNOWN_ID},
    }
    if ids:
        asked["after the last"] = {"limit": PAGE_LIMIT, "order": "asc", "after": ids[-1]}
    if len(ids) > 1:
        asked["after"] = {"limit": 1, "order": "asc", "after": ids[0]}
        asked["before"] = {"limit": 2, "order": "asc", "before": ids[1]}
    found.of_list = {name: get(segments, **params) for name, params in asked.items()}
    return found


def _answer_of(probe: Probe) -> Answer:
    retry_after = probe.headers.get("retry-after-ms") or probe.headers.get("retry-after")
    if probe.failure is not None:
        return Answer(0, fault=probe.failure.reason)
    if probe.status != 200:
        return Answer(probe.status, fault=f"HTTP {probe.status}", retry_after=retry_after)
    try:
        return Answer(200, decode_list(probe.body))
    except ValueError as error:
        return Answer(200, fault=f"HTTP 200 but {error}")


def _object_of(probe: Probe) -> Answer:
    """A single object, as a list of it alone."""
    if probe.failure is not None or probe.status != 200:
        return _answer_of(probe)
    try:
        return Answer(200, ListHead([msgspec.json.decode(probe.body, type=ItemHead)]))
    except (ValueError, RecursionError):
        return Answer(200, fault="HTTP 200 but no object")


def _telling_run(runs: Sequence[ItemHead]) -> ItemHead | None:
    """The run whose steps tell most: one that has ended, with the most tokens."""
    return max(
        (run for run in runs if usable_id(run.id)),
        key=lambda run: (run.status in TERMINAL_STATUSES, tokens_of(run).total or 0),
        default=None,
    )
