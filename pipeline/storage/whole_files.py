"""Files that appear whole or not at all, and never in the place of another."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pipeline.storage.private_files import aside_of, make_private_folder, open_private, sync_folder


def write_once(path: Path, content: bytes | memoryview) -> None:
    """Write a file aside, sync it to disk and give it its name; where the name is taken nothing happens."""
    _appear(path, lambda file: file.write(content))


def share_once(source: Path, path: Path) -> None:
    """Give a file that never changes a second place: the same file where that can be, else a copy of it."""
    make_private_folder(path.parent)
    try:
        os.link(source, path)
    except FileExistsError:
        return
    except OSError:
        with source.open("rb") as content:
            _appear(path, lambda file: shutil.copyfileobj(content, file))


def _appear(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    make_private_folder(path.parent)
    aside = aside_of(path)
    try:
        with os.fdopen(open_private(aside), "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never takes the place of a file that is there.
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)
