"""The tables of a report: their words and columns, in the order of the page."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a frame: its kind is name (a null is unknown), text, count, money, change, share, ..."""

    name: str
    label: str
    kind: str = "count"
    has_bar: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it is aligned to the right and sorted by value."""
        return self.kind in {"count", "money", "change", "share", "seconds"}


@dataclass(frozen=True, slots=True)
class TableLayout:
    """A table of the frame of the same name: what its caption says, and what stands there when it has no rows."""

    name: str
    caption: str
    columns: Sequence[Column]
    when_empty: str


_SOURCE = Column("source", "Source", "text")
_RUNS = Column("runs", "Runs")
_STEPS = Column("steps", "Steps")
_UNPRICED_STEPS = Column("unpriced_steps", "Steps without cost")
_UNPRICED_RESTS = Column("unpriced_rests", "Rests of runs without cost")
_COST = Column("cost_usd", "Cost", "money", has_bar=True)
_UNATTRIBUTED = Column("unattributed_cost_usd", "of it on no step", "money")
_FEES = Column("fee_usd", "Fees beside it", "money")
_TOOL = Column("name", "Tool", "name")
_TYPE = Column("type", "Type", "name")

TABLES = (
    TableLayout(
        "threads",
        "Threads by how far they are synced",
        (
            _SOURCE,
            Column("status", "Status", "text"),
            Column("threads", "Threads"),
            _RUNS,
            Column("oldest_sync_at", "Oldest sync", "instant"),
            Column("newest_sync_at", "Newest sync", "instant"),
        ),
        "No thread is known yet.",
    ),
    TableLayout(
        "completeness",
        "Runs by whether all of their steps are here",
        (_SOURCE, Column("state", "State", "text"), _RUNS, _STEPS),
        "No run.",
    ),
    TableLayout(
        "rejects",
        "Values that could not be read",
        (_SOURCE, Column("reason", "Reason", "text"), Column("rejects", "Values")),
        "Everything could be read.",
    ),
    TableLayout(
        "spend_by_day",
        "Spend by UTC day",
        (
            Column("day", "Day", "day"),
            _COST,
            _FEES,
            _RUNS,
            _STEPS,
            _UNPRICED_STEPS,
            _UNATTRIBUTED,
            _UNPRICED_RESTS,
            Column("total_tokens", "Tokens"),
        ),
        "No usage with a date.",
    ),
    TableLayout(
        "spend_by_model",
        "Spend by model",
        (
            Column("model", "Model", "name"),
            _COST,
            _FEES,
            _RUNS,
            _STEPS,
            _UNPRICED_STEPS,
            _UNATTRIBUTED,
            _UNPRICED_RESTS,
            Column("prompt_tokens", "Prompt tokens"),
            Column("completion_tokens", "Completion tokens"),
            Column("cached_share", "Cached prompt", "share"),
        ),
        "No usage.",
    ),
    TableLayout(
        "spend_by_assistant",
        "Spend by assistant",
        (
            _SOURCE,
            Column("assistant_id", "Assistant", "name"),
            _COST,
            _FEES,
            Column("threads", "Threads"),
            _RUNS,
            _STEPS,
            _UNPRICED_STEPS,
            _UNATTRIBUTED,
            _UNPRICED_RESTS,
        ),
        "No usage.",
    ),
    TableLayout(
        "change",
        "What the difference is made of",
        (
            Column("reason", "Reason", "text"),
            Column("change_usd", "Change", "change"),
            Column("share", "Part of the change", "share"),
        ),
        "Nothing changed.",
    ),
    TableLayout(
        "tools",
        "Tools: calls, failures, time and cost",
        (
            _TOOL,
            Column("calls", "Calls"),
            Column("failures", "Failures"),
            Column("failure_share", "Failure rate", "share"),
            Column("p95_duration_s", "p95", "seconds"),
            _COST,
            Column("p50_duration_s", "Median", "seconds"),
            _RUNS,
            Column("unpriced_calls", "Calls without cost"),
            _TYPE,
        ),
        "No tool was called.",
    ),
    TableLayout(
        "failures",
        "Failed calls by reason",
        (_TOOL, Column("failures", "Calls", has_bar=True), Column("failure", "Reason", "text"), _TYPE),
        "No call failed.",
    ),
    TableLayout(
        "sessions",
        "Fees of the code interpreter, on top of the tokens",
        (_SOURCE, Column("sessions", "Sessions"), Column("calls", "Calls"), Column("fee_usd", "Fees", "money")),
        "The code interpreter was not used.",
    ),
    TableLayout(
        "unfinished",
        "Runs that were paid for and came to nothing",
        (
            Column("status", "Ended", "text"),
            Column("reason", "Reason", "text"),
            _COST,
            _RUNS,
            Column("total_tokens", "Tokens"),
        ),
        "No run was paid for in vain.",
    ),
    TableLayout(
        "repeated",
        "Calls made again with the same arguments in the same run",
        (
            _TOOL,
            Column("repetitions", "Repetitions"),
            _COST,
            _RUNS,
            Column("most_calls_in_one_run", "Most in one run"),
            _TYPE,
        ),
        "No call was repeated.",
    ),
    TableLayout(
        "waiting",
        "Runs that wait for tool outputs",
        (
            _SOURCE,
            Column("assistant_id", "Assistant", "name"),
            _RUNS,
            Column("waiting_calls", "Open calls"),
            Column("cost_usd", "Cost so far", "money"),
        ),
        "No run waits.",
    ),
    TableLayout(
        "unpriced",
        "Tokens without a cost, and why",
        (
            _SOURCE,
            Column("model", "Model", "name"),
            Column("reason", "Reason", "text"),
            _RUNS,
            _STEPS,
            Column("rests", "Rests of runs"),
            Column("prompt_tokens", "Prompt tokens"),
            Column("completion_tokens", "Completion tokens"),
            Column("total_tokens", "Tokens"),
            Column("first_day", "First day", "day"),
            Column("last_day", "Last day", "day"),
        ),
        "All usage has a cost.",
    ),
)
