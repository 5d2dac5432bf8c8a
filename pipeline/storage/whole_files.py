"""Files that appear whole or not at all, and never in the place of another."""

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pipeline.storage.private_files import aside_of, make_private_folder, open_private, sync_folder

_AT_CWD = -100
_NO_REPLACE = 1


def name_once(aside: Path, path: Path) -> None:
    """Give a file that was written aside its name, as well or instead. Raises FileExistsError where that is taken."""
    try:
        # A link, unlike a rename, never takes the place of a file that is there.
        os.link(aside, path)
    except FileExistsError:
        raise
    except OSError:
        # exFAT, and many mounts of SMB and FUSE, have no links.
        _rename_once(aside, path)


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
        with contextlib.suppress(FileExistsError):
            name_once(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def _rename_once(aside: Path, path: Path) -> None:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    if rename is not None:
        if rename(_AT_CWD, os.fsencode(aside), _AT_CWD, os.fsencode(path), _NO_REPLACE) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code), str(path))
    # Somebody could take the name between these two, were it not that names of parts are drawn by lot.
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    aside.rename(path)
