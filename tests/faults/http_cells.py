"""Faults below the protocol: connections, statuses, bodies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tests.faults.cell import Cell, Gap, Lists, Outcome

Rule = Mapping[str, object]
SOON = {"retry-after-ms": "20"}
_EVERYTHING = Gap()


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a fault strikes: which requests, and what is missing if it never heals."""

    name: str
    match: Rule
    gap: Gap


def stages(lists: Lists) -> list[Stage]:
    """The server's list of threads, a thread's list of runs, a run's list of steps; the last two also at page 2."""
    runs: Rule = {"route": "list_runs", "match": {"thread_id": lists.long_thread}}
    steps: Rule = {"route": "list_steps", "match": {"run_id": lists.long_run}}
    return [
        Stage("list of threads", {"route": "list_threads"}, _EVERYTHING),
        Stage("runs", runs, Gap(lists.long_thread)),
        Stage("runs, page 2", {**runs, "after_requests": 1}, Gap(lists.long_thread, kept=100)),
        Stage("steps", steps, Gap(lists.thread_of_long_run, lists.long_run)),
        Stage("steps, page 2", {**steps, "after_requests": 1}, Gap(lists.thread_of_long_run, lists.long_run, 100)),
    ]


def http_cells(lists: Lists) -> Iterator[Cell]:
    """Every fault of the group; statuses are judged alike on every page, broken answers strike later pages too."""
    threads, runs, runs_2, steps, steps_2 = stages(lists)
    for stage in (threads, runs, steps):
        for status in (408, 409, 429, 500, 502, 503, 504, 529):
            fault: Rule = {"fault": "status", "status": status, "headers": SOON, **stage.match}
            yield _heals(f"{status}, three in a row", stage, {**fault, "times": 3})
            yield _lasts(f"{status} for ever", stage, fault)
        yield from _refused(stage)
    for stage in (runs_2, steps):
        yield from _retry_after(stage)
    for name, fault in _BROKEN.items():
        for stage in (runs, steps_2):
            yield _heals(f"{name}, twice", stage, {**fault, **stage.match, "times": 2})
        for stage in (threads, runs_2, steps):
            yield _lasts(f"{name}, for ever", stage, {**fault, **stage.match})
    for stage, kept in ((threads, 0), (runs_2, 120), (steps_2, 300)):
        rule = {"fault": "remark_in_200", "list": "full", **stage.match, "times": 1}
        outcome = Outcome(exit_code=4, verdict="broken", gap=replace(stage.gap, kept=kept), says="partial: true")
        yield Cell("HTTP", "200 with a remark beside the list, once", stage.name, outcome, [rule])
    for stage in (runs, steps_2):
        large = {"fault": "big_body", "bytes": 200_000_000, **stage.match, "times": 1}
        yield _heals("a body of 200 MB", stage, large)
    yield from _no_connection()


def _retry_after(stage: Stage) -> Iterator[Cell]:
    for name, headers in _RETRY_AFTERS.items():
        fault = {"fault": "status", "status": 429, "headers": headers, **stage.match}
        yield _heals(f"429 once, {name}", stage, {**fault, "times": 1})
    for name, value in (("a day", "86400"), ("the year 2099", "Sun, 01 Nov 2099 08:00:00 GMT")):
        fault = {"fault": "status", "status": 429, "headers": {"retry-after": value}, **stage.match}
        yield _lasts(f"429 once, Retry-After: {name}", stage, {**fault, "times": 1})


