"""SQLite stores of openai-agents: each turn of a user as a response, with its items and, where it is there, its usage.

Those of 0.24 were looked at. They have no model, no tier, no id of a response and no time of a call: a turn of theirs
is a run without a model, so that nothing is priced whose price nobody knows.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.archives.large import Damage, Document

SQLITE_MAGIC = b"SQLite format 3\x00"
_MESSAGES, _STRUCTURE, _USAGE = "agent_messages", "message_structure", "turn_usage"
_ITEMS = "select id, session_id, message_data, created_at from agent_messages order by session_id, id"
# A message that branches share belongs to the one that had it first.
_PLACES = """
select message_id, branch_id, user_turn_number from message_structure
where id in (select min(id) from message_structure group by message_id)
"""
_USAGES = """
select session_id, branch_id, user_turn_number, requests, input_tokens, output_tokens, total_tokens,
    input_tokens_details, output_tokens_details, created_at from turn_usage
"""
# A session, a branch of it, a turn of its user.
_Turn = tuple[str, str, int]


def is_store(path: Path) -> bool:
    """Whether a SQLite file is a store of sessions that can be read."""
    try:
        with closing(_open(path)) as connection:
            return _MESSAGES in _tables_of(connection)
    except sqlite3.Error:
        return False


def read_store(path: Path) -> Iterator[Document | Damage]:
    """A response for each turn of a user; a message that cannot be read is named."""
    try:
        with closing(_open(path)) as connection:
            tables = _tables_of(connection)
            usages = _read_usages(connection) if _USAGE in tables else {}
            places = _read_places(connection) if _STRUCTURE in tables else {}
            turns: dict[_Turn, dict[str, Any]] = {}
            for turn, row_id, created_at, text in _read_items(connection, places):
                try:
                    item = json.loads(text)
                except ValueError:
                    yield Damage(f"{_MESSAGES} row {row_id}", "no JSON; the messages around it were read")
                    continue
                of_turn = turns.setdefault(turn, {"output": [], "first": created_at, "last": created_at})
                of_turn["output"].append(item)
                of_turn["last"] = created_at
    except sqlite3.Error as error:
        yield Damage("the file", f"a SQLite file that cannot be read ({error})")
        return
    for turn in sorted(turns.keys() | usages.keys()):
        body = _response_of(turn, turns.get(turn), usages.get(turn))
        yield Document(f"session {turn[0]}, branch {turn[1]}, turn {turn[2]}", json.dumps(body).encode())


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    connection.text_factory = lambda value: value.decode("utf-8", errors="replace")
    return connection


def _tables_of(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}


def _read_places(connection: sqlite3.Connection) -> dict[int, tuple[str, int]]:
    return {message_id: (branch, turn) for message_id, branch, turn in connection.execute(_PLACES) if turn is not None}


def _read_usages(connection: sqlite3.Connection) -> dict[_Turn, dict[str, Any]]:
    usages = {}
    for session, branch, turn, requests, *counted, inputs, outputs, at in connection.execute(_USAGES):
        fresh, out, total = counted
        # A total of 0 of a turn with requests is that of a server that counted nothing: unknown.
        is_known = bool(total) or not requests
        usage = {
            "input_tokens": fresh,
            "output_tokens": out,
            "total_tokens": total,
            "input_tokens_details": _details(inputs),
            "output_tokens_details": _details(outputs),
        }
        usages[session, branch, turn] = {"usage": usage if is_known else None, "requests": requests, "at": at}
    return usages


def _details(text: str | None) -> Any:
    """Details of a usage, which are kept as an object, or a list of one for each request, whose sums these are."""
    try:
        found = json.loads(text or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _read_items(
    connection: sqlite3.Connection, places: Mapping[int, tuple[str, int]]
) -> Iterator[tuple[_Turn, int, str, str]]:
    """Messages with the turn that they are of; where that is not told, one begins with what a user says."""
    session_before, turn = None, 0
    for row_id, session, text, created_at in connection.execute(_ITEMS):
        if session != session_before:
            session_before, turn = session, 0
        turn += _is_users(text)
        yield (session, *places.get(row_id, ("main", turn))), row_id, created_at, text


def _is_users(text: str) -> bool:
    try:
        item = json.loads(text)
    except ValueError:
        return False
    return isinstance(item, dict) and item.get("role") == "user"


def _response_of(turn: _Turn, found: dict[str, Any] | None, used: dict[str, Any] | None) -> dict[str, Any]:
    """A turn in the shape of a response, under an id that is made of its place."""
    session, branch, number = turn
    at = used["at"] if used else None
    first, last = (found["first"], found["last"]) if found else (at, at)
    return {
        "id": f"{session}#{branch}.{number}",
        "object": "response",
        # Usage is kept of turns that ended well.
        "status": "completed" if used else None,
        "created_at": _seconds(first),
        "completed_at": _seconds(last) if used else None,
        "conversation": {"id": session},
        "output": found["output"] if found else [],
        "usage": used["usage"] if used else None,
        "openai_agents": {"branch": branch, "turn": number, "requests": used["requests"] if used else None},
    }


def _seconds(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text or "").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
