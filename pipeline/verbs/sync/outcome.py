"""How a sync ended, told to a person on stderr or to a machine as JSON on stdout."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.console.tables import count_of, join_counts
from pipeline.errors import INTERRUPTED, IncompleteError
from pipeline.extract.fetching import Progress
from pipeline.program import command
from pipeline.protocol.kinds import KINDS, hint_for_all
from pipeline.raw.places import raw_store
from pipeline.settings.invocation import Settings
from pipeline.verbs.progress import Meter, Reporter
from pipeline.verbs.status import print_outcome
from pipeline.verbs.sync.flow import SyncResult
from pipeline.warehouse.database import warehouse_path
from pipeline.warehouse.lost_values import summary_of, warnings_of

_NOT_FOUND = 404


def exit_code_of(result: SyncResult) -> int:
    """What the program ends with."""
    if result.error is not None:
        return result.error.exit_code
    if result.verdict == "incomplete":
        return IncompleteError.exit_code
    return 0


def report_interruption(reporter: Reporter, meter: Meter, *, as_json: bool) -> None:
    """What a sync that was interrupted has done."""
    reporter.say("interrupted: what has landed is kept; run the same command again to go on", level="warning")
    if as_json:
        print(json.dumps({"verdict": "interrupted", "exit_code": INTERRUPTED, **_counts(meter)}))


@dataclass(frozen=True, slots=True)
class End:
    """A sync of one source that was not interrupted."""

    settings: Settings
    meter: Meter
    result: SyncResult


def report_ends(reporter: Reporter, ends: Sequence[End], *, as_json: bool, loads: bool) -> None:
    """What syncs into one warehouse came to; `loads`: they were to be in it now."""
    for end in ends:
        _report_findings(reporter, end)
    if as_json:
        first, *others = map(_summary, ends)
        print(json.dumps({**first, "others": others} if others else first))
        return
    settings = ends[0].settings
    shown = [end for end in ends if _report_counts(reporter, end, loads=loads)]
    if not loads:
        reporter.say(f"landed in {raw_store(settings.data_dir).place}: {command('load')} brings it in")
    elif shown and not reporter.quiet:
        print_outcome(warehouse_path(settings.data_dir), sources=[end.settings.source for end in shown])


def _report_findings(reporter: Reporter, end: End) -> None:
    """What was found wrong."""
    result = end.result
    if result.damage is not None:
        reporter.say(str(result.damage), level="warning")
    _report_faults(reporter, end.meter.progress, result)
    for warning in warnings_of(result.lost):
        reporter.say(warning, level="warning")
    for note in () if result.kept is None else result.kept.notes:
        reporter.say(note)
    for hint in _hints(end.settings, end.meter.progress):
        reporter.say(hint, level="warning")


def _report_counts(reporter: Reporter, end: End, *, loads: bool) -> bool:
    """How much there was, and how long it took; False if there is nothing to show of it."""
    progress, meter, result = end.meter.progress, end.meter, end.result
    counts = join_counts(
        [
            ("threads", progress.threads_done),
            ("runs listed", progress.runs),
            ("steps", progress.steps if result.kept is None else result.kept.steps),
            *([] if result.kept is None else [("tool calls", result.kept.calls)]),
            ("requests", meter.traffic.requests),
            ("retries", meter.traffic.retries),
        ]
    )
    not_due = f", {count_of(progress.threads_not_due, 'threads')} not due yet" if progress.threads_not_due else ""
    reporter.say(f"sync {result.verdict}: {counts}{not_due} in {result.seconds:.1f} s")
    if loads and progress.threads_total and not progress.runs:
        why = "nothing was fetched" if result.error is not None else _why_nothing(progress)
        reporter.say(f"{why}: {command('doctor')} looks for the reason", level="warning")
        return False
    return result.error is None


def _why_nothing(progress: Progress) -> str:
    """Why there is nothing to show of what was asked for, in one line."""
    if progress.failures:
        return f"nothing was fetched ({progress.failures[0]})"
    if progress.threads_missing:
        return "nothing was fetched, the server knows none of the threads"
    return f"nothing was fetched, no run in {count_of(progress.threads_done, 'threads')}"


def _hints(settings: Settings, progress: Progress) -> list[str]:
    """What the server's answers usually mean."""
    kind = KINDS[settings["kind"]]
    base_url = settings["base_url"] or kind.base_url or ""
    everything = hint_for_all(kind, base_url, _NOT_FOUND) if progress.found_nothing else None
    # Where one answer is explained there is no need to guess at all of them.
    return sorted(progress.hints) or ([everything] if everything else [])


def _report_faults(reporter: Reporter, progress: Progress, result: SyncResult) -> None:
    for failure in progress.failures:
        reporter.say(failure, level="warning")
    if progress.threads_missing:
        reporter.say(
            f"{progress.threads_missing:,} of {progress.threads_total:,} threads do not exist on the server (404):"
            " they were deleted, or the base URL is not that of the API",
            level="warning",
        )
    if progress.failed_threads:
        reporter.say(
            f"incomplete: {count_of(len(progress.failed_threads), 'threads')}; run the same command again, and see:"
            f" {command('query coverage')}",
            level="warning",
        )
    if result.error is not None:
        reporter.say(f"{result.error}. What had landed is kept.", level="error")


def _summary(end: End) -> dict[str, object]:
    meter, result = end.meter, end.result
    return {
        "sync_id": result.sync_id,
        "verdict": result.verdict,
        "exit_code": exit_code_of(result),
        **_counts(meter),
        "seconds": result.seconds,
        "warehouse": str(warehouse_path(end.settings.data_dir)),
        "kept": None
        if result.kept is None
        else {"runs": result.kept.runs, "steps": result.kept.steps, "tool_calls": result.kept.calls},
        "runs_unsettled": None if result.kept is None else len(result.kept.unsettled),
        "runs_sealed_unsettled": None if result.kept is None else len(result.kept.sealed_unsettled),
        "failures": meter.progress.failures,
        **summary_of(result.lost),
        "error": None if result.error is None else str(result.error),
        "hints": _hints(end.settings, meter.progress),
    }


def _counts(meter: Meter) -> dict[str, int]:
    progress = meter.progress
    return {
        "threads": progress.threads_done,
        "threads_missing": progress.threads_missing,
        "threads_failed": len(progress.failed_threads),
        "threads_not_due": progress.threads_not_due,
        "runs_listed": progress.runs,
        "runs_sealed": progress.runs_sealed,
        "steps": progress.steps,
        "requests": meter.traffic.requests,
        "retries": meter.traffic.retries,
    }
