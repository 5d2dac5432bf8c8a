"""Processes that ask one budget keep one pace together, in time that only passes while everybody sleeps."""

import asyncio

import httpx

from pipeline.http.client import ApiClient
from pipeline.http.retrying import RetryPolicy
from pipeline.http.shared_pace import Ask, BudgetPacer, Grant, PaceBudget
from pipeline.protocol.endpoint import Endpoint
from tests.fake_clock import FakeClock
from tests.http.test_pacing import LimitedServer

# What a question and its answer take between two machines.
ASKING_S = 0.002


def ask_together(server: LimitedServer, budget: PaceBudget, *, workers: int, requests: int) -> int:
    """So many requests by several processes with one budget; how often they asked it."""
    clock = server.time.clock()
    questions = 0

    async def ask(question: Ask) -> Grant:
        nonlocal questions
        questions += 1
        await clock.sleep(ASKING_S)
        return budget.grant(question)

    left = iter(range(requests))

    async def work(client: ApiClient) -> None:
        for _ in left:
            await client.get(("x",), decode=lambda body: body)

    async def run() -> None:
        clients = [
            ApiClient(
                Endpoint("http://127.0.0.1/v1"),
                BudgetPacer(ask, concurrency=16, clock=clock),
                clock=clock,
                transport=httpx.MockTransport(server.answer),
                policy=RetryPolicy(attempts=20),
            )
            for _ in range(workers)
        ]
        async with asyncio.TaskGroup() as group:
            for client in clients:
                for _ in range(16):
                    group.create_task(work(client))

    asyncio.run(run())
    return questions


def test_the_limit_that_a_user_gives_holds_for_all_processes_together() -> None:
    time = FakeClock()
    server = LimitedServer(time, rate=1e9, burst=1e9)
    budget = PaceBudget(requests_per_minute=6_000, sharers=4, clock=time.clock())

    questions = ask_together(server, budget, workers=4, requests=1_000)

    # 100 a second, not 400; and a question for a dozen requests, not for each.
    assert 9.9 <= time.time_s <= 11
    assert questions <= 1_000 / 6


def test_four_processes_learn_together_what_a_server_accepts() -> None:
    time = FakeClock()
    server = LimitedServer(time, rate=100.0, burst=20.0)
    budget = PaceBudget(requests_per_minute=None, sharers=4, clock=time.clock())

    ask_together(server, budget, workers=4, requests=3_000)

    used = server.statuses[200] / (100.0 * time.time_s + 20)
    assert used >= 0.8
    assert server.statuses[429] <= 0.03 * 3_000


def test_without_a_limit_permits_cost_next_to_nothing() -> None:
    time = FakeClock()
    server = LimitedServer(time, rate=1e9, burst=1e9)
    budget = PaceBudget(requests_per_minute=None, sharers=2, clock=time.clock())

    questions = ask_together(server, budget, workers=2, requests=1_000)

    assert questions <= 2 + 2 * time.time_s / 0.5


def test_a_pause_that_one_process_was_asked_for_holds_back_the_others() -> None:
    budget = PaceBudget(requests_per_minute=None, sharers=2, clock=FakeClock().clock())

    budget.grant(Ask(8, refused_ago_s=0.0, pause_s=3.0))

    # Behind the five that the first may start by then, at the 20 a second of a search.
    assert budget.grant(Ask(8)).wait_s == 3.25
