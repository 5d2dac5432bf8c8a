"""Files and folders for their owner only, whatever the umask, and what dead processes of ours left half written."""

import contextlib
import errno
import os
import platform
import re
from pathlib import Path

OWNER_ONLY = 0o600
_OWNER_ONLY_FOLDER = 0o700
# Before the suffix: who writes it. A process id says nothing without the machine that gave it.
_SUFFIX = ".writing"
_ASIDE = re.compile(r".+\.(?P<pid>\d+)-(?P<host>[^.]*)\.writing")
_PROCESSES = Path("/proc/self/ns/pid")
_NO_HOST_SIGN = re.compile(r"[^A-Za-z0-9_-]")


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing; one that is there stays as its owner made it."""
    missing = [folder, *folder.parents]
    for path in reversed([path for path in missing if not path.exists()]):
        path.mkdir(exist_ok=True, mode=_OWNER_ONLY_FOLDER)


def aside_of(path: Path) -> Path:
    """Where this process writes a file before it gets its name."""
    return path.with_name(f"{path.name}.{os.getpid()}-{_this_host()}{_SUFFIX}")


def open_private(path: Path) -> int:
    """A descriptor of a new file for reading and writing; one that is there is emptied, but never one behind a link."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), OWNER_ONLY)


def keep_private(path: Path, mode: int = OWNER_ONLY) -> None:
    """Leave a file that another library made to its owner, where the file system knows owners (exFAT does not)."""
    with contextlib.suppress(PermissionError):
        path.chmod(mode)


def replace_private(path: Path, content: bytes) -> None:
    """Have a file for its owner only with this content, all of it or what was there before, on disk on return."""
    aside = aside_of(path)
    try:
        with os.fdopen(open_private(aside), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder last; where folders cannot be opened (Windows) the system does that itself."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems (SMB, FUSE) know no such thing for a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise
    finally:
        os.close(descriptor)


def find_left(folder: Path, pattern: str = "*") -> list[Path]:
    """Files that a process was writing aside in a folder, dead or alive, in the order of their names."""
    return [path for path in sorted(folder.glob(f"{pattern}{_SUFFIX}")) if _ASIDE.fullmatch(path.name)]


def is_dead(path: Path) -> bool:
    """Whether who wrote a file aside was a process of this machine that has ended."""
    match = _ASIDE.fullmatch(path.name)
    if match is None or match["host"] != _this_host() or os.name != "posix":
        return False
    try:
        os.kill(int(match["pid"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def sweep(folder: Path, pattern: str = "*") -> list[Path]:
    """Remove what dead processes of this machine were writing aside in a folder; what is gone."""
    dead = [path for path in find_left(folder, pattern) if path.is_file() and not path.is_symlink() and is_dead(path)]
    for path in dead:
        path.unlink(missing_ok=True)
    return dead


def _this_host() -> str:
    """The machine, and where it has several lists of processes (containers), the one that our id is from."""
    try:
        processes = f"-{_PROCESSES.stat().st_ino}"
    except OSError:
        processes = ""
    return _NO_HOST_SIGN.sub("_", platform.node()) + processes
