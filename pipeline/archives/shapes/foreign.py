"""What is not JSON, named for what it is."""

import re

import msgspec
from msgspec import Raw

# How files of other kinds begin.
_MAGIC = (
    (b"PK\x03\x04", "a ZIP file: unpack it and import what is in it"),
    (b"PK\x05\x06", "an empty ZIP file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z file: unpack it and import what is in it"),
    (b"BZh", "packed with bzip2: unpack it, or pack it with gzip or zstd"),
    (b"\xfd7zXZ\x00", "packed with xz: unpack it, or pack it with gzip or zstd"),
    (b"PAR1", "a Parquet file: write it as JSON lines, for example with DuckDB's copy ... to 'x.jsonl' (format json)"),
    (b"SQLite format 3\x00", "a SQLite file, and no store of openai-agents: export its rows as JSON lines"),
    (b"%PDF-", "a PDF file"),
    (b"ARROW1", "an Arrow file: write it as JSON lines"),
    (b"\x80\x03", "a pickle of Python: write it with json.dumps"),
    (b"\x80\x04", "a pickle of Python: write it with json.dumps"),
    (b"\x80\x05", "a pickle of Python: write it with json.dumps"),
)
_TAR_AT, _TAR = 257, b"ustar"
MAGIC_BYTES = _TAR_AT + len(_TAR)
# print(step), str(run.to_dict()): quotes of Python around the first name, or the name of a class.
_PYTHON = re.compile(
    rb"[^\"{]{0,200}\{\s*'\w+'\s*:|\s*\{\s*\"\w+\"\s*:\s*(?:None|True|False)\b|\s*\[?[A-Za-z_]\w*\(\w+=|\s*[A-Za-z_]\w*\[\w+\]\("
)
_MARKUP = re.compile(rb"\s*<(?:!doctype|html|\?xml|[a-z]+[ >/])", re.IGNORECASE)


def name_file(start: bytes) -> str | None:
    """What a file is that begins so, if that is known and nothing that can be read."""
    if start[_TAR_AT:MAGIC_BYTES] == _TAR:
        return "a tar file: unpack it and import what is in it"
    return next((name for magic, name in _MAGIC if start.startswith(magic)), None)


def is_json(body: bytes) -> bool:
    """Whether this is one JSON document; what its texts hold is not looked at."""
    try:
        msgspec.json.decode(body, type=Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def is_python(body: bytes) -> bool:
    """Whether this is what Python prints of an object."""
    return _PYTHON.match(body) is not None


def why_not_json(body: bytes) -> str:
    """Why this cannot be read, for a person."""
    if is_python(body):
        return "Python text, as print and str write objects, and no JSON: keep json.dumps(...) or model_dump_json()"
    if _MARKUP.match(body):
        return "HTML or XML, and no JSON"
    try:
        msgspec.json.decode(body, type=Raw)
    except RecursionError:
        return "nested too deeply"
    except msgspec.DecodeError as error:
        return "not JSON: cut off before its end" if "truncated" in str(error) else f"not JSON ({error})"
    return "no JSON object or list"
