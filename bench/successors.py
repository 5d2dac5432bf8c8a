"""The classic corpus told anew: each run as a response of a conversation, or as a turn of a session, with its truth.

What is said and called is the same text, made by the same maker; what differs is how a server hands it out.
"""

import json
import random
import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.corpus import (
    GENERATOR_VERSION,
    SIZES,
    Corpus,
    Maker,
    Record,
    Size,
    Truth,
    open_corpus,
    plan_run_counts,
    plan_step_counts,
    write_list,
)
from bench.report import format_spread, format_table
from bench.rounds import KINDS, Round, run_case
from bench.server import Behaviour, serve
from bench.settings import Settings

_VERSION = 1
_INPUT = "input_tokens"


def measure_successors(settings: Settings) -> tuple[str, list[dict[str, Any]]]:
    """The same work in three protocols, in turns; what counts is bytes by time, against the classic one."""
    corpora = {"product": open_corpus(settings.size, settings.cache)}
    corpora |= {kind: open_successors(settings.size, kind, settings.cache) for kind in KINDS}
    rounds: dict[str, list[Round]] = {kind: [] for kind in corpora}
    with ExitStack() as stack:
        behaviour = Behaviour(settings.latency_ms)
        servers = {kind: stack.enter_context(serve(corpus.www, behaviour)) for kind, corpus in corpora.items()}
        for number in range(settings.rounds):
            order = list(corpora)
            for kind in order[number % 3 :] + order[: number % 3]:
                rounds[kind].append(run_case(kind, settings, corpora[kind], servers[kind]))
    sizes_mb = {kind: corpus.truth["bytes"] / 1e6 for kind, corpus in corpora.items()}
    headers = ["sync", "MB", "requests", "wall s", "MB/s", "against threads", "cpu s", "MB/cpu s", "against threads"]
    rows = [_row(kind, rounds, sizes_mb) for kind in corpora]
    figures = [round_.figures | {"mb": sizes_mb[kind]} for kind, own in rounds.items() for round_ in own]
    return format_table(headers, rows), figures


def _row(kind: str, rounds: Mapping[str, list[Round]], sizes_mb: Mapping[str, float]) -> list[str]:
    if bad := [round_.verdict for round_ in rounds[kind] if round_.verdict != "ok"]:
        return [kind, bad[0], *["-"] * 7]

    def taken(of: str, name: str) -> list[float]:
        return [getattr(round_.measurement, name) for round_ in rounds[of]]

    row = ["threads" if kind == "product" else kind, f"{sizes_mb[kind]:.1f}", f"{len(rounds[kind][-1].requests):,}"]
    for name in ("wall_s", "cpu_s"):
        rate, classic = (sizes_mb[of] / statistics.median(taken(of, name)) for of in (kind, "product"))
        row += [format_spread(taken(kind, name)), f"{rate:.1f}", f"{rate / classic:.2f}"]
    return row


def open_successors(name: str, kind: str, cache: Path) -> Corpus:
    """The corpus of this size as `responses` or `agents`, made first where the cache does not hold it."""
    directory = cache / f"{name}-{kind}-v{GENERATOR_VERSION}.{_VERSION}"
    if not (directory / "truth.json").exists():
        partial = directory.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        _write(SIZES[name], partial, _WRITERS[kind])
        partial.rename(directory)
    return Corpus(directory)


Writer = Callable[[Path, Truth, str, list[tuple[Record, list[Record]]]], None]


def _write(size: Size, directory: Path, write: Writer) -> None:
    rng = random.Random(7)
    maker = Maker(rng, size.text_scale)
    truth = Truth(threads=size.threads)
    (directory / "www").mkdir(parents=True)
    ids = []
    counts = iter(plan_step_counts(size, rng))
    for runs in plan_run_counts(size, rng):
        ids.append(maker.make_id("conv"))
        write(directory / "www", truth, ids[-1], [maker.make_run(ids[-1], next(counts)) for _ in range(runs)])
    (directory / "paths.txt").touch()
    (directory / "threads.txt").write_text("".join(f"{name}\n" for name in ids))
    (directory / "truth.json").write_text(json.dumps(vars(truth), indent=2) + "\n")


