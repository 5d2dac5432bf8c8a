"""Cassettes in YAML, and YAML in general: brought to JSON, whose shapes are read as any other."""

import base64
import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from pipeline.protocol.json_text import MOST_VALUES

YAML_ENDINGS = (".yaml", ".yml")
CASSETTE_SIGNS = (b"interactions:", b"http_interactions:")


def read_yaml(body: bytes) -> Iterator[bytes]:
    """The documents of a YAML text as JSON. Raises ValueError saying what it is."""
    # It takes time to import, and few archives are YAML.
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for document in yaml.load_all(body, Loader=loader):
            if _count(document, {}) > MOST_VALUES:
                raise ValueError(f"more than {MOST_VALUES:,} values in one document: split it")
            if document is not None:
                yield json.dumps(document, default=_as_json, ensure_ascii=False).encode("utf-8", errors="replace")
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML ({str(error).splitlines()[0]})") from error
    except (TypeError, RecursionError) as error:
        raise ValueError("YAML that JSON cannot hold") from error


def _count(value: Any, known: dict[int, int]) -> int:
    """How many values there are once each alias stands for what it names. Raises RecursionError for a circle."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = MOST_VALUES + 1
        within = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count(each, known) for each in within)
    return known[id(value)]


def _as_json(value: object) -> object:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64_string": base64.b64encode(value).decode()}
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(type(value).__name__)