# As HTTP has it, as OpenAI has it, and what servers have sent instead.
_RETRY_AFTERS: Mapping[str, Mapping[str, str]] = {
    "Retry-After: 0": {"retry-after": "0"},
    "Retry-After: 0.2 (a fraction)": {"retry-after": "0.2"},
    "Retry-After: a date in the past": {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"},
    "retry-after-ms: 20": SOON,
    "Retry-After: -5": {"retry-after": "-5"},
    "Retry-After: garbage": {"retry-after": "soon, promised"},
    "no Retry-After": {},
}

_BROKEN: Mapping[str, Rule] = {
    "reset before the answer": {"fault": "reset", "at": "start"},
    "reset in the middle of a body": {"fault": "reset", "at": "middle"},
    "one byte a second": {"fault": "slow_body", "bytes_per_s": 1.0},
    "200 with HTML": {"fault": "html_200"},
    "200 with half a JSON": {"fault": "half_json"},
    "200 with an object that is no list": {"fault": "not_envelope", "kind": "object"},
    "200 with an array": {"fault": "not_envelope", "kind": "array"},
    "200 with data: null": {"fault": "not_envelope", "kind": "data_null"},
    "200 with data: {}": {"fault": "not_envelope", "kind": "data_not_list"},
    "200 with an error beside an empty list": {"fault": "error_in_200"},
    "200 with an error beside the list": {"fault": "error_in_200", "list": "full"},
    "200 with a remark beside an empty list": {"fault": "remark_in_200", "remark": "message"},
    "Content-Length 10 too long": {"fault": "wrong_content_length", "difference": 10},
    "Content-Length 10 too short": {"fault": "wrong_content_length", "difference": -10},
    "gzip that breaks off": {"fault": "broken_gzip", "kind": "truncated"},
    "gzip that is none": {"fault": "broken_gzip", "kind": "not_gzip"},
    "nested 100,000 deep": {"fault": "deep_json", "depth": 100_000},
}

# Their answers never come to an end: the client is the one to give up.
_ENDLESS = ("one byte a second", "Content-Length 10 too long")


def _patience(fault: str) -> dict[str, object]:
    return {"timeout_s": 2.0} if fault.startswith(_ENDLESS) else {}


def _heals(fault: str, stage: Stage, rule: Rule) -> Cell:
    attempts = {"attempts": 4} if "three" in fault else {}
    return Cell("HTTP", fault, stage.name, Outcome(), [rule], settings={**attempts, **_patience(fault)})


def _lasts(fault: str, stage: Stage, rule: Rule) -> Cell:
    outcome = Outcome(exit_code=4, verdict="failed", gap=stage.gap)
    return Cell("HTTP", fault, stage.name, outcome, [rule], settings={"attempts": 2, **_patience(fault)})


def _refused(stage: Stage) -> Iterator[Cell]:
    """Answers that no waiting heals: they are not asked for again."""
    for status in (400, 404, 422):
        verdict = "missing" if status == 404 and "page 2" not in stage.name else "failed"
        exit_code = 0 if verdict == "missing" and stage.name == "runs" else 4
        gap = stage.gap
        outcome = Outcome(exit_code=exit_code, verdict=verdict, gap=gap)
        yield Cell(
            "HTTP", f"{status} for ever", stage.name, outcome, [{"fault": "status", "status": status, **stage.match}]
        )
    redirect = {"fault": "redirect", "location": "https://example.com/elsewhere", **stage.match}
    outcome = Outcome(exit_code=4, verdict="failed", gap=stage.gap, says="redirects are not followed")
    yield Cell("HTTP", "302 to another host", stage.name, outcome, [redirect])


def _no_connection() -> Iterator[Cell]:
    outcome = Outcome(exit_code=4, verdict="failed", gap=_EVERYTHING)
    for stage in ("list of threads", "runs"):
        # Where nothing ever answers the sync ends in seconds, and names the server in place of each thread.
        silent = replace(outcome, verdict="refused", says="nothing answers at")
        yield Cell("HTTP", "connection refused", stage, silent, base_url="http://127.0.0.1:1/v1")
        yield Cell(
            "HTTP", "TLS failure", stage, replace(outcome, says="no TLS"), base_url="https://127.0.0.1:{port}/v1"
        )
    for status in (401, 403):
        refused = Outcome(exit_code=3, verdict="refused", gap=_EVERYTHING, says="the server refuses us")
        for stage, route in (("list of threads", "list_threads"), ("runs", "list_runs")):
            yield Cell(
                "HTTP", f"{status} for ever", stage, refused, [{"fault": "status", "status": status, "route": route}]
            )
