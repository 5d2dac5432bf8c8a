"""The tables of the plan past this machine: what was measured, and what it comes to for a large account."""

import math
from dataclasses import dataclass

from bench.report import format_table
from bench.scale_lake import Publishing
from bench.scale_runs import SHARDS, Account, Pair, Walks
from pipeline.lake.publishing import BATCH_BODY_BYTES

# What is planned for.
ACCOUNT_THREADS, ACCOUNT_STEPS, CHANGED = 10_000_000, 500_000_000, 0.01
DAYS_OF_YEAR = 365
# Of a cluster that publishes.
WORKERS = 32
PARTS_OF_PUBLISHING = ("change_s", "commit_s")
RATES = (10, 100, 1_000)
COLD_AFTER_DAYS, COLD_SHARE, COLD_LONGEST_DAYS = 7.0, 0.1, 30.0


@dataclass(frozen=True)
class Figures:
    """Two accounts of one kind: what grows with their size is told from the difference. And what naming takes."""

    few: Account
    many: Account
    naming: Pair
    listing: Pair
    walks: Walks
    publish: dict[str, Publishing]
    machine: str

    def per_step(self, name: str) -> float:
        """What each further step adds."""
        return self._difference(name) / self._difference("steps")

    def per_thread(self, name: str) -> float:
        """What each further thread adds."""
        return self._difference(name) / self._difference("threads")

    def at(self, name: str, threads: float) -> float:
        """The value at so many threads, on the line through the two that were measured."""
        return float(getattr(self.few, name)) + self.per_thread(name) * (threads - self.few.threads)

    def _difference(self, name: str) -> float:
        return float(getattr(self.many, name)) - float(getattr(self.few, name))


def format_plan(figures: Figures) -> str:
    """The tables: what was measured, and what it comes to for the large account."""
    measured = format_table(["measured", "value"], measured_rows(figures))
    planned = format_table(["worked out", "value", "from"], planned_rows(figures))
    return (
        f"Measured with `python -m bench.scale`: accounts of the emulator with {figures.few.steps:,} and"
        f" {figures.many.steps:,} steps, what each further step or thread adds; {figures.walks.rows:,} rows of `walks`"
        f" ({figures.machine}).\n\n{measured}\n\n"
        f"Worked out for {ACCOUNT_THREADS:,} threads and {ACCOUNT_STEPS:,} steps:\n\n{planned}\n"
    )


def measured_rows(f: Figures) -> list[list[str]]:
    """One line for each figure that the plan rests on."""
    sizes = f"{f.few.threads:,} and {f.many.threads:,} threads, MB"
    return [
        ["steps in a run", f"{f.many.steps / f.many.runs:.2f}"],
        ["requests for the steps of a run", f"{step_requests_per_run(f):.2f}"],
        ["requests for an unchanged thread", f"{f.per_thread('requests_again'):.2f}"],
        ["raw parts, bytes a step", f"{f.per_step('raw_bytes'):,.0f}"],
        [
            "flattened parts (removed only from the folder that is loaded into), bytes a step",
            f"{f.per_step('flat_bytes'):,.0f}",
        ],
        ["warehouse, bytes a step", f"{f.per_step('warehouse_bytes'):,.0f}"],
        ["Delta lake, bytes a step", f"{f.per_step('lake_bytes'):,.0f}"],
        ["raw parts of an unchanged thread, bytes", f"{f.per_thread('raw_bytes_again'):,.0f}"],
        ["a row of `walks` in the warehouse, bytes", f"{per_walk(f, 'warehouse_bytes'):,.0f}"],
        ["a row of `walks` in a Delta lake, bytes", f"{per_walk(f, 'lake_bytes'):,.0f}"],
        ["plan, fetch, land and flatten, processor ms a step", f"{1_000 * f.per_step('shard_cpu_s'):.2f}"],
        ["insert flattened parts, processor ms a step", f"{1_000 * f.per_step('load_cpu_s'):.2f}"],
        ["flatten and insert a list of an unchanged thread, processor ms", f"{1_000 * per_walk(f, 'load_cpu_s'):.2f}"],
        ["ask for an unchanged thread, processor ms", f"{1_000 * f.per_thread('again_cpu_s'):.2f}"],
        [f"peak memory of a first sync, {sizes}", pair(f, "shard_peak_mb")],
        [f"peak memory of a second, {sizes}", pair(f, "again_peak_mb")],
        [f"peak memory of the load, {sizes}", pair(f, "load_peak_mb")],
        *pair_rows("the plan of a shard for a file of", "ids", f.naming),
        *pair_rows("the plan of a shard that lists", "threads", f.listing),
        ["threads in an answer to the list of threads", f"{1 / f.listing.each('requests'):,.0f}"],
        ["publish into an empty lake, processor ms a step", f"{1_000 * f.per_step('publish_cpu_s'):.2f}"],
        *publishing_rows(f.publish["new"], "an account that is new"),
        *publishing_rows(f.publish["known"], "what has changed in one"),
        [
            "publish a row of `walks`, processor ms to work it out + to commit it",
            " + ".join(f"{1_000 * getattr(f.walks.publish, name) / f.walks.rows:.2f}" for name in PARTS_OF_PUBLISHING),
        ],
    ]


