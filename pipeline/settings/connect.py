"""Settings to a client that is ready to be opened."""

from pipeline.http.client import ApiClient
from pipeline.http.pacing import Moment, Pacer
from pipeline.http.shared_pace import AskBudget, BudgetPacer
from pipeline.settings.invocation import Settings


def make_client(
    settings: Settings, *, share: int = 1, paused_until: Moment | None = None, budget: AskBudget | None = None
) -> ApiClient:
    """A client for the server in force, with one `share`-th of its concurrency and pace.

    Clients in several processes that are given the same `paused_until` keep each other's pauses; those that ask the
    same `budget` keep one pace together.
    """
    per_minute = settings["requests_per_minute"]
    concurrency = max(1, settings["concurrency"] // share)
    pacer = (
        Pacer(
            concurrency=concurrency,
            requests_per_minute=per_minute / share if per_minute else None,
            paused_until=paused_until,
        )
        if budget is None
        else BudgetPacer(budget, concurrency=concurrency)
    )
    return ApiClient(settings.endpoint(), pacer, policy=settings.retry_policy, tokens=settings.tokens())
