"""What of the threads that are named a sync takes: a shard of them, those with a run since then."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.errors import ConfigurationError
from pipeline.threads.decay import DECAY, is_age, parse_age

COLUMN = "thread_id"
_SHARD = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_HASHED_BYTES = 8


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts of all threads, `number` from 1.

    A thread belongs to the shard 1 + (h modulo count), where h is `hash_thread` of its id. This never changes, on any
    machine.
    """

    number: int
    count: int

    def takes(self, thread_id: str) -> bool:
        """Whether the thread belongs to this shard."""
        return self.takes_hash(hash_thread(thread_id))

    def takes_hash(self, hashed: int) -> bool:
        """Whether a thread whose id has this hash belongs to this shard."""
        return hashed % self.count + 1 == self.number


def hash_thread(thread_id: str) -> int:
    """The first 8 bytes of the SHA-256 of an id in UTF-8, read as a big-endian number."""
    return int.from_bytes(hashlib.sha256(thread_id.encode()).digest()[:_HASHED_BYTES], "big")


def parse_shard(text: str) -> Shard:
    """The shard that `i/n` names. Raises ConfigurationError unless 1 <= i <= n."""
    match = _SHARD.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(f"--shard {text!r} is not i/n, for example 1/4")
    shard = Shard(int(match[1]), int(match[2]))
    if not 1 <= shard.number <= shard.count:
        raise ConfigurationError(f"--shard {text!r}: the shards of n are numbered 1/n to n/n")
    return shard


def parse_since(text: str, *, now: datetime) -> datetime:
    """The instant that an age (12h, 30d, 4w) before `now` or a date (2026-01-31, midnight UTC) names."""
    if is_age(text):
        try:
            return now - parse_age(text, where="--since")
        except OverflowError as error:
            raise ConfigurationError(f"--since {text!r} is before all time") from error
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ConfigurationError(
            f"--since {text!r} is neither an age like 30d, 12h or 4w nor a date nor the word {DECAY}"
        ) from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
