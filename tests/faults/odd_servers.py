"""Servers of random habits, each honest in what it has and odd in how it tells: drawn from a seed, with their truth."""

import json
import random
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from urllib.parse import parse_qs

import httpx

from pipeline.protocol.pages import Protocol
from tests.asking import asked_url

Json = dict[str, Any]
START_S = 1_790_000_000
LENGTHS = (0, 1, 2, 2, 3, 5, 9, 10, 11, 20, 21, 50, 100, 101)
WEIGHTS = (2, 4, 6, 6, 5, 4, 2, 2, 2, 2, 2, 1, 1, 1)


@dataclass(frozen=True, slots=True)
class Habits:
    """How a server answers; each field's first choice in `draw_habits` is what the protocol asks for."""

    order: str = "kept"
    has_more: str = "right"
    cap: int = 100
    cursor: str = "item"
    unknown: str = "refused"
    parents: str = "right"
    errors_every: int = 0
    last_id: str = "right"
    # Cursors of an earlier sync lead to an empty list.
    forgets: bool = False
    # An answer lacks its last item and says that it may not be all.
    doubts_every: int = 0
    # While its list is read, a run goes.
    deletes_at: int = 0


@dataclass(slots=True)
class OddServer:
    """Threads of runs with `steps`, served by habits; changed between syncs."""

    protocol: ClassVar[Protocol] = "assistants"
    # What the warehouse has of each thread, as `truth` has it.
    sql: ClassVar[str] = """
    select runs.thread_id, runs.run_id, runs.status, runs.total_tokens, run_steps.step_id, run_steps.step_index,
        run_steps.total_tokens as step_tokens
    from runs
    left join run_steps on run_steps.source = runs.source and run_steps.run_id = runs.run_id
    order by runs.thread_id, runs.run_id, run_steps.step_index
    """
    habits: Habits
    threads: dict[str, list[Json]]
    requests: int = 0
    deleted: set[str] = field(default_factory=set)
    # Ids that were sent since the last sync.
    told: set[str] = field(default_factory=set)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One GET."""
        url = asked_url(request)
        asked = {name: values[0] for name, values in parse_qs(url.query.decode()).items()}
        self.requests += 1
        if self.requests == self.habits.deletes_at:
            self._delete_one()
        items = self.find(url.path.removeprefix("/v1/").split("/"), asked)
        if isinstance(items, httpx.Response) and items.is_error:
            return items
        if self.habits.errors_every and self.requests % self.habits.errors_every == 0:
            body = {"object": "list", "data": [], "has_more": False, "error": {"code": "internal_error"}}
            return httpx.Response(200, text=json.dumps(body))
        return items if isinstance(items, httpx.Response) else self._page(items, asked)

    def find(self, path: list[str], _asked: dict[str, str]) -> list[Json] | httpx.Response:
        """What a path asks for: the items of a list, or an answer."""
        match path:
            case ["threads", thread_id, "runs"] if thread_id in self.threads:
                return [self._told(run) for run in self.threads[thread_id]]
            case ["threads", thread_id, "runs", run_id, "steps"] if thread_id in self.threads:
                found = [run for run in self.threads[thread_id] if run["id"] == run_id]
                if found and self.habits.parents == "run ignored":
                    found = self.threads[thread_id]
                return [self._told(step) for run in found for step in run["steps"]] if found else refusal(404)
        return refusal(404)

    def truth(self, thread_id: str) -> list[tuple[Any, ...]]:
        """The steps of a thread's runs, as the warehouse is to have them."""
        rows = [
            (run["id"], run["status"], run["usage"]["total_tokens"], step["id"], place, step["usage"]["total_tokens"])
            for run in self.threads[thread_id]
            for place, step in enumerate(run["steps"])
        ]
        return sorted(rows, key=lambda row: (row[0], row[4]))

    def change(self, rng: random.Random, _now_s: float) -> None:
        """What happens until the next sync: runs come, go, and go on."""
        for thread_id, runs in self.threads.items():
            match rng.choice(("nothing", "new", "new", "gone and new", "on")):
                case "new":
                    self._add_new(rng, thread_id)
                case "gone and new" if len(runs) > 1:
                    self.deleted.add(runs.pop()["id"])
                    self._add_new(rng, thread_id)
                case "on" if runs:
                    add_step(rng, runs[-1])
                    end_run(runs[-1])

    def _add_new(self, rng: random.Random, thread_id: str) -> None:
        """A new run, whose id nobody ever had."""
        names = {str(run["id"]) for run in self.threads[thread_id]} | self.deleted
        taken = [int(name.rpartition("_")[2]) for name in names if name.startswith(f"{thread_id}.")]
        self.threads[thread_id].append(make_run(rng, thread_id, max(taken, default=-1) + 1, busy=False))

    def _delete_one(self) -> None:
        """A run of the middle goes, from the thread that has the most."""
        runs = max(self.threads.values(), key=len)
        if len(runs) > 1:
            self.deleted.add(runs.pop(len(runs) // 2)["id"])

    def _told(self, item: Json) -> Json:
        hidden = {"steps", *(("thread_id", "run_id") if self.habits.parents == "absent" else ())}
        return {name: value for name, value in item.items() if name not in hidden}

    def _page(self, items: list[Json], asked: dict[str, str]) -> httpx.Response:
        habits = self.habits
        if habits.order == "descending" or (habits.order == "kept" and asked.get("order") == "desc"):
            items.reverse()
        ids = [item["id"] for item in items]
        start = 0
        after = asked.get("after")
        if after is not None and habits.cursor != "ignored":
            is_own = after.startswith("next-")
            after = after.removeprefix("next-")
            is_forgotten = habits.forgets and after not in self.told
            if is_forgotten or after not in ids or (habits.cursor == "opaque" and not is_own):
                if habits.unknown == "refused" and not is_forgotten:
                    return refusal(400)
                start = len(ids) if habits.unknown == "empty" or is_forgotten else 0
            else:
                start = ids.index(after) + (2 if habits.cursor == "skips" else 1)
        size = len(items) if habits.cursor == "ignored" and habits.cap == 0 else min(int(asked["limit"]), habits.cap)
        page = items[start : start + size]
        body: Json = {"object": "list", "data": page, **self._ends(page)}
        more = start + size < len(items)
        self.told.update(item["id"] for item in page)
        if habits.doubts_every and self.requests % habits.doubts_every == 0:
            body |= {"data": page[:-1], "partial": True}
        said = {"right": more, "never": False, "when full": more or len(page) == size, "missing": None}[habits.has_more]
        return httpx.Response(200, text=json.dumps(body if said is None else {**body, "has_more": said}))

    def _ends(self, page: list[Json]) -> Json:
        if not page or self.habits.last_id == "absent":
            return {}
        last = page[0]["id"] if self.habits.last_id == "first" else page[-1]["id"]
        return {"first_id": page[0]["id"], "last_id": f"next-{last}" if self.habits.cursor == "opaque" else last}


def object_answer(value: Json) -> httpx.Response:
    """One object."""
    return httpx.Response(200, text=json.dumps(value))


def refusal(status: int) -> httpx.Response:
    """What is not to be had."""
    return httpx.Response(status, json={"error": {"message": "no", "type": "invalid_request_error", "code": None}})


def draw_server(rng: random.Random) -> OddServer:
    """A server with a few threads, and up to three odd habits."""
    threads: dict[str, list[Json]] = {}
    for number in range(rng.randint(1, 3)):
        thread_id = f"thread_{number}"
        count = rng.choices(LENGTHS, WEIGHTS)[0]
        threads[thread_id] = [make_run(rng, thread_id, index, busy=count < 6) for index in range(count)]
    habits = draw_habits(rng)
    return OddServer(replace(habits, deletes_at=rng.choice((0, 0, 0, 2, 3, 5, 8, 20))), threads)


_ODD = ("order", "has_more", "cap", "cursor", "unknown", "parents", "errors", "last_id", "forgets", "doubts")


def draw_habits(rng: random.Random) -> Habits:
    """Honest but for up to three habits."""
    odd = set(rng.sample(_ODD, rng.randint(0, 3)))

    def choose(name: str, usual: Any, *others: Any) -> Any:
        return rng.choice(others) if name in odd else usual

    # One that skips and never says more is two lies at once, of which each hides the other.
    skipping = () if "has_more" in odd else ("skips",)
    cursor = choose("cursor", "item", "opaque", "ignored", *skipping)
    # What no request could tell from a shorter list is left out: a cap of its own of a server that never says more.
    caps = (10, 20, 50) if "has_more" in odd else (3, 7, 10, 20, 50)
    return Habits(
        order=choose("order", "kept", "descending", "ascending"),
        has_more=choose("has_more", "right", "never", "when full", "missing"),
        cap=choose("cap", 100, *caps),
        cursor=cursor,
        unknown=choose("unknown", "refused", "empty", "start"),
        parents=choose("parents", "right", "run ignored", "absent"),
        errors_every=choose("errors", 0, 3, 7, 20),
        last_id="right" if cursor == "opaque" else choose("last_id", "right", "first", "absent"),
        forgets=choose("forgets", False, True),
        doubts_every=choose("doubts", 0, 2, 5, 11),
    )


def make_run(rng: random.Random, thread_id: str, index: int, *, busy: bool) -> Json:
    """A run that has ended, with its steps; its usage is the sum of theirs."""
    run_id = f"{thread_id}.run_{index}"
    count = rng.choices(LENGTHS, WEIGHTS)[0] if busy else rng.randint(1, 2)
    run: Json = {
        "id": run_id,
        "object": "thread.run",
        "thread_id": thread_id,
        "status": "completed",
        "model": "gpt-4o",
        "created_at": START_S + 1000 * index,
        "steps": [],
    }
    for _ in range(max(1, count)):
        add_step(rng, run)
    return end_run(run)


def add_step(rng: random.Random, run: Json) -> None:
    """One more step of a run."""
    number = len(run["steps"])
    prompt, completion = rng.randint(1, 900), rng.randint(1, 90)
    run["steps"].append(
        {
            "id": f"{run['id']}.step_{number}",
            "object": "thread.run.step",
            "thread_id": run["thread_id"],
            "run_id": run["id"],
            "status": "completed",
            "type": "message_creation",
            "step_details": {"type": "message_creation", "message_creation": {"message_id": f"msg_{number}"}},
            "created_at": run["created_at"] + number,
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        }
    )


def end_run(run: Json) -> Json:
    """The run, ended after its last step, with the usage of its steps."""
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    run["status"] = "completed"
    run["completed_at"] = run["created_at"] + len(run["steps"]) + 1
    run["usage"] = {name: sum(step["usage"][name] for step in run["steps"]) for name in names}
    return run
