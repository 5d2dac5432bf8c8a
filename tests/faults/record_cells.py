"""Faults inside records: what can be read of them is whole, the rest is in `rejects`."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.emulator import Corpus, RunningEmulator
from pipeline.emulator.account.corpus import Item, RunRecord
from tests.faults.cell import Cell, Ended, Gap, Json, Lists, Outcome, Patch, with_threads
from tests.faults.cursor_cells import change_list
from tests.faults.http_cells import Stage, stages
from tests.faults.running import sync

# Every tenth record is struck, or the first of each page; pages have 100.
_TENTH: Mapping[str, object] = {"start": 3, "every": 10}
_FIRST: Mapping[str, object] = {"every": 100}


@dataclass(frozen=True, slots=True)
class _Kind:
    """A fault of records: what a struck one becomes, and rejects for each (or `page_rejects` for each page)."""

    kind: str
    becomes: Patch
    rejects: int = 0
    page_rejects: int = 0
    on: Mapping[str, object] = field(default_factory=lambda: _TENTH)


def _lost(_record: Json, _position: int) -> None:
    return None


def _same(record: Json, _position: int) -> Json:
    return record


def _without_usage(record: Json, _position: int) -> Json:
    return record | {"usage": None}


def _without_creation(record: Json, _position: int) -> Json:
    return record | {"created_at": None}


def _zero(name: str) -> Patch:
    return lambda record, _position: record | {"usage": (record["usage"] or {}) | {name: 0}}


def _details(kind: str) -> Patch:
    def becomes(record: Json, _position: int) -> Json:
        return record | {"type": kind or record["type"], "step_details": {"type": kind}}

    return becomes


def _mismatched(record: Json, _position: int) -> Json:
    return record | {"type": "message_creation" if record["type"] == "tool_calls" else "tool_calls"}


def _python_calls(count: int, logs: str) -> Patch:
    call = {"type": "code_interpreter", "code_interpreter": {"outputs": [{"logs": logs}]}}
    details = {"type": "tool_calls", "tool_calls": [call] * count}
    return lambda record, _position: record | {"type": "tool_calls", "step_details": details}


_OF_STEPS: dict[str, _Kind] = {
    "id is null": _Kind("null_id", _lost, rejects=2),
    "id is missing": _Kind("missing_id", _lost, rejects=1),
    "tokens are strings": _Kind("string_usage", _same),
    "tokens are negative": _Kind("negative_tokens", _zero("prompt_tokens"), rejects=1),
    "tokens are fractions": _Kind("fractional_tokens", _zero("completion_tokens"), rejects=1),
    "step_details is null": _Kind("null_details", _details("")),
    "a type that nobody knows": _Kind("unknown_type", _details("telepathy")),
    "type and details disagree": _Kind("type_mismatch", _mismatched),
    "10 MB of logs in one call": _Kind(
        "big_logs", _python_calls(1, "x" * 10_000_000), on={**_FIRST, "bytes": 10_000_000}
    ),
    "10,000 tool calls in one step": _Kind(
        "many_tool_calls", _python_calls(10_000, "ok\n"), on={**_FIRST, "count": 10_000}
    ),
    "half of a surrogate pair": _Kind("lone_surrogate", _python_calls(1, "half of an emoji: \ufffd"), page_rejects=1),
    "a NUL character": _Kind("nul_character", _python_calls(1, "before \0 after")),
    "milliseconds, -1 and empty values": _Kind("ms_timestamps", _same),
    "ids with slash, ?, #, %2F, +, space, é": _Kind("odd_ids", _same, on={}),
}


def record_cells(lists: Lists) -> Iterator[Cell]:
    """Every fault of the group on the steps of a run, and those that can be on the runs of a thread."""
    _, runs, _, steps, _ = stages(lists)
    for name, kind in _OF_STEPS.items():
        struck = 3 if kind.on is _FIRST or "bytes" in kind.on or "count" in kind.on else 30
        outcome = _dropping(
            kind.rejects * struck, 3 * kind.page_rejects, patch=_every(kind.becomes, kind.on), patched=lists.long_run
        )
        rule = {"fault": "record", "kind": kind.kind, **kind.on, **steps.match}
        yield Cell("Records", name, "steps", outcome, [rule])
    for name, kind_name, rejects in (("id is null", "null_id", 24), ("id is missing", "missing_id", 12)):
        nameless = Outcome(
            exit_code=4,
            verdict="broken",
            gap=replace(runs.gap, kept=120),
            rejects=rejects,
            patch=_every(_lost, _TENTH),
            patched=lists.long_thread,
            says="have no id",
        )
        yield Cell("Records", name, "runs", nameless, [{"fault": "record", "kind": kind_name, **_TENTH, **runs.match}])
    yield from _of_parents(lists, runs, steps)
    yield from _settling(runs, steps)
    yield from _usage_of_runs(lists, runs)
    odd = {"fault": "record", "kind": "odd_ids", **runs.match}
    # Their steps say whose they are in the same words.
    both = [odd, {**odd, "route": "list_steps"}]
    yield Cell("Records", "ids with slash, ?, #, %2F, +, space, é", "runs", Outcome(), both)
    yield from _of_bytes(lists)
    yield from _of_ids(lists)


def _dropping(rejects: int, repaired: int = 0, *, patch: Patch, patched: str) -> Outcome:
    """What is lost of usage, instants and ids makes the sync incomplete; a text that was repaired is only said."""
    return Outcome(
        exit_code=4 if rejects else 0,
        rejects=rejects + repaired,
        says="could not be read" if rejects or repaired else "",
        patch=patch,
        patched=patched,
    )


def _of_parents(lists: Lists, runs: Stage, steps: Stage) -> Iterator[Cell]:
    """Items that say that they belong elsewhere: one on each page, and all of a list."""
    for stage, kept, pages, parent in ((runs, 120, 2, "other_thread"), (steps, 300, 3, "other_run")):
        broken = Outcome(4, "broken", replace(stage.gap, kept=kept), rejects=pages, says="belong to another list")
        yield Cell(
            "Records", "items of others among its own", stage.name, broken, [{"fault": "other_parents", **stage.match}]
        )
        none_own = replace(broken, gap=replace(stage.gap, kept=0), rejects=kept)
        rule = {"fault": "record", "kind": parent, **stage.match}
        yield Cell("Records", "items of others in place of its own", stage.name, none_own, [rule])


@dataclass(frozen=True, slots=True)
class _ThenSound:
    """A sync while records are struck, and one once they are sound."""

    rule: Mapping[str, object]

    def __call__(self, lists: Lists, server: RunningEmulator, folder: Path) -> Ended:
        """How the second sync ended."""
        server.set_faults([self.rule])
        ended = sync(server, folder)
        assert ended.exit_code == 0, f"the first sync ended with {ended.exit_code}: {ended.output}"
        assert server.struck() != [0], "no record was struck"
        server.clear_faults()
        return sync(server, folder)


def _settling(runs: Stage, steps: Stage) -> Iterator[Cell]:
    """What is said late of runs that had ended when they were synced first."""
    for name, stage, kind in (
        ("usage comes after the run has ended", runs, "null_usage"),
        ("usage comes after the run has ended", steps, "null_usage"),
        ("usage is 0 until the run has ended for a while", steps, "zero_usage"),
        ("usage changes after the run has ended", steps, "other_usage"),
        ("a step is open after the run has ended", steps, "open_status"),
    ):
        act = _ThenSound({"fault": "record", "kind": kind, **stage.match})
        yield Cell("Records", f"{name}, then sync", stage.name, Outcome(), act=act)


def _usage_of_runs(lists: Lists, runs: Stage) -> Iterator[Cell]:
    """Faults of the usage that runs report themselves; those that report none have none to lose."""
    reported = [index for index, run in enumerate(_runs_of(lists)) if _reports_usage(run)]
    struck = [index for index in reported if index % 10 == _TENTH["start"]]
    for name in ("tokens are strings", "tokens are negative", "tokens are fractions"):
        kind = _OF_STEPS[name]
        patch = _every(_if_reported(kind.becomes), _TENTH)
        outcome = _dropping(kind.rejects * len(struck), patch=patch, patched=lists.long_thread)
        yield Cell("Records", name, "runs", outcome, [{"fault": "record", "kind": kind.kind, **_TENTH, **runs.match}])
    for name in ("tokens beyond 64 bits", "tokens of 400 digits"):
        found, put, becomes, rejects = _BYTES[name]
        outcome = _dropping(rejects * len(reported), patch=becomes, patched=lists.long_thread)
        yield Cell("Records", name, "runs", outcome, served=_rewriting(Gap(lists.long_thread), found, put))


def _runs_of(lists: Lists) -> Sequence[RunRecord]:
    return next(thread.runs for thread in lists.corpus.threads if thread.item.object_id == lists.long_thread)


def _reports_usage(run: RunRecord) -> bool:
    return json.loads(run.item.body).get("usage") is not None


def _if_reported(patch: Patch) -> Patch:
    return lambda record, position: record if record.get("usage") is None else patch(record, position)


def _every(patch: Patch, on: Mapping[str, object]) -> Patch:
    every, start = int(str(on.get("every", 1))), int(str(on.get("start", 0)))
    return lambda record, position: patch(record, position) if position % every == start else record


# Written into the bytes of every step of a run: what, in place of what, what it becomes, rejects for each step.
_BYTES: dict[str, tuple[bytes, bytes, Patch, int]] = {
    "a key twice, the last one is right": (rb"^\{", b'{"status":"wrong",', _same, 0),
    "tokens beyond 64 bits": (rb'"total_tokens":\d+', b'"total_tokens":1180591620717411303424', _without_usage, 1),
    "tokens of 400 digits": (rb'"total_tokens":\d+', b'"total_tokens":' + b"9" * 400, _without_usage, 1),
    "an instant of 1e400": (rb'"created_at":\d+', b'"created_at":1e400', _without_creation, 1),
    "an instant in the year 200,000,000": (
        rb'"created_at":\d+',
        b'"created_at":6311385600000000',
        _without_creation,
        1,
    ),
    "bytes that are not UTF-8": (rb'"object":"thread.run.step"', b'"object":"thread\xff"', _same, 0),
}


def _of_bytes(lists: Lists) -> Iterator[Cell]:
    gap = Gap(lists.thread_of_long_run, lists.long_run)
    for name, (found, put, becomes, rejects) in _BYTES.items():
        # A page whose text is no Unicode is one reject; it is repaired and read.
        repaired = 3 if "UTF-8" in name else 0
        outcome = _dropping(300 * rejects, repaired, patch=becomes, patched=lists.long_run)
        yield Cell("Records", name, "steps", outcome, served=_rewriting(gap, found, put))


def _rewriting(gap: Gap, found: bytes, put: bytes) -> Callable[[Lists], Corpus]:
    """The corpus with other bytes in every item of a list that has what is looked for."""

    def rewrite(items: list[Item]) -> list[Item]:
        return [_rewritten(item, found, put) for item in items]

    return lambda lists: change_list(lists.corpus, gap, rewrite, counted=False)


def _rewritten(item: Item, found: bytes, put: bytes) -> Item:
    def write(body: bytes) -> bytes:
        return re.sub(found, lambda _: put, body, count=1)

    return Item(item.object_id, write(item.body), write(item.body_with_content) if item.body_with_content else None)


def _of_ids(lists: Lists) -> Iterator[Cell]:
    odd = "{} \"quoted'\n\t\\ \U0001f600 ../x"
    renamed = with_ids(lists, odd)
    yield Cell(
        "Records", "ids with quotes, newline, tab, backslash, emoji", "runs", Outcome(), corpus=lambda _: renamed
    )
    dotted = with_ids(lists, "..", only=5)
    outcome = Outcome(exit_code=4, verdict="failed", gap=Gap(lists.long_thread, ".."), says="fits into no URL")
    yield Cell("Records", "an id that is two dots", "runs", outcome, corpus=lambda _: dotted)


def with_ids(lists: Lists, pattern: str, *, only: int | None = None) -> Corpus:
    """The corpus with other ids for the runs of the long thread and their steps; `only` for the run at that place."""
    threads = []
    for thread in lists.corpus.threads:
        if thread.item.object_id == lists.long_thread:
            runs = [
                _renamed_run(run, pattern, steps_too=only is None) if only in (None, index) else run
                for index, run in enumerate(thread.runs)
            ]
            thread = replace(thread, runs=tuple(runs))
        threads.append(thread)
    return with_threads(lists.corpus, threads)


def _renamed_run(run: RunRecord, pattern: str, *, steps_too: bool) -> RunRecord:
    renamed = _renamed(run.item, pattern)
    steps = (_renamed(step, pattern, run_id=renamed.object_id) for step in run.steps) if steps_too else run.steps
    return RunRecord(renamed, tuple(steps))


def _renamed(item: Item, pattern: str, *, run_id: str | None = None) -> Item:
    new_id = pattern.replace("{}", item.object_id)
    names = {"id": new_id} | ({} if run_id is None else {"run_id": run_id})

    def write(body: bytes) -> bytes:
        return json.dumps(json.loads(body) | names).encode()

    return Item(new_id, write(item.body), write(item.body_with_content) if item.body_with_content else None)
