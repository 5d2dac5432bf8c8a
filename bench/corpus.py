"""Static answers of a run-steps server as files that nginx can pick by path and cursor, with their truth."""

import argparse
import json
import random
import shutil
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GENERATOR_VERSION = 2
PAGE_LIMIT = 100
QUERY = f"limit={PAGE_LIMIT}&order=asc"
FIRST_INSTANT = 1_725_000_000
ALPHABET = string.ascii_letters + string.digits
LONG_RUNS = (250, 130, 101, 200, 320)
LONG_THREADS = (130, 100, 220)
TOOL_CALL_TYPES = ("code_interpreter", "function", "file_search")
TOOL_CALL_WEIGHTS = (4, 4, 2)
FUNCTION_NAMES = ("lookup_order", "search_tickets", "get_weather", "create_invoice", "fetch_customer")
MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3-mini")
STATUSES = ("completed", "failed", "cancelled", "expired", "incomplete")
STATUS_WEIGHTS = (94, 3, 1, 1, 1)
PROSE = (
    "order total mean median frame column value result customer invoice region shipped pending refund "
    "import select plot index series count error retry token ledger batch summary quarter forecast"
)

Record = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much to make; `text_scale` stretches the free text of each step (1 is about 3.3 KB a step)."""

    threads: int
    runs: int
    steps: int
    text_scale: float = 1.0


SIZES = {
    "tiny": Size(threads=6, runs=160, steps=1_100),
    "small": Size(threads=100, runs=1_000, steps=6_000),
    "medium": Size(threads=1_030, runs=9_963, steps=60_159),
    "tenth": Size(threads=410, runs=4_100, steps=25_000, text_scale=0.3),
    "large": Size(threads=4_100, runs=41_000, steps=250_000, text_scale=0.3),
    # For `growth`: one account, and four that have more of one thing each.
    "base": Size(threads=400, runs=4_000, steps=24_000, text_scale=0.3),
    "more-threads": Size(threads=1_200, runs=4_000, steps=24_000, text_scale=0.3),
    "more-runs": Size(threads=400, runs=10_000, steps=24_000, text_scale=0.3),
    "more-steps": Size(threads=400, runs=4_000, steps=72_000, text_scale=0.3),
    "more-text": Size(threads=400, runs=4_000, steps=24_000, text_scale=1.2),
}


@dataclass
class Truth:
    """What a full walk must find. `requests` counts pages; `bytes` is the sum of their bodies."""

    threads: int = 0
    runs: int = 0
    steps: int = 0
    tool_calls: Counter[str] = field(default_factory=Counter)
    total_tokens: int = 0
    requests: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Corpus:
    """The files of one size on disk."""

    directory: Path

    @property
    def www(self) -> Path:
        return self.directory / "www"

    @property
    def threads_file(self) -> Path:
        return self.directory / "threads.txt"

    @property
    def paths_file(self) -> Path:
        return self.directory / "paths.txt"

    @property
    def thread_ids(self) -> list[str]:
        return self.threads_file.read_text().split()

    @property
    def truth(self) -> Record:
        truth: Record = json.loads((self.directory / "truth.json").read_text())
        return truth


def open_corpus(name: str, cache: Path) -> Corpus:
    """Get the corpus of this size, made first where the cache does not hold it."""
    directory = cache / f"{name}-v{GENERATOR_VERSION}"
    if not (directory / "truth.json").exists():
        partial = directory.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        write_corpus(SIZES[name], partial)
        partial.rename(directory)
    return Corpus(directory)


def write_subset(directory: Path, thread_ids: list[str], paths: list[str], truth: Record) -> Corpus:
    """A corpus without pages of its own: what to ask of a server that serves a whole one."""
    subset = Corpus(directory)
    subset.threads_file.write_text("".join(f"{thread_id}\n" for thread_id in thread_ids))
    subset.paths_file.write_text("".join(f"{path}\n" for path in paths))
    (directory / "truth.json").write_text(json.dumps(truth))
    return subset


def write_corpus(size: Size, directory: Path, *, seed: int = 7) -> Truth:
    """Write `www/`, `threads.txt`, `paths.txt` (every request of a full walk) and `truth.json`."""
    rng = random.Random(seed)
    maker = Maker(rng, size.text_scale)
    truth = Truth(threads=size.threads)
    (directory / "www").mkdir(parents=True)
    thread_ids = []
    step_counts = iter(plan_step_counts(size, rng))
    with (directory / "paths.txt").open("w") as paths:
        for run_count in plan_run_counts(size, rng):
            thread_id = maker.make_id("thread")
            thread_ids.append(thread_id)
            for path in write_thread(directory / "www", maker, truth, thread_id, run_count, step_counts):
                paths.write(path + "\n")
    (directory / "threads.txt").write_text("".join(f"{thread_id}\n" for thread_id in thread_ids))
    (directory / "truth.json").write_text(json.dumps(vars(truth), indent=2) + "\n")
    return truth


def plan_run_counts(size: Size, rng: random.Random) -> list[int]:
    """Runs per thread: a few long threads, one empty one, the rest about exponential; sums to `size.runs`."""
    long_count = max(1, size.threads // 100)
    fixed = [LONG_THREADS[i % len(LONG_THREADS)] for i in range(long_count)] + [0]
    counts = fixed + spread(size.runs - sum(fixed), size.threads - len(fixed), rng)
    rng.shuffle(counts)
    return counts


def plan_step_counts(size: Size, rng: random.Random) -> list[int]:
    """Steps per run: a few long runs, one in a hundred without steps, the rest about exponential."""
    long_count = max(2, size.runs // 400)
    fixed = [LONG_RUNS[i % len(LONG_RUNS)] for i in range(long_count)] + [0] * (size.runs // 100)
    counts = fixed + spread(size.steps - sum(fixed), size.runs - len(fixed), rng)
    rng.shuffle(counts)
    return counts


def spread(total: int, parts: int, rng: random.Random) -> list[int]:
    """Split `total` over `parts`, each at least 1, unevenly as in life."""
    weights = [rng.expovariate(1) for _ in range(parts)]
    extra = Counter(rng.choices(range(parts), weights=weights, k=total - parts))
    return [1 + extra[part] for part in range(parts)]


def write_thread(
    www: Path, maker: "Maker", truth: Truth, thread_id: str, run_count: int, step_counts: Iterator[int]
) -> list[str]:
    """Write all pages below one thread; get the paths of a full walk."""
    path = f"/v1/threads/{thread_id}/runs"
    runs, paths = [], []
    for _ in range(run_count):
        run, steps = maker.make_run(thread_id, next(step_counts))
        runs.append(run)
        paths += write_list(www, f"{path}/{run['id']}/steps", steps, truth)
        count_steps(truth, steps)
    truth.runs += len(runs)
    return write_list(www, path, runs, truth) + paths


def count_steps(truth: Truth, steps: Sequence[Record]) -> None:
    """Add these steps to the truth."""
    truth.steps += len(steps)
    for step in steps:
        truth.tool_calls.update(call["type"] for call in step["step_details"].get("tool_calls", []))
        truth.total_tokens += step["usage"]["total_tokens"]


def write_list(www: Path, path: str, records: Sequence[Record], truth: Truth) -> list[str]:
    """Write a list as cursor pages; get the request paths of its walk."""
    paths, cursor = [], ""
    for start in range(0, max(1, len(records)), PAGE_LIMIT):
        page = records[start : start + PAGE_LIMIT]
        has_more = start + PAGE_LIMIT < len(records)
        truth.bytes += write_page(www, path, cursor, page, has_more=has_more)
        truth.requests += 1
        paths.append(f"{path}?{QUERY}" + (f"&after={cursor}" if cursor else ""))
        cursor = page[-1]["id"] if page else ""
    if cursor:  # is there anything after the last? A second sync asks so, and whoever doubts a page of round length
        write_page(www, path, cursor, [], has_more=False)
    return paths


def write_page(www: Path, path: str, cursor: str, records: Sequence[Record], *, has_more: bool) -> int:
    """Write the answer to `path` after `cursor`; get its size in bytes."""
    envelope = {
        "object": "list",
        "data": records,
        "first_id": records[0]["id"] if records else None,
        "last_id": records[-1]["id"] if records else None,
        "has_more": has_more,
    }
    file = www / (path.lstrip("/") + (f".after-{cursor}.json" if cursor else ".json"))
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.write_bytes(json.dumps(envelope, separators=(",", ":")).encode())


class Maker:
    """Makes runs with their steps; the same seed makes the same records."""

    def __init__(self, rng: random.Random, text_scale: float) -> None:
        self.rng = rng
        self.text_scale = text_scale
        self.words = PROSE.split()
        self.text = " ".join(make_line(rng, self.words) for _ in range(30_000))
        self.assistants = [self.make_id("asst") for _ in range(12)]

    def make_id(self, prefix: str) -> str:
        """A new id in the API's form, such as `run_` and 24 letters or digits."""
        return f"{prefix}_" + "".join(self.rng.choices(ALPHABET, k=24))

    def make_text(self, low: int, high: int) -> str:
        """Some characters of code and prose, between the bounds times the text scale."""
        length = int(self.rng.randint(low, high) * self.text_scale)
        start = self.rng.randrange(len(self.text) - length)
        return self.text[start : start + length]

    def make_run(self, thread_id: str, step_count: int) -> tuple[Record, list[Record]]:
        """A finished run and its steps in ascending order; its usage is the sum of theirs."""
        status = self.rng.choices(STATUSES, STATUS_WEIGHTS)[0] if step_count else "failed"
        created_at = FIRST_INSTANT + self.rng.randrange(30_000_000)
        owner = {
            "run_id": self.make_id("run"),
            "assistant_id": self.rng.choice(self.assistants),
            "thread_id": thread_id,
        }
        steps, at = [], created_at + 1
        for index in range(step_count):
            last = index == step_count - 1
            seconds = self.rng.randint(0, 12)  # ties within one second are real
            steps.append(self.make_step(owner, at, at + seconds, status if last else "completed", last=last))
            at += seconds
        return make_run_record(self.rng, owner, status, created_at, at, steps), steps

    def make_step(self, owner: Record, created_at: int, ended_at: int, run_status: str, *, last: bool) -> Record:
        """One step; the last of a completed run creates the message."""
        failed = run_status in ("failed", "cancelled", "expired")
        message = (last and run_status == "completed") or self.rng.random() < 0.25
        details = self.make_message_details() if message else self.make_tool_details()
        return {
            "id": self.make_id("step"),
            "object": "thread.run.step",
            "created_at": created_at,
            **owner,
            "type": details["type"],
            "status": run_status if failed else "completed",
            "cancelled_at": ended_at if run_status == "cancelled" else None,
            "completed_at": None if failed else ended_at,
            "expires_at": None,
            "failed_at": ended_at if run_status == "failed" else None,
            "last_error": make_error() if run_status == "failed" else None,
            "step_details": details,
            "usage": make_usage(self.rng),
        }

    def make_message_details(self) -> Record:
        return {"type": "message_creation", "message_creation": {"message_id": self.make_id("msg")}}

    def make_tool_details(self) -> Record:
        count = self.rng.choices((1, 2, 3), (88, 9, 3))[0]
        return {"type": "tool_calls", "tool_calls": [self.make_tool_call() for _ in range(count)]}

    def make_tool_call(self) -> Record:
        kind = self.rng.choices(TOOL_CALL_TYPES, TOOL_CALL_WEIGHTS)[0]
        make = {
            "code_interpreter": self.make_code,
            "function": self.make_function,
            "file_search": self.make_file_search,
        }
        return {"id": self.make_id("call"), "type": kind, kind: make[kind]()}

    def make_code(self) -> Record:
        outputs: list[Record] = [{"type": "logs", "logs": self.make_text(200, 4_600)}]
        if self.rng.random() < 0.2:
            outputs.append({"type": "image", "image": {"file_id": self.make_id("file")}})
        return {"input": self.make_text(400, 3_000), "outputs": outputs}

    def make_function(self) -> Record:
        arguments = {"query": self.make_text(40, 400), "limit": self.rng.randint(1, 50)}
        rows = [self.make_text(100, 900) for _ in range(self.rng.randint(1, 11))]
        return {
            "name": self.rng.choice(FUNCTION_NAMES),
            "arguments": json.dumps(arguments),
            "output": json.dumps({"rows": rows}),
        }

    def make_file_search(self) -> Record:
        # without include[] a server sends no content with the results
        results = [
            {
                "file_id": self.make_id("file"),
                "file_name": f"{self.rng.choice(self.words)}-{self.rng.randrange(400)}.pdf",
                "score": round(self.rng.random(), 16),
                "attributes": {},
            }
            for _ in range(self.rng.randint(1, 20))
        ]
        options = {"ranker": "default_2024_08_21", "score_threshold": 0.0}
        return {"ranking_options": options, "results": results}


