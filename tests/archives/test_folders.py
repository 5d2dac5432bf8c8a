"""Folders and damaged files: nothing that an archive could be is passed over, and what is whole of a file is read."""

import bz2
import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from backports import zstd

from pipeline.archives.files import find_archives
from tests.answered import response, session, turn
from tests.archived import import_here, lines_of, run_object, step_object, write_json

RUN, STEP = run_object(total=10), step_object("step_a")


def csv_of(*objects: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([["id", "raw"], *([each["id"], json.dumps(each)] for each in objects)])
    return text.getvalue().encode()


LOOKED_INTO: dict[str, tuple[str, bytes]] = {
    "a log": ("steps.log", lines_of([STEP])),
    "a log of responses": ("app.log.3", b"started\n" + lines_of([response()])),
    "a text of turns": ("turns.txt", lines_of([session(), turn()])),
    "a file without an ending": ("dump", lines_of([STEP])),
    "a text of PowerShell": ("steps.txt", json.dumps(STEP).encode("utf-16")),
    "YAML": ("steps.yaml", yaml.safe_dump(STEP).encode()),
    "a column of a data base": ("steps.csv", csv_of(STEP)),
    "packed once more": ("steps.json.bz2", bz2.compress(json.dumps(STEP).encode())),
    "a ZIP": ("steps.zip", b"PK\x03\x04" + bytes(40)),
    "Parquet": ("steps.parquet", b"PAR1" + bytes(40)),
    "packed under a name of its own": ("steps.gz", gzip.compress(json.dumps(STEP).encode())),
}


@pytest.mark.parametrize(("name", "body"), [pytest.param(*file, id=key) for key, file in LOOKED_INTO.items()])
def test_what_lies_in_a_folder_beside_archives_is_imported_or_named(tmp_path: Path, name: str, body: bytes) -> None:
    folder = tmp_path / "dumps"
    (folder / "deep").mkdir(parents=True)
    write_json(folder / "runs.json", RUN)
    (folder / "deep" / name).write_bytes(body)
    progress = import_here(tmp_path / "data", folder)
    assert progress.files_done == 2
    assert progress.runs + progress.steps + progress.unrecognised > 1


@pytest.mark.parametrize(
    ("name", "body"),
    [("README.md", b"# Dumps of 2025"), ("page.png", b"\x89PNG\r\n\x1a\n"), ("x.py", b"response = 1"), ("empty", b"")],
)
def test_what_cannot_be_an_archive_is_none(tmp_path: Path, name: str, body: bytes) -> None:
    write_json(tmp_path / "runs.json", RUN)
    (tmp_path / name).write_bytes(body)
    assert find_archives([str(tmp_path)]) == [tmp_path / "runs.json"]


def test_folders_behind_links_are_looked_into_once(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    write_json(tmp_path / "far" / "runs.json", RUN)
    (tmp_path / "near" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "circle").symlink_to(tmp_path / "near")
    assert [file.name for file in find_archives([str(tmp_path / "near")])] == ["runs.json"]


LINES = lines_of([RUN, *(step_object(f"step_{number}", at=number, metadata={"n": "x" * 500}) for number in range(40))])
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "gzip that was cut": lambda body: gzip.compress(body)[:-30],
    "gzip without its end": lambda body: gzip.compress(body)[:-8],
    "gzip with something behind": lambda body: gzip.compress(body) + b"more",
    "zstd that was cut": lambda body: b"".join(zstd.compress(part) for part in (body[:-2000], body[-2000:]))[:-9],
    "UTF-16 that was cut": lambda body: body.decode().encode("utf-16")[:-1],
}


@pytest.mark.parametrize("spoil", [pytest.param(spoil, id=key) for key, spoil in BROKEN.items()])
def test_what_stands_before_the_damage_of_a_file_is_kept_and_the_damage_named(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(spoil(LINES))
    progress = import_here(tmp_path / "data", path)
    assert (progress.runs, progress.steps >= 30) == (1, True)
    named = "\n".join(place for archive in progress.archives for place in archive.first_unrecognised)
    assert "where it breaks off: the file cannot be read further" in named


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("half", [r"\ud83d", r"\uDC00", r"\ud83d\u0041", r"\ud83d\ud83d\ude00"])
def test_half_a_pair_of_surrogates_in_a_text_loses_no_file(tmp_path: Path, half: str, *, packed: bool) -> None:
    """What counts signs cuts emoji in two."""
    text = json.dumps([RUN, step_object("step_a", metadata={"note": "HALF", "two": "\U0001f600"})])
    text = text.replace("HALF", half)
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"payload": text}) if packed else text, "utf-8")
    progress = import_here(tmp_path / "data", path)
    assert (progress.runs, progress.steps, progress.unrecognised) == (1, 1, 0)
