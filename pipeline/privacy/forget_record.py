"""The record of forgotten threads: a hash of each, so that nothing brings one back unless a person names it again."""

import contextlib
import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from pipeline.errors import ConfigurationError, PipelineError, WarehouseLockedError
from pipeline.storage.private_files import aside_of, make_private_folder, open_private, sync_folder
from pipeline.storage.writer_lock import only_writer

RECORD = "forgotten.jsonl"


class ForgottenThread(Struct, frozen=True):
    """A line of the record; `sha256` is that of source, a zero byte and the thread's id, in UTF-8."""

    sha256: str
    forgotten_at: datetime


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The record of a data folder as it was read."""

    threads: dict[str, ForgottenThread]

    def has(self, source: str, thread_id: str | None) -> bool:
        """Whether the thread was forgotten."""
        return bool(self.threads) and thread_id is not None and _hash(source, thread_id) in self.threads


def read_forgotten(data_dir: Path) -> Forgotten:
    """The record, empty if nothing was forgotten. Raises PipelineError if it cannot be read."""
    path = data_dir / RECORD
    if not path.exists():
        return Forgotten({})
    try:
        lines = path.read_bytes().splitlines()
        threads = [msgspec.json.decode(line, type=ForgottenThread) for line in lines]
    except (OSError, msgspec.DecodeError) as error:
        raise PipelineError(f"the record of forgotten threads {path} cannot be read ({error}): restore it") from error
    return Forgotten({thread.sha256: thread for thread in threads})


def add_forgotten(data_dir: Path, threads: Iterable[tuple[str, str]], *, now: datetime) -> Forgotten:
    """Add threads (source and id) to the record; the record with them. It is on disk on return."""
    before = read_forgotten(data_dir).threads
    added = {digest: ForgottenThread(digest, now) for digest in (_hash(*thread) for thread in threads)}
    return _write(data_dir, {**added, **before})


@contextlib.contextmanager
def only_forgetter(data_dir: Path, *, wait_s: float) -> Iterator[None]:
    """No other process forgets anything in a data folder meanwhile. Raises WarehouseLockedError after `wait_s`."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(only_writer(data_dir / "forget", wait_s=wait_s))
        except WarehouseLockedError as error:
            raise WarehouseLockedError(f"another `forget` is at work in {data_dir}: wait, then retry") from error
        yield


def leave_out_forgotten(
    data_dir: Path, source: str, thread_ids: Sequence[str], named: Collection[str], *, wait_s: float
) -> list[str]:
    """Those of the ids that were not forgotten. The ones that a person has `named` one by one are remembered again.

    That waits for a `forget` to end, which would remove what is fetched meanwhile from one place and not from another.
    Raises WarehouseLockedError after `wait_s`.
    """
    forgotten = read_forgotten(data_dir)
    again = {_hash(source, thread_id) for thread_id in thread_ids if thread_id in named}
    if again & forgotten.threads.keys():
        with only_forgetter(data_dir, wait_s=wait_s):
            threads = read_forgotten(data_dir).threads
            forgotten = _write(data_dir, {digest: threads[digest] for digest in threads if digest not in again})
    return [thread_id for thread_id in thread_ids if not forgotten.has(source, thread_id)]


def _hash(source: str, thread_id: str) -> str:
    return hashlib.sha256(f"{source}\0{thread_id}".encode("utf-8", errors="surrogatepass")).hexdigest()


def _write(data_dir: Path, threads: dict[str, ForgottenThread]) -> Forgotten:
    path = data_dir / RECORD
    aside = aside_of(path)
    try:
        make_private_folder(data_dir)
        with os.fdopen(open_private(aside), "wb") as file:
            file.writelines(msgspec.json.encode(thread) + b"\n" for thread in threads.values())
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        sync_folder(data_dir)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from error
    return Forgotten(threads)