def publishing_rows(taken: Publishing, what: str) -> list[list[str]]:
    """What publishing took into lakes of two sizes."""
    mib = " and ".join(f"{parts.body_bytes / 2**20:,.1f}" for parts in (taken.few, taken.many))
    rows = pair_rows(f"publish {what} ({mib} MiB of bodies) into a lake of", "steps", taken.command)
    seconds = [f"{parts.change_s:,.2f} + {parts.commit_s:,.2f}" for parts in (taken.few, taken.many)]
    return [*rows, ["of that to work it out + to commit it", ", ".join(seconds)]]


def pair_rows(what: str, noun: str, taken: Pair) -> list[list[str]]:
    """What a command took at two sizes."""
    sizes = " and ".join(f"{size:,}" for size in taken.sizes)
    return [
        [f"{what} {sizes} {noun}, peak memory, MB", ", ".join(f"{peak:,.0f}" for peak in taken.peak_mb)],
        [f"{what} {sizes} {noun}, processor s", ", ".join(f"{seconds:,.1f}" for seconds in taken.cpu_s)],
    ]


def planned_rows(f: Figures) -> list[list[str]]:
    """One line for each figure of the large account, with what it comes from."""
    runs = ACCOUNT_STEPS / f.many.steps * f.many.runs
    changed = ACCOUNT_THREADS * CHANGED
    new_requests = changed * step_requests_per_run(f)
    new_bytes = changed * f.many.steps / f.many.runs * f.per_step("raw_bytes")
    due = ACCOUNT_THREADS * due_share()
    return [
        ["runs", millions(runs), "steps in a run"],
        *requests_rows(
            "**first sync**", ACCOUNT_THREADS + runs * step_requests_per_run(f), "a list a thread, its runs"
        ),
        ["raw parts", size(ACCOUNT_STEPS * f.per_step("raw_bytes")), "bytes a step"],
        [
            "flattened parts, kept by shards with folders of their own",
            size(ACCOUNT_STEPS * f.per_step("flat_bytes")),
            "bytes a step",
        ],
        ["warehouse", size(ACCOUNT_STEPS * f.per_step("warehouse_bytes")), "bytes a step"],
        ["Delta lake", size(ACCOUNT_STEPS * f.per_step("lake_bytes")), "bytes a step"],
        ["plan, fetch, land, flatten: core hours", hours(ACCOUNT_STEPS * f.per_step("shard_cpu_s")), "ms a step"],
        ["insert: hours of the process that loads", hours(ACCOUNT_STEPS * f.per_step("load_cpu_s")), "ms a step"],
        *publish_rows(f),
        *shard_rows(f),
        *requests_rows("**a day**, 1 % changed", ACCOUNT_THREADS + new_requests, "a list a thread, one new run"),
        ["new raw parts", size(new_bytes + ACCOUNT_THREADS * f.per_thread("raw_bytes_again")), "steps, empty lists"],
        ["core hours", hours(ACCOUNT_THREADS * f.per_thread("again_cpu_s")), "ms a thread"],
        *publish_day_rows(f, ACCOUNT_THREADS),
        *walk_rows(f, ACCOUNT_THREADS + new_requests),
        *requests_rows("**with `--since decay`**", due + new_requests, f"{due_share():.1%} of the threads are due"),
        ["new raw parts", size(new_bytes + due * f.per_thread("raw_bytes_again")), "steps, empty lists"],
        *publish_day_rows(f, due),
        *walk_rows(f, due + new_requests),
        *requests_rows("**with ids from your logs**", changed + new_requests, "only what changed"),
        *publish_day_rows(f, changed),
        *walk_rows(f, changed + new_requests),
    ]


def shard_rows(f: Figures) -> list[list[str]]:
    """What each of the shards takes, and what all of them take together to learn which threads are theirs."""
    threads = ACCOUNT_THREADS / SHARDS
    synced = f.at("again_peak_mb", threads)
    named, listed = (ACCOUNT_THREADS * taken.each("peak_mb") for taken in (f.naming, f.listing))
    on_line = f"peak of a second sync, on the line to {threads:,.0f} threads"
    return [
        [
            f"memory of each of {SHARDS} shards, threads named in a file",
            f"{synced + named:,.0f} MB",
            f"{on_line}; naming",
        ],
        ["the same with `--all-threads`", f"{synced + listed:,.0f} MB", f"{on_line}; listing"],
        [
            f"{SHARDS} shards read {ACCOUNT_THREADS:,} ids each: core hours a sync",
            hours(SHARDS * ACCOUNT_THREADS * f.naming.each("cpu_s")),
            "processor s of naming",
        ],
        *requests_rows(
            f"{SHARDS} shards with `--all-threads`, their lists alone, a sync",
            SHARDS * ACCOUNT_THREADS * f.listing.each("requests"),
            "threads in an answer",
        ),
    ]


