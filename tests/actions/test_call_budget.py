"""One budget for all processes, spent from memory."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from app.actions import call_budget
from app.actions.create_flow import create_flow
from app.actions.purses import Purses
from app.actions.tools import Tools
from app.errors import DotsThrottledError
from app.flows.budget import Budget
from app.flows.flow_request import FlowRequest
from tests.actions import stored
from tests.actions.memory_dots import MemoryDots
from tests.actions.stand_in_tools import HandClock
from tests.actions.statements import noted

SMALL = Budget(per_second=1, burst=10)
USUAL = Budget(per_second=100, burst=200)
REQUEST = FlowRequest(app="default", steps=["compliance"], reference="payee-17")


def processes(tools: Tools, number: int, budget: Budget) -> list[Tools]:
    """The tools of several processes on one database."""
    return [replace(tools, purses=Purses(), budget=budget) for _ in range(number)]


async def take_at_once(several: list[Tools], *, each: int, wanted: int, reserve: float = 0) -> int:
    """The number of calls that all processes get when each asks `each` times at once."""
    takes = [call_budget.take(process, "default", wanted, reserve=reserve) for process in several for _ in range(each)]
    return sum(await asyncio.gather(*takes))


@pytest.mark.parametrize("wanted", [1, 3])
async def test_many_processes_never_exceed_a_small_budget(tools: Tools, clock: HandClock, wanted: int) -> None:
    """Together they get the burst and then one call a second, not one more."""
    several = processes(tools, 8, SMALL)
    taken = [await take_at_once(several, each=5, wanted=wanted)]
    for _ in range(6):
        clock.advance(timedelta(seconds=1))
        taken.append(await take_at_once(several, each=5, wanted=wanted))

    assert taken == [10, 1, 1, 1, 1, 1, 1]


async def test_many_processes_share_a_usual_budget_exactly(tools: Tools) -> None:
    """All of the burst is given out to those that ask at once, and no more."""
    assert await take_at_once(processes(tools, 4, USUAL), each=100, wanted=1) == 200


async def test_calls_do_not_write_the_row_each_time(tools: Tools) -> None:
    """A hundred calls are four chunks: the row gets four new versions."""
    (process,) = processes(tools, 1, USUAL)
    await call_budget.may_call(process, "default", reserve=0)
    with noted(process.engine) as statements:
        calls = [await call_budget.may_call(process, "default", reserve=0) for _ in range(100)]

    assert calls == [True] * 100
    assert len([statement for statement in statements if "UPDATE apps" in statement]) == 4


async def test_an_empty_bucket_is_not_asked_again_at_once(tools: Tools, clock: HandClock) -> None:
    """While there is nothing to get, the database is left alone, and the row is not written."""
    (process,) = processes(tools, 1, SMALL)
    await call_budget.take(process, "default", 10, reserve=0)
    await call_budget.take(process, "default", 1, reserve=0)
    before = await stored.row(tools.engine, "SELECT xmin, ctid FROM apps")
    with noted(process.engine) as statements:
        calls = [await call_budget.may_call(process, "default", reserve=0) for _ in range(100)]
    after = await stored.row(tools.engine, "SELECT xmin, ctid FROM apps")
    clock.advance(timedelta(seconds=1))

    assert calls == [False] * 100
    assert statements == []
    assert before == after
    assert await call_budget.may_call(process, "default", reserve=0)


async def test_a_process_does_not_keep_what_it_does_not_spend(tools: Tools, clock: HandClock) -> None:
    """After a second its tokens go back into the bucket, which never holds more than the burst."""
    first, second = processes(tools, 2, Budget(per_second=0.001, burst=20))
    await call_budget.take(first, "default", 15, reserve=0)
    call_budget.give_back(first, "default", 15, reserve=0)
    clock.advance(timedelta(seconds=1))
    by_the_second = await call_budget.take(second, "default", 20, reserve=0)
    by_the_first = await call_budget.take(first, "default", 20, reserve=0)

    assert (by_the_second, by_the_first) == (5, 15)


async def test_tokens_for_sweeps_leave_half_of_the_bucket(tools: Tools) -> None:
    """The reserves hold although tokens are taken in chunks; refreshes leave a tenth, creations nothing."""
    several = processes(tools, 3, Budget(per_second=100, burst=100))
    taken = [
        await take_at_once(several, each=100, wanted=1, reserve=reserve)
        for reserve in (several[0].budget.reserve_of_sweeps, several[0].budget.reserve_of_refreshes, 0)
    ]

    assert taken == [50, 40, 10]


async def test_a_caller_that_is_cancelled_leaves_the_chunk_to_the_others(tools: Tools) -> None:
    """A chunk is taken once for a crowd; the one that began it may go away."""
    (process,) = processes(tools, 1, SMALL)
    calls = [asyncio.create_task(call_budget.may_call(process, "default", reserve=0)) for _ in range(3)]
    await asyncio.sleep(0)
    calls[0].cancel()
    ends = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(ends[0], asyncio.CancelledError)
    assert ends[1:] == [True, True]


async def test_a_replay_costs_no_call(tools: Tools, dots: MemoryDots) -> None:
    """The answer of an earlier request is given when no call is left, and leaves the call that is left to others."""
    (poor,) = processes(tools, 1, Budget(per_second=0.001, burst=10))
    made = await create_flow(poor, REQUEST, caller="shop", idempotency_key="key-1")
    for _ in range(20):
        await create_flow(poor, REQUEST, caller="shop", idempotency_key="key-1")
    left = await call_budget.take(poor, "default", 10, reserve=0)

    again = await create_flow(poor, REQUEST, caller="shop", idempotency_key="key-1")
    with pytest.raises(DotsThrottledError):
        await create_flow(poor, REQUEST, caller="shop", idempotency_key="key-2")

    assert left == 9
    assert again.flow.id == made.flow.id
    assert len(dots.posts) == 1


async def test_caller_is_never_kept_asking(tools: Tools, clock: HandClock) -> None:
    """Tokens that are too old whenever they come are given up after a few attempts."""

    class StalePurses(Purses):
        """Lets each chunk grow too old before its caller sees it."""

        async def fill(
            self, app: str, budget: Budget, reserve: float, take_chunk: Callable[[], Awaitable[None]]
        ) -> None:
            """Take the chunk, and let it age."""
            asked.append(app)
            assert len(asked) < 20
            await super().fill(app, budget, reserve, take_chunk)
            clock.advance(timedelta(seconds=2))

    asked: list[str] = []

    assert await call_budget.take(replace(tools, purses=StalePurses(), budget=USUAL), "default", 1, reserve=0) == 0
