"""Where a person wants a result written: a file that appears whole, or what is there already and is written to."""

import contextlib
import glob
import os
import stat
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.storage.private_files import OWNER_ONLY, aside_of, open_private, sweep


def check_output(path: Path, what: str) -> None:
    """Raises ConfigurationError if nothing can be written to `path`: to be asked before any work is done."""
    target = path.resolve() if path.is_symlink() else path
    if path.is_dir() or not (path.exists() or target.parent.is_dir()):
        raise ConfigurationError(f"cannot write {what} to {path}: name a file in a folder that exists")
    is_there = _is_written_to(path) and path.exists()
    if is_there and stat.S_ISSOCK(path.stat().st_mode):
        raise ConfigurationError(f"cannot write {what} to {path}: it is a socket")
    if not os.access(path if is_there else target.parent, os.W_OK):
        raise ConfigurationError(f"cannot write {what} to {path}: this user may not write there")


def write_output(path: Path, content: str | bytes, what: str) -> None:
    """Write to a path: a new or a plain file is its owner's only and there at once, nobody sees half of it.

    A device, a pipe and what a link leads to stay what they are, and are written to. Raises ConfigurationError.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        if _is_written_to(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        else:
            _replace(path, data)
    except OSError as error:
        raise ConfigurationError(f"cannot write {what} to {path}: {error.strerror or error}") from error


def _is_written_to(path: Path) -> bool:
    return path.is_symlink() or (path.exists() and not path.is_file())


def _replace(path: Path, data: bytes) -> None:
    sweep(path.parent, f"{glob.escape(path.name)}.*")
    aside = aside_of(path)
    try:
        with os.fdopen(open_private(aside), "wb") as file:
            file.write(data)
        aside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