def publish_rows(f: Figures) -> list[list[str]]:
    """What publishing all of the account takes, from an empty lake on."""
    body_bytes = ACCOUNT_STEPS * f.per_step("body_bytes")
    # The lake is half as large on average.
    change_s, commit_s = (
        body_bytes * per_byte(f, name) + batches_of(body_bytes) * f.publish["new"].each(name) * ACCOUNT_STEPS / 2
        for name in PARTS_OF_PUBLISHING
    )
    return hours_of_publishing("publish", change_s, commit_s)


def publish_day_rows(f: Figures, asked: float) -> list[list[str]]:
    """What publishing a day takes for which so many threads were asked for."""
    new_bytes = ACCOUNT_THREADS * CHANGED * f.many.steps / f.many.runs * f.per_step("body_bytes")
    batches, known = batches_of(new_bytes + asked * f.per_thread("body_bytes_again")), f.publish["known"]
    change_s, commit_s = (
        new_bytes * per_byte(f, name)
        + asked * getattr(f.walks.publish, name) / f.walks.rows
        + batches * (getattr(known.few, name) + known.each(name) * (ACCOUNT_STEPS - known.command.sizes[0]))
        for name in PARTS_OF_PUBLISHING
    )
    return hours_of_publishing("publish it", change_s, commit_s)


def hours_of_publishing(what: str, change_s: float, commit_s: float) -> list[list[str]]:
    """Hours of one process, of the one that commits what workers have worked out, and of all of those together."""
    return [
        [f"{what}: hours of one publisher", f"{(change_s + commit_s) / 3600:,.1f}", "bytes, rows; looking, each batch"],
        ["of these commits, which a cluster does not share", f"{commit_s / 3600:,.1f}", "the same"],
        [
            f"with {WORKERS} workers of a cluster, one sync",
            f"{max(change_s / WORKERS, commit_s) / 3600:,.1f}",
            "the longer of the two",
        ],
    ]


def batches_of(body_bytes: float) -> int:
    """Batches in which so many bytes of bodies are published."""
    return math.ceil(body_bytes / BATCH_BODY_BYTES)


def per_byte(f: Figures, name: str) -> float:
    """Seconds of a part of publishing for each byte of bodies of an account that is new to a small lake."""
    taken = f.publish["new"].few
    return float(getattr(taken, name)) / taken.body_bytes


def walk_rows(f: Figures, rows: float) -> list[list[str]]:
    """What a day's rows of `walks` come to, one for each list that was asked for."""
    year = (size(DAYS_OF_YEAR * rows * per_walk(f, name)) for name in ("warehouse_bytes", "lake_bytes"))
    return [
        ["rows of `walks`", millions(rows), "a row a request of one page"],
        ["these, a year: warehouse / Delta lake", " / ".join(year), "bytes a row"],
    ]


def per_walk(f: Figures, name: str) -> float:
    """What each row of `walks` adds."""
    return float(getattr(f.walks, name)) / f.walks.rows


def requests_rows(what: str, requests: float, origin: str) -> list[list[str]]:
    """A number of requests, and how long they take at common limits."""
    at_rates = " / ".join(f"{requests / rate / 3600:,.1f}" for rate in RATES)
    rates = " / ".join(f"{rate:,}" for rate in RATES)
    return [[f"{what}: requests", millions(requests), origin], [f"hours at {rates} requests/s", at_rates, "requests"]]


def step_requests_per_run(f: Figures) -> float:
    """Pages of steps that a run takes."""
    return (f.many.requests - f.many.threads) / f.many.runs


def due_share(days: float = 365.0) -> float:
    """The share of threads that the age rule asks for in a day, if their last changes are spread evenly over so long.

    A thread is asked for each day until a tenth of its age is a day, then once in that, and never less than monthly.
    """
    daily_until = max(COLD_AFTER_DAYS, 1 / COLD_SHARE)
    longest_from = COLD_LONGEST_DAYS / COLD_SHARE
    seldom = math.log(longest_from / daily_until) / COLD_SHARE
    return (daily_until + seldom + (days - longest_from) / COLD_LONGEST_DAYS) / days


def pair(f: Figures, name: str) -> str:
    return f"{getattr(f.few, name):,.0f}, {getattr(f.many, name):,.0f}"


def millions(number: float) -> str:
    return f"{number / 1e6:,.1f} million"


def hours(seconds: float) -> str:
    return f"{seconds / 3600:,.0f}" if seconds >= 10 * 3600 else f"{seconds / 3600:,.1f}"


def size(number: float) -> str:
    return f"{number / 1e9:,.1f} GB"