def _write_conversation(www: Path, truth: Truth, name: str, runs: list[tuple[Record, list[Record]]]) -> None:
    responses, items, waiting = [], list[Record](), list[Record]()
    for run, steps in runs:
        output, answers = _items_of(steps)
        items += [*waiting, *output]
        waiting = answers
        responses.append(_response(name, run, output))
        _count(truth, run, output)
    items += waiting
    write_list(www, f"/v1/conversations/{name}/responses", responses, truth)
    if any(item["type"] == "function_call" for item in items):
        write_list(www, f"/v1/conversations/{name}/items", items, truth)


def _write_session(www: Path, truth: Truth, name: str, runs: list[tuple[Record, list[Record]]]) -> None:
    agent = {"id": "agent_1", "model": "gpt-4o", "multi_agent": {"enabled": False}, "tools": []}
    session = {"id": name, "object": "agent.session", "created_at": 1_725_000_000, "status": "idle", "agent": agent}
    path = f"/v1/agents/sessions/{name}"
    body = json.dumps(session, separators=(",", ":")).encode()
    file = www / f"{path[1:]}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    truth.bytes += file.write_bytes(body)
    truth.requests += 1
    turns = []
    for run, steps in runs:
        output, answers = _items_of(steps)
        turns.append(_turn(name, run))
        write_list(www, f"{path}/turns/{run['id']}/items", [*output, *answers], truth)
        _count(truth, run, output)
    write_list(www, f"{path}/turns", turns, truth)


_WRITERS: Mapping[str, Writer] = {"responses": _write_conversation, "agents": _write_session}


def _count(truth: Truth, run: Record, output: list[Record]) -> None:
    truth.runs += 1
    truth.steps += 1
    truth.tool_calls.update(item["type"].removesuffix("_call") for item in output if item["type"] != "message")
    truth.total_tokens += run["usage"]["total_tokens"]


def _items_of(steps: list[Record]) -> tuple[list[Record], list[Record]]:
    """The output that has what the steps did, and the items by which the caller answers its functions."""
    output, answers = [], []
    for step in steps:
        details = step["step_details"]
        if details["type"] == "message_creation":
            message_id = details["message_creation"]["message_id"]
            output.append(
                {"type": "message", "id": message_id, "role": "assistant", "status": "completed", "content": []}
            )
        for call in details.get("tool_calls", ()):
            output.append(_call(call))
            answers += _answers(call)
    return output, answers


def _call(call: Record) -> Record:
    kind, told = call["type"], call[call["type"]]
    item = {"type": f"{kind}_call", "id": call["id"], "status": "completed"}
    if kind == "code_interpreter":
        return item | {"code": told["input"], "container_id": "cntr_1", "outputs": list(_outputs(told["outputs"]))}
    if kind == "file_search":
        results = [
            {"filename": hit["file_name"], **{name: hit[name] for name in ("file_id", "score", "attributes")}}
            for hit in told["results"]
        ]
        return item | {"queries": ["orders"], "results": results}
    return item | {"call_id": call["id"], "name": told["name"], "arguments": told["arguments"]}


def _outputs(outputs: list[Record]) -> Iterator[Record]:
    for output in outputs:
        yield output if output["type"] == "logs" else {"type": "image", "url": output["image"]["file_id"]}


def _answers(call: Record) -> list[Record]:
    if call["type"] != "function":
        return []
    answer = {"type": "function_call_output", "id": f"{call['id']}_o", "call_id": call["id"], "status": "completed"}
    return [answer | {"output": call["function"]["output"]}]


def _usage(run: Record) -> Record:
    usage = run["usage"]
    return {
        _INPUT: usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": usage["prompt_token_details"]["cached_tokens"]},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["total_tokens"],
    }


def _response(conversation_id: str, run: Record, output: list[Record]) -> Record:
    kept = ("created_at", "model", "instructions", "tools", "metadata", "temperature", "top_p", "tool_choice")
    return {
        "id": run["id"],
        "object": "response",
        **{name: run[name] for name in kept},
        "status": "completed",
        "completed_at": run["created_at"] + 9,
        "error": None,
        "incomplete_details": None,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "conversation": {"id": conversation_id},
        "agent_reference": {"type": "agent_reference", "name": run["assistant_id"], "version": "1"},
        "service_tier": "default",
        "usage": _usage(run),
    }


def _turn(session_id: str, run: Record) -> Record:
    return {
        "id": run["id"],
        "object": "agent.session.turn",
        "session_id": session_id,
        "agent_id": "agent_1",
        "subagent_id": None,
        "status": "completed",
        "created_at": run["created_at"],
        "started_at": run["created_at"] + 1,
        "completed_at": run["created_at"] + 9,
        "error": None,
        "usage": _usage(run),
    }
