"""The lock of those who write to a warehouse: one at a time among all processes of this program."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError, WarehouseLockedError
from pipeline.storage.private_files import OWNER_ONLY, make_private_folder

if TYPE_CHECKING:
    import filelock


@contextlib.contextmanager
def only_writer(path: Path, *, wait_s: float) -> Iterator[None]:
    """Nobody else of this program writes to the warehouse. Raises WarehouseLockedError after `wait_s`.

    The lock's file stays: to remove one that somebody waits for would let two in. A dead process holds no lock.
    """
    try:
        make_private_folder(path.parent)
    except OSError as error:
        raise ConfigurationError(f"cannot make the folder {path.parent}: {error.strerror or error}") from error
    # It imports asyncio, and who only reads asks for no lock.
    import filelock

    try:
        with _lock(path, wait_s):
            yield
    except filelock.Timeout as error:
        raise WarehouseLockedError(f"another load writes to the warehouse {path}: wait until it has ended") from error


def is_being_written(path: Path) -> bool:
    """Whether a process of this program holds the lock now; makes no file."""
    import filelock

    if not _lock_path(path).exists():
        return False
    try:
        with _lock(path, 0.0):
            return False
    except filelock.Timeout:
        return True


def _lock(path: Path, wait_s: float) -> "filelock.BaseFileLock":
    import filelock

    return filelock.FileLock(_lock_path(path), timeout=wait_s, mode=OWNER_ONLY)


def _lock_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")
