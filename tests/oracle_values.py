"""Objects of JSON as the second reading takes them apart: what fits, what is left, what is kept aside and why."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Row = dict[str, Any]
_DECIMAL = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = {bool: "bool", int: "number", float: "number", str: "str", list: "array", dict: "object", type(None): "null"}
MILLISECONDS_ABOVE = 1e11


@dataclass
class Node:
    """An object of the wire and where it stands; `is_there` is false where there is none, and it is then empty."""

    fields: Row
    path: str
    rejects: list[Row]
    is_there: bool = True
    notes: set[str] = field(default_factory=set)

    def reject(self, name: str, reason: str) -> None:
        """Keep a field aside."""
        self.rejects.append(
            {"json_path": f"{self.path}.{name}", "reason": reason, "found": shortest(self.fields[name])}
        )

    def write_ids(self, *names: str) -> None:
        """Make ids that came as numbers their digits."""
        for name in names:
            if type(value := self.fields.get(name)) is int:
                self.notes.add("number as id")
                self.fields[name] = str(value)

    def text(self, name: str) -> str | None:
        """A text, or nothing."""
        if name == "id" or name.endswith("_id"):
            self.write_ids(name)
        value = self.fields.get(name)
        if value is None or isinstance(value, str):
            return value
        self.reject(name, got(value))
        return None

    def number(self, name: str, least: float = -1e400, most: float = 1e400, *, is_whole: bool = True) -> Any:
        """A number within bounds, also one that was written as a text, or nothing."""
        value = self.fields.get(name)
        if not is_whole and isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
            self.notes.add("number as text")
            return float(value)
        if isinstance(value, str) and value.isdigit() and least <= int(value) <= most:
            self.notes.add("number as text")
            return int(value)
        if value is None or (got(value) == "got number" and least <= value <= most):
            return value
        self.reject(name, "out of bounds" if got(value) == "got number" else got(value))
        return None

    def time(self, name: str) -> float | None:
        """A number of seconds or milliseconds as it was sent, also as a text, of which an empty one is unset."""
        text = self.fields.get(name)
        if isinstance(text, str) and (text == "" or text.isdigit()):
            self.notes.add("text")
            return int(text) if text else None
        value: float | None = self.number(name, -1, 4e13)
        return value

    def count(self, name: str) -> int | None:
        """A number of tokens, also as a text, of which an empty one is unset; 12.0 is 12, and 12.5 is kept aside."""
        sent = self.fields.get(name)
        if sent == "":
            self.notes.add("number as text")
            return None
        if isinstance(sent, float) and not sent.is_integer():
            self.reject(name, "got number")
            return None
        if isinstance(sent, float) and 0 <= sent <= 2**62:
            self.notes.add("whole number as float")
            return int(sent)
        value: int | None = self.number(name, 0, 2**62)
        return value

    def object(self, name: str) -> "Node":
        """An object below; an empty one where there is none."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, dict):
            self.reject(name, got(value))
            value = None
        return Node(value or {}, f"{self.path}.{name}", self.rejects, value is not None, self.notes)

    def nodes(self, name: str) -> "list[Node] | None":
        """A list of objects; what is no object is kept aside and an empty one stands in its place."""
        values = self.fields.get(name)
        if values is None:
            return None
        if not isinstance(values, list):
            self.reject(name, got(values))
            return None
        places = [(value, f"{self.path}.{name}[{index}]") for index, value in enumerate(values)]
        return [node_of(value, path, self.rejects, self.notes) for value, path in places]

    def rest(self, *known: str) -> Row:
        """All fields but these, as they were sent."""
        return {name: value for name, value in self.fields.items() if name not in known}


def node_of(value: Any, path: str, rejects: list[Row], notes: set[str]) -> Node:
    """A value of a list as an object."""
    if isinstance(value, dict):
        return Node(value, path, rejects, notes=notes)
    rejects.append({"json_path": path, "reason": got(value), "found": shortest(value)})
    return Node({}, path, rejects, is_there=False, notes=notes)


def got(value: Any) -> str:
    """Why a value is kept aside that is of the wrong kind."""
    return f"got {_KINDS[type(value)]}"


def shortest(value: Any) -> str:
    """JSON in its shortest form, as the pages of these tests are written."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def free(value: Any) -> str | None:
    """A text as it is, anything else as JSON."""
    return value if value is None or isinstance(value, str) else shortest(value)


def instant(value: float | None) -> datetime | None:
    """The instant that a number of seconds or milliseconds stands for; 0 and -1 are none."""
    if value is None or value <= 0:
        return None
    seconds = value / 1000 if value > MILLISECONDS_ABOVE else value
    return _EPOCH + timedelta(microseconds=round(seconds * 1_000_000))


def filled(fields: Row) -> Row:
    """Those fields that hold something: an object of which nothing is left is not mentioned."""
    return {name: value for name, value in fields.items() if value}
