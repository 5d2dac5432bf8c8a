"""What the moved business adds up to, counted from its stories and never read back from pages."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.emulator.account.tool_calls import JsonObject
from pipeline.emulator.successors.account import Successors

_CALL = "_call"


@dataclass(frozen=True, slots=True)
class ProtocolTruth:
    """Exact totals of one protocol in one phase; tokens are of those that say them.

    `answered` are calls of functions whose output there is, whichever object it stands in.
    """

    threads: int
    runs: int
    runs_by_status: Mapping[str, int]
    calls_by_type: Mapping[str, int]
    answered: int
    code_outputs: int
    search_results: int
    tokens: Mapping[str, int]


@dataclass(slots=True)
class _Tally:
    statuses: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    called: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)
    code_outputs: int = 0
    search_results: int = 0

    def count_run(self, run: JsonObject, items: Iterable[JsonObject]) -> None:
        """Count a response or a turn and what it did."""
        self.statuses[run["status"]] += 1
        usage = run.get("usage") or {}
        for name in ("input_tokens", "output_tokens", "total_tokens"):
            self.tokens[name] += usage.get(name, 0)
        details = usage.get("input_tokens_details", {})
        self.tokens["cached_tokens"] += details.get("cached_tokens", 0)
        self.tokens["cache_write_tokens"] += details.get("cache_write_tokens", 0)
        self.tokens["reasoning_tokens"] += usage.get("output_tokens_details", {}).get("reasoning_tokens", 0)
        for item in items:
            self._count_item(item)

    def _count_item(self, item: JsonObject) -> None:
        kind = item["type"]
        if kind == "command_execution" or kind.endswith(_CALL):
            self.calls[kind.removesuffix(_CALL)] += 1
        if kind == "function_call":
            self.called.add(item["call_id"])
        self.note_output(item)
        self.code_outputs += len(item["outputs"]) if kind == "code_interpreter_call" else 0
        self.search_results += len(item["results"]) if kind == "file_search_call" else 0

    def note_output(self, item: JsonObject) -> None:
        """Note an output of a function, wherever it stands."""
        if item["type"] == "function_call_output":
            self.outputs.add(item["call_id"])

    def freeze(self, threads: int) -> ProtocolTruth:
        return ProtocolTruth(
            threads=threads,
            runs=self.statuses.total(),
            runs_by_status=dict(sorted(self.statuses.items())),
            calls_by_type=dict(sorted(self.calls.items())),
            answered=len(self.called & self.outputs),
            code_outputs=self.code_outputs,
            search_results=self.search_results,
            tokens=dict(sorted(self.tokens.items())),
        )


def count_successors(account: Successors, phase: int) -> dict[str, ProtocolTruth]:
    """The totals of a phase: of responses in conversations, of those in chains, and of turns."""
    tallies = {"conversations": _Tally(), "chains": _Tally(), "agents": _Tally()}
    for story in account.stories:
        tally = tallies["conversations" if story.conversation_id else "chains"]
        for history in story.histories:
            if (state := history.after if phase else history.before) is not None:
                tally.count_run(state, state["output"])
                for item in history.inputs:
                    tally.note_output(item)
    for session in account.sessions:
        for turn in session.turns:
            if (state := turn.after if phase else turn.before) is not None:
                tallies["agents"].count_run(state, turn.items_after if phase else turn.items_before)
    has_conversation = [story.conversation_id is not None for story in account.stories]
    threads = {
        "conversations": sum(has_conversation),
        "chains": len(has_conversation) - sum(has_conversation),
        "agents": len(account.sessions),
    }
    return {name: tally.freeze(threads[name]) for name, tally in tallies.items()}


def as_dict(truths: Mapping[str, ProtocolTruth]) -> dict[str, Any]:
    """The totals as plain JSON values."""
    return {name: asdict(truth) for name, truth in truths.items()}
