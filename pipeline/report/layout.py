"""The tables of a report: their words and columns, in the order of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a frame: its kind is name (a null is unknown), text, id, count, money, change, share, ...

    `adds_up`: the sum of its values means something. `is_optional`: left out also where all its values are 0.
    """

    name: str
    label: str
    kind: str = "count"
    has_bar: bool = False
    adds_up: bool = False
    is_optional: bool = False
    when_null: str | None = None

    @property
    def is_number(self) -> bool:
        """Whether it is aligned to the right and sorted by value."""
        return self.kind in {"count", "money", "change", "share", "seconds"}


@dataclass(frozen=True, slots=True)
class TableLayout:
    """A table of the frame of the same name. With `has_total` the rows, those not shown and the rests add up to all.

    `rests` names what rows stand for that are no rows of the table but the rest of it, by their value of `part`.
    """

    name: str
    caption: str
    columns: Sequence[Column]
    most_rows: int = 20
    has_total: bool = False
    rests: Mapping[str, str] = field(default_factory=dict)


_SOURCE = Column("source", "Source", "text")
_RUNS = Column("runs", "Runs", adds_up=True)
_SPENT = Column("spent_usd", "Spent", "money", adds_up=True)
_SHARE = Column("share", "Share", "share", has_bar=True, adds_up=True)
_FEES = Column("fee_usd", "Fees in it", "money", adds_up=True, when_null="–")
_A_RUN = Column("run_usd", "Per run", "money")
_TOKENS = Column("total_tokens", "Tokens", adds_up=True)
_UNPRICED = Column("unpriced_tokens", "Unpriced tokens", adds_up=True)
_SPEND = (_SPENT, _SHARE, _FEES, _RUNS, _A_RUN, _TOKENS)
_TOOL = Column("name", "Tool", "name")
_TYPE = Column("type", "Type", "name")
_COST = Column("cost_usd", "Cost", "money", adds_up=True)
_MODEL = Column("model", "Model", "name")
_ASSISTANT = Column("assistant_id", "Assistant", "name")

SPEND = (
    TableLayout(
        "spend_by_customer",
        "By customer",
        (
            Column("customer", "Customer", "name", when_null="without one"),
            *_SPEND,
            _UNPRICED,
        ),
        has_total=True,
    ),
    TableLayout(
        "spend_by_assistant",
        "By assistant",
        (
            _ASSISTANT,
            Column("name", "Called", "text"),
            _SOURCE,
            *_SPEND,
            _UNPRICED,
        ),
        has_total=True,
    ),
    TableLayout(
        "spend_by_model",
        "By model",
        (
            _MODEL,
            Column("stands_for", "Stands for", "text"),
            *_SPEND,
            Column("cached_share", "Cached prompt", "share"),
            _UNPRICED,
        ),
        has_total=True,
    ),
    TableLayout(
        "spend_by_protocol",
        "By protocol",
        (
            Column("protocol", "Protocol", "name"),
            Column("first_day", "From", "day"),
            Column("last_day", "To", "day"),
            *_SPEND,
            _UNPRICED,
        ),
        has_total=True,
    ),
    TableLayout(
        "spend_by_tool",
        "By tool",
        (
            _TOOL,
            _SPENT,
            _SHARE,
            _FEES,
            Column("calls", "Calls", adds_up=True),
            Column("call_usd", "Per call", "money"),
            Column("runs", "Runs"),
            _TYPE,
        ),
        has_total=True,
        rests={"no_tool": "Steps that called no tool", "no_step": "Usage on no step"},
    ),
)
OTHERS = (
    TableLayout(
        "change",
        "What the difference is made of",
        (
            Column("reason", "Reason", "text"),
            Column("change_usd", "Change", "change"),
            Column("share", "Part of the change", "share"),
        ),
    ),
    TableLayout(
        "spend_by_day",
        "By UTC day",
        (Column("day", "Day", "day"), _SPENT, _FEES, _RUNS, Column("steps", "Steps", adds_up=True), _TOKENS, _UNPRICED),
        most_rows=400,
    ),
    TableLayout(
        "dearest_runs",
        "The runs that cost most",
        (
            Column("run_id", "Run", "id"),
            Column("first_day", "Day", "day"),
            _SPENT,
            Column("steps", "Steps"),
            Column("calls", "Calls"),
            Column("failures", "Failed", is_optional=True),
            _TOKENS,
            Column("model", "Model", "name"),
            Column("customer", "Customer", "text"),
            Column("assistant_id", "Assistant", "id"),
            Column("status", "Ended", "text"),
            _SOURCE,
        ),
        most_rows=40,
    ),
    TableLayout(
        "tools",
        "Tool calls, how often they failed and how long they took",
        (
            _TOOL,
            Column("calls", "Calls", adds_up=True),
            Column("failures", "Failed", adds_up=True),
            Column("failure_share", "Failure rate", "share", has_bar=True),
            Column("p50_duration_s", "Median", "seconds"),
            Column("p95_duration_s", "p95", "seconds"),
            Column("runs", "Runs"),
            _TYPE,
        ),
        most_rows=40,
    ),
    TableLayout(
        "failures",
        "Failed calls by reason",
        (
            _TOOL,
            Column("failure", "Reason", "text"),
            Column("failures", "Calls"),
            Column("failure_share", "Part of its calls", "share"),
            _TYPE,
        ),
    ),
    TableLayout(
        "endings",
        "Runs by how they ended, or stand now",
        (
            Column("status", "Status", "name"),
            _RUNS,
            Column("share", "Rate", "share", has_bar=True),
            Column("spent_usd", "Spent", "money"),
        ),
    ),
    TableLayout(
        "unfinished",
        "Runs that were paid for and came to nothing",
        (Column("status", "Ended", "text"), Column("reason", "Reason", "text"), _COST, _RUNS, _TOKENS),
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
    ),
    TableLayout(
        "waiting",
        "Runs that wait for tool outputs",
        (_ASSISTANT, _SOURCE, _RUNS, Column("waiting_calls", "Open calls"), Column("cost_usd", "Cost so far", "money")),
    ),
    TableLayout(
        "unpriced",
        "Tokens without a price, and why",
        (
            _MODEL,
            _SOURCE,
            Column("reason", "Reason", "text"),
            _RUNS,
            Column("prompt_tokens", "Prompt tokens"),
            Column("completion_tokens", "Completion tokens"),
            _TOKENS,
            Column("first_day", "First day", "day"),
            Column("last_day", "Last day", "day"),
        ),
    ),
    TableLayout(
        "completeness",
        "Runs by whether all of their steps are here",
        (Column("state", "State", "text"), _SOURCE, _RUNS, Column("steps", "Steps")),
    ),
    TableLayout(
        "threads",
        "Threads by how far they are synced",
        (
            Column("status", "Status", "text"),
            _SOURCE,
            Column("threads", "Threads"),
            Column("runs", "Runs", is_optional=True),
            Column("oldest_sync_at", "Oldest sync", "instant"),
            Column("newest_sync_at", "Newest sync", "instant"),
        ),
    ),
    TableLayout(
        "rejects",
        "Values that could not be read",
        (Column("reason", "Reason", "text"), _SOURCE, Column("rejects", "Values")),
    ),
)
TABLES = (*SPEND, *OTHERS)
