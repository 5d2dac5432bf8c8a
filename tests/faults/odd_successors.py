"""The same odd servers of conversations and of sessions: whole responses, turns and what each did, told by habits."""

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import httpx

from pipeline.protocol.pages import Protocol
from tests.faults.odd_servers import (
    LENGTHS,
    START_S,
    WEIGHTS,
    Json,
    OddServer,
    draw_habits,
    object_answer,
    refusal,
)

Row = tuple[Any, ...]


@dataclass(slots=True)
class OddSuccessors(OddServer, ABC):
    """What both have: runs with one usage each, and the calls of functions that they made."""

    sql: ClassVar[str] = """
    select runs.thread_id, runs.run_id, runs.status, runs.total_tokens, count(tool_calls.call_index), count(output)
    from runs left join tool_calls using (source, thread_id, run_id)
    group by all order by runs.thread_id, runs.run_id
    """
    parent: ClassVar[str] = ""

    def truth(self, thread_id: str) -> list[Row]:
        """The runs of a thread: tokens, calls, and how many of these have an output."""
        rows = [
            (run["id"], run["status"], run["usage"]["total_tokens"], run["calls"], run["calls"])
            for run in self.threads[thread_id]
        ]
        return sorted(rows)

    def change(self, rng: random.Random, now_s: float) -> None:
        """Runs come, and the last one goes."""
        for thread_id, runs in self.threads.items():
            happens = rng.choice(("nothing", "new", "new", "gone and new"))
            if happens == "gone and new" and len(runs) > 1 and not runs[-2]["calls"]:
                self.deleted.add(runs.pop()["id"])
            if happens != "nothing":
                taken = [int(str(name).rpartition("_")[2]) for name in self._names(thread_id)]
                self.add(rng, thread_id, max(taken, default=-1) + 1, calls=False)

    @abstractmethod
    def add(self, rng: random.Random, thread_id: str, index: int, *, calls: bool) -> None:
        """One more run, whose id nobody ever had."""

    def _names(self, thread_id: str) -> list[str]:
        names = {str(run["id"]) for run in self.threads[thread_id]} | self.deleted
        return [name for name in names if name.startswith(f"{thread_id}.")]

    def _run(self, rng: random.Random, thread_id: str, index: int, kind: str) -> Json:
        given, written = rng.randint(1, 900), rng.randint(1, 90)
        return {
            "id": f"{thread_id}.run_{index}",
            "object": kind,
            "status": "completed",
            "created_at": START_S + 1000 * index,
            "completed_at": START_S + 1000 * index + 5,
            "usage": {"input_tokens": given, "output_tokens": written, "total_tokens": given + written},
            "calls": 0,
        }

    def _told(self, item: Json) -> Json:
        hidden = {"calls", "inputs", "items", *((self.parent,) if self.habits.parents == "absent" else ())}
        return {name: value for name, value in item.items() if name not in hidden}


def _call(call_id: str) -> Json:
    return {"type": "function_call", "id": f"fc.{call_id}", "call_id": call_id, "name": "tide", "arguments": "{}"}


def _output(call_id: str) -> Json:
    return {"type": "function_call_output", "id": f"fco.{call_id}", "call_id": call_id, "output": "high"}


def _message(message_id: str, role: str) -> Json:
    return {"type": "message", "id": message_id, "role": role, "content": []}


@dataclass(slots=True)
class OddConversations(OddSuccessors):
    """Conversations: outputs of a response's calls are put into the next one."""

    protocol: ClassVar[Protocol] = "responses"
    parent: ClassVar[str] = "conversation"

    def find(self, path: list[str], asked: dict[str, str]) -> list[Json] | httpx.Response:
        """What a path asks for."""
        match path:
            case ["responses"] if asked.get("conversation_id") in self.threads:
                named = [asked["conversation_id"]] if self.habits.parents != "run ignored" else list(self.threads)
                return [self._told(run) for name in named for run in self.threads[name]]
            case ["conversations", name, "items"] if name in self.threads:
                return [item for run in self.threads[name] for item in (*run["inputs"], *run["output"])]
        return refusal(404)

    def add(self, rng: random.Random, thread_id: str, index: int, *, calls: bool) -> None:
        """A response that answers the calls of the one before it."""
        response = self._run(rng, thread_id, index, "response")
        before = self.threads[thread_id][-1:]
        open_calls = [item["call_id"] for run in before for item in run["output"] if item["type"] == "function_call"]
        made = [f"call_{index}_{number}" for number in range(rng.randint(1, 3) if calls else 0)]
        response["calls"] = len(made)
        response["conversation"] = {"id": thread_id}
        response["inputs"] = [_output(name) for name in open_calls] or [_message(f"{thread_id}.in_{index}", "user")]
        response["output"] = [_call(name) for name in made] or [_message(f"{thread_id}.out_{index}", "assistant")]
        self.threads[thread_id].append(response)


@dataclass(slots=True)
class OddSessions(OddSuccessors):
    """Sessions: each turn has a list of what it did, outputs among it. When a session was active it says truly."""

    protocol: ClassVar[Protocol] = "agents"
    parent: ClassVar[str] = "session_id"
    active_s: float = float(START_S)

    def find(self, path: list[str], _asked: dict[str, str]) -> list[Json] | httpx.Response:
        """What a path asks for."""
        match path:
            case ["agents", "sessions", name] if name in self.threads:
                session = {"id": name, "object": "agent.session", "agent": {"id": "agent_1", "model": "gpt-5.4"}}
                return object_answer(session | {"last_active_at": self.active_s})
            case ["agents", "sessions", name, "turns"] if name in self.threads:
                return [self._told(turn) for turn in self.threads[name]]
            case ["agents", "sessions", name, "subagents"] if name in self.threads:
                return []
            case ["agents", "sessions", name, "turns", turn_id, "items"] if name in self.threads:
                found = [turn for turn in self.threads[name] if turn["id"] == turn_id]
                if found and self.habits.parents == "run ignored":
                    found = self.threads[name]
                return [item for turn in found for item in turn["items"]] if found else refusal(404)
        return refusal(404)

    def change(self, rng: random.Random, now_s: float) -> None:
        """The same, which the sessions tell."""
        OddSuccessors.change(self, rng, now_s)
        self.active_s = now_s

    def add(self, rng: random.Random, thread_id: str, index: int, *, calls: bool) -> None:
        """A turn with all that it did."""
        turn = self._run(rng, thread_id, index, "agent.session.turn")
        made = [f"call_{index}_{number}" for number in range(rng.randint(1, 3) if calls else 0)]
        turn |= {"session_id": thread_id, "agent_id": "agent_1", "subagent_id": None, "calls": len(made)}
        done = [item for name in made for item in (_call(name), _output(name))]
        ends = _message(f"{turn['id']}.in", "user"), _message(f"{turn['id']}.out", "assistant")
        turn["items"] = [ends[0], *done, ends[1]]
        self.threads[thread_id].append(turn)


def draw_successors(seed: int, protocol: Protocol) -> OddSuccessors:
    """A server of conversations or of sessions with up to three odd habits; no other seed has its ids."""
    rng = random.Random(seed)
    kind, prefix = (OddConversations, "conv") if protocol == "responses" else (OddSessions, "sess")
    server = kind(draw_habits(rng), {f"{prefix}_{seed}_{number}": [] for number in range(rng.randint(1, 3))})
    for thread_id in server.threads:
        count = rng.choices(LENGTHS, WEIGHTS)[0]
        for index in range(count):
            server.add(rng, thread_id, index, calls=index + 1 < count and rng.random() < 0.4)
    return server
