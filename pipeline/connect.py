"""Settings to a client that is ready to be opened."""

from pipeline.client import ApiClient
from pipeline.config import Settings
from pipeline.pacing import Moment, Pacer


def make_client(settings: Settings, *, share: int = 1, paused_until: Moment | None = None) -> ApiClient:
    """A client for the server in force, with one `share`-th of its concurrency and pace.

    Clients in several processes that are given the same `paused_until` keep each other's pauses.
    """
    per_minute = settings["requests_per_minute"]
    pacer = Pacer(
        concurrency=max(1, settings["concurrency"] // share),
        requests_per_minute=per_minute / share if per_minute else None,
        paused_until=paused_until,
    )
    return ApiClient(settings.endpoint(), pacer, policy=settings.retry_policy, tokens=settings.tokens())
