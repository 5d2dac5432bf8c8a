"""What the corpus contains, counted object by object while it is generated and never read back from pages."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.emulator.account.tool_calls import JsonObject


@dataclass(frozen=True, slots=True)
class TokenTotals:
    """Sums of reported tokens; an object that does not report a number adds nothing to its sum."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class Truth:
    """Exact totals of one phase of a corpus. Activities are steps, not tool calls."""

    phase: int
    threads: int
    runs: int
    steps: int
    runs_by_status: Mapping[str, int]
    steps_by_type: Mapping[str, int]
    steps_by_details_type: Mapping[str, int]
    steps_by_status: Mapping[str, int]
    tool_calls: int
    tool_calls_by_type: Mapping[str, int]
    code_interpreter_outputs: int
    file_search_results: int
    step_tokens_by_model: Mapping[str, TokenTotals]
    run_tokens_by_model: Mapping[str, TokenTotals]

    def as_dict(self) -> dict[str, Any]:
        """The same totals as plain JSON values."""
        return asdict(self)


@dataclass(slots=True)
class _Sums:
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    total_tokens: int = 0

    def add(self, usage: JsonObject) -> None:
        self.prompt_tokens += usage["prompt_tokens"]
        self.completion_tokens += usage["completion_tokens"]
        self.total_tokens += usage["total_tokens"]
        self.cached_tokens += usage.get("prompt_token_details", {}).get("cached_tokens", 0)
        self.reasoning_tokens += usage.get("completion_tokens_details", {}).get("reasoning_tokens", 0)

    def freeze(self) -> TokenTotals:
        return TokenTotals(
            self.prompt_tokens,
            self.cached_tokens,
            self.completion_tokens,
            self.reasoning_tokens,
            self.total_tokens,
        )


@dataclass(slots=True)
class Tally:
    """Running counts of one phase."""

    threads: int = 0
    runs_by_status: Counter[str] = field(default_factory=Counter)
    steps_by_type: Counter[str] = field(default_factory=Counter)
    steps_by_details_type: Counter[str] = field(default_factory=Counter)
    steps_by_status: Counter[str] = field(default_factory=Counter)
    tool_calls_by_type: Counter[str] = field(default_factory=Counter)
    code_interpreter_outputs: int = 0
    file_search_results: int = 0
    step_sums: defaultdict[str, _Sums] = field(default_factory=lambda: defaultdict(_Sums))
    run_sums: defaultdict[str, _Sums] = field(default_factory=lambda: defaultdict(_Sums))

    def count_run(self, run: JsonObject, steps: Sequence[JsonObject]) -> None:
        """Count one run and all of its steps."""
        model = run["model"]
        self.runs_by_status[run["status"]] += 1
        if run.get("usage") is not None:
            self.run_sums[model].add(run["usage"])
        for step in steps:
            self._count_step(step, model)

    def _count_step(self, step: JsonObject, model: str) -> None:
        details = step["step_details"]
        self.steps_by_type[step["type"]] += 1
        self.steps_by_details_type[details["type"]] += 1
        self.steps_by_status[step["status"]] += 1
        if step.get("usage") is not None:
            self.step_sums[model].add(step["usage"])
        for call in details.get("tool_calls", ()):
            self._count_call(call)

    def _count_call(self, call: JsonObject) -> None:
        kind = call["type"]
        self.tool_calls_by_type[kind] += 1
        if kind == "code_interpreter":
            self.code_interpreter_outputs += len(call[kind]["outputs"])
        elif kind == "file_search" and isinstance(call[kind], dict):
            self.file_search_results += len(call[kind].get("results", ()))

    def freeze(self, phase: int) -> Truth:
        """The counts so far as an unchangeable value."""
        return Truth(
            phase=phase,
            threads=self.threads,
            runs=self.runs_by_status.total(),
            steps=self.steps_by_type.total(),
            runs_by_status=_sort(self.runs_by_status),
            steps_by_type=_sort(self.steps_by_type),
            steps_by_details_type=_sort(self.steps_by_details_type),
            steps_by_status=_sort(self.steps_by_status),
            tool_calls=self.tool_calls_by_type.total(),
            tool_calls_by_type=_sort(self.tool_calls_by_type),
            code_interpreter_outputs=self.code_interpreter_outputs,
            file_search_results=self.file_search_results,
            step_tokens_by_model={model: self.step_sums[model].freeze() for model in sorted(self.step_sums)},
            run_tokens_by_model={model: self.run_sums[model].freeze() for model in sorted(self.run_sums)},
        )


def _sort(counts: Mapping[str, int]) -> dict[str, int]:
    return {key: counts[key] for key in sorted(counts)}
