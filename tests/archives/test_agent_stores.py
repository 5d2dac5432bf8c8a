"""Stores of openai-agents: turns of users with their items, and usage where there is one."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.answered import answered, called
from tests.archived import import_here
from tests.archives.test_successors import CALLS, rows_of
from tests.landed import Json

# As openai-agents 0.24.0 makes them.
TABLES = """
create table agent_sessions (session_id text primary key, created_at timestamp default current_timestamp);
create table agent_messages (
    id integer primary key autoincrement, session_id text not null, message_data text not null,
    created_at timestamp default current_timestamp
);
"""
ADVANCED = """
create table message_structure (
    id integer primary key autoincrement, session_id text not null, message_id integer not null,
    branch_id text not null default 'main', message_type text not null, sequence_number integer not null,
    user_turn_number integer
);
create table turn_usage (
    id integer primary key autoincrement, session_id text not null, branch_id text not null default 'main',
    user_turn_number integer not null, requests integer default 0, input_tokens integer default 0,
    output_tokens integer default 0, total_tokens integer default 0, input_tokens_details json,
    output_tokens_details json, created_at timestamp default current_timestamp
);
"""
USER: Json = {"role": "user", "content": "When is high tide?"}
SAID: Json = {"type": "message", "id": "__fake_id__", "role": "assistant", "content": [{"type": "output_text"}]}
# The ids of all items are the same where the model is not one of the Responses API.
TURN_ITEMS: list[Json] = [USER, called(id="__fake_id__"), answered(id="__fake_id__"), SAID]
RUNS = (
    "select run_id, thread_id, protocol, status, model, prompt_tokens, cached_tokens, total_tokens from runs order by 1"
)


def store_at(
    path: Path, items: Sequence[Any], *, structure: Sequence[tuple[int, str, int]] = (), usage: str = ""
) -> Path:
    """A store with a session of these items; of each place the message, its branch and its turn."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES + (ADVANCED if structure or usage else ""))
        connection.execute("insert into agent_sessions (session_id) values ('sess_1')")
        for item in items:
            text = item if isinstance(item, str) else json.dumps(item)
            connection.execute(
                "insert into agent_messages (session_id, message_data, created_at)"
                " values ('sess_1', ?, '2026-11-29 12:00:00')",
                [text],
            )
        for number, (message, branch, turn) in enumerate(structure):
            connection.execute(
                "insert into message_structure (session_id, message_id, branch_id, message_type, sequence_number,"
                " user_turn_number) values ('sess_1', ?, ?, 'x', ?, ?)",
                [message, branch, number, turn],
            )
        if usage:
            connection.execute(f"insert into turn_usage (session_id, user_turn_number, {usage}")
        connection.commit()
    return path


def test_each_turn_of_a_user_is_a_run_without_a_model_or_a_usage(tmp_path: Path) -> None:
    path = store_at(tmp_path / "a.db", [*TURN_ITEMS, USER, called("c2"), SAID])
    assert import_here(tmp_path / "data", path).unrecognised == 0
    assert rows_of(tmp_path / "data", RUNS) == [
        ("sess_1#main.1", "sess_1", "responses", None, None, None, None, None),
        ("sess_1#main.2", "sess_1", "responses", None, None, None, None, None),
    ]
    assert rows_of(tmp_path / "data", CALLS) == [
        ("sess_1#main.1", 0, "tide", "high at noon"),
        ("sess_1#main.2", 0, "tide", None),
    ]


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ("requests, input_tokens, output_tokens, total_tokens) values ('sess_1', 1, 2, 90, 10, 100)", (90, None, 100)),
        (
            "requests, input_tokens, output_tokens, total_tokens, input_tokens_details)"
            " values ('sess_1', 1, 2, 90, 10, 100, '{\"cached_tokens\": 40}')",
            (90, 40, 100),
        ),
        # A server that counted nothing: unknown.
        ("requests) values ('sess_1', 1, 2)", (None, None, None)),
    ],
)
def test_a_turn_has_the_usage_that_its_program_stored(tmp_path: Path, usage: str, tokens: tuple[Any, ...]) -> None:
    structure = [(number, "main", 1) for number in range(1, 5)]
    path = store_at(tmp_path / "a.db", TURN_ITEMS, structure=structure, usage=usage)
    import_here(tmp_path / "data", path)
    assert rows_of(tmp_path / "data", RUNS) == [("sess_1#main.1", "sess_1", "responses", "completed", None, *tokens)]
    assert rows_of(tmp_path / "data", "select cost_usd from step_costs") == [(None,)]


def test_messages_that_branches_share_count_once(tmp_path: Path) -> None:
    structure = [(1, "main", 1), (2, "main", 1), (3, "main", 1), (1, "other", 1), (2, "other", 1), (3, "other", 1)]
    structure += [(4, "other", 2), (5, "other", 2)]
    path = store_at(tmp_path / "a.db", [*TURN_ITEMS[:3], USER, called("c2")], structure=structure)
    import_here(tmp_path / "data", path)
    assert [run_id for run_id, *_ in rows_of(tmp_path / "data", CALLS)] == ["sess_1#main.1", "sess_1#other.2"]


def test_a_message_that_is_no_json_is_named_and_its_neighbours_stay(tmp_path: Path) -> None:
    progress = import_here(tmp_path / "data", store_at(tmp_path / "a.db", [USER, "{broken", called()]))
    [archive] = progress.archives
    assert archive.first_unrecognised == ["agent_messages row 2: no JSON; the messages around it were read"]
    assert len(rows_of(tmp_path / "data", CALLS)) == 1


@pytest.mark.parametrize(
    "script", ["create table other (a text)", "create table agent_message_notes (message_data text)"]
)
def test_another_sqlite_file_is_named_for_what_it_is(tmp_path: Path, script: str) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.executescript(script)
    [archive] = import_here(tmp_path / "data", tmp_path / "a.db").archives
    assert "a SQLite file, and no store of openai-agents" in archive.first_unrecognised[0]