def make_run_record(
    rng: random.Random, owner: Record, status: str, created_at: int, ended_at: int, steps: Sequence[Record]
) -> Record:
    """The run that owns these steps."""
    return {
        "id": owner["run_id"],
        "object": "thread.run",
        "created_at": created_at,
        "assistant_id": owner["assistant_id"],
        "thread_id": owner["thread_id"],
        "status": status,
        "started_at": created_at + 1,
        "expires_at": created_at + 600 if status == "expired" else None,
        "cancelled_at": ended_at if status == "cancelled" else None,
        "failed_at": ended_at if status == "failed" else None,
        "completed_at": ended_at if status in ("completed", "incomplete") else None,
        "required_action": None,
        "last_error": make_error() if status == "failed" else None,
        "model": rng.choice(MODELS),
        "instructions": "You help the support team to answer questions on orders, invoices and deliveries.",
        "tools": [{"type": "code_interpreter"}, {"type": "file_search"}],
        "metadata": {"team": rng.choice(("sales", "support", "finance"))},
        "temperature": 1.0,
        "top_p": 1.0,
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "incomplete_details": {"reason": "max_completion_tokens"} if status == "incomplete" else None,
        "usage": sum_usage([step["usage"] for step in steps]),
        "response_format": "auto",
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }


def make_line(rng: random.Random, words: Sequence[str]) -> str:
    """A line that looks a little like code output."""
    words = " ".join(rng.choices(words, k=rng.randint(2, 6)))
    return rng.choice((f"{words}\n", f'"{words}"', f"{rng.random() * 1_000:.3f}", f"{words} = {rng.random()}\n"))


def make_error() -> Record:
    return {"code": "rate_limit_exceeded", "message": "Rate limit reached for requests. Try again later."}


def make_usage(rng: random.Random) -> Record:
    prompt, completion = rng.randint(200, 9_000), rng.randint(5, 900)
    return usage_record(prompt, completion, rng.choice((0, 0, prompt // 2)), 0)


def sum_usage(usages: Sequence[Record]) -> Record:
    return usage_record(
        sum(usage["prompt_tokens"] for usage in usages),
        sum(usage["completion_tokens"] for usage in usages),
        sum(usage["prompt_token_details"]["cached_tokens"] for usage in usages),
        sum(usage["completion_tokens_details"]["reasoning_tokens"] for usage in usages),
    )


def usage_record(prompt: int, completion: int, cached: int, reasoning: int) -> Record:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_token_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def main() -> None:
    """Make one size in a cache directory and print its truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("cache", type=Path)
    arguments = parser.parse_args()
    print(json.dumps(open_corpus(arguments.size, arguments.cache).truth))


if __name__ == "__main__":
    main()
