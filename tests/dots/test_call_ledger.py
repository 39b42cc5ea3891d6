"""All processes share one budget and spend it from memory. A call needs a permit."""

import asyncio
from datetime import timedelta

import pytest

from app.dots.budget import Budget, Grant
from app.dots.call_ledger import CallLedger
from app.dots.gate import Gate
from app.errors import DotsThrottledError
from app.flows.refresh_due import refresh_now
from app.flows.rules.flow_request import FlowRequest
from tests.all_inputs import AllInputs, HandClock, another_process, gate_of
from tests.dots.memory_dots import MemoryDots
from tests.flows.creating import create
from tests.flows.due import flow, sync_row
from tests.storage import stored
from tests.storage.statements import noted

SMALL = Budget(per_second=1, burst=10)
USUAL = Budget(per_second=100, burst=200)
REQUEST = FlowRequest(app="default", steps=["compliance"], reference="payee-17")


def processes(inputs: AllInputs, number: int, budget: Budget) -> list[AllInputs]:
    """Return the inputs of several processes on one database."""
    return [another_process(inputs, budget=budget) for _ in range(number)]


def gate(process: AllInputs) -> Gate:
    """Return the gate of the app `default`."""
    return process.clients.of("default").gate


async def take_at_once(several: list[AllInputs], *, each: int, wanted: int, reserve: float = 0) -> int:
    """Return how many calls all processes get if each asks `each` times at once."""
    takes = [gate(process).take(wanted, reserve=reserve) for process in several for _ in range(each)]
    return sum(len(permits) for permits in await asyncio.gather(*takes))


@pytest.mark.parametrize("wanted", [1, 3])
async def test_many_processes_never_exceed_a_small_budget(inputs: AllInputs, clock: HandClock, wanted: int) -> None:
    """Together they get the burst, then one call each second."""
    several = processes(inputs, 4, SMALL)
    taken = [await take_at_once(several, each=5, wanted=wanted)]
    for _ in range(3):
        clock.advance(timedelta(seconds=1))
        taken.append(await take_at_once(several, each=5, wanted=wanted))

    assert taken == [10, 1, 1, 1]


async def test_many_processes_share_a_usual_budget_exactly(inputs: AllInputs) -> None:
    """Processes that ask at once get exactly the burst."""
    assert await take_at_once(processes(inputs, 4, USUAL), each=100, wanted=1) == 200


async def test_calls_do_not_write_the_row_each_time(inputs: AllInputs) -> None:
    """A hundred calls take four chunks, so the row is updated four times."""
    (process,) = processes(inputs, 1, USUAL)
    await gate(process).take()
    with noted(process.engine) as statements:
        permits = [await gate(process).take() for _ in range(100)]

    assert all(permits)
    assert len([statement for statement in statements if "UPDATE apps" in statement]) == 4


async def test_an_empty_bucket_is_not_asked_again_at_once(inputs: AllInputs, clock: HandClock) -> None:
    """While the bucket is empty, the gate sends no statement to the database."""
    (process,) = processes(inputs, 1, SMALL)
    await gate(process).take(10)
    await gate(process).take()
    before = await stored.row(inputs.engine, "SELECT xmin, ctid FROM apps")
    with noted(process.engine) as statements:
        permits = [await gate(process).take() for _ in range(100)]
    after = await stored.row(inputs.engine, "SELECT xmin, ctid FROM apps")
    clock.advance(timedelta(seconds=1))

    assert not any(permits)
    assert statements == []
    assert before == after
    assert await gate(process).take()


async def test_unspent_tokens_go_back_into_the_bucket(inputs: AllInputs, clock: HandClock) -> None:
    """A process returns its tokens after a second. The bucket holds at most the burst."""
    first, second = processes(inputs, 2, Budget(per_second=0.001, burst=20))
    gate(first).give_back(await gate(first).take(15))
    clock.advance(timedelta(seconds=1))
    by_the_second = await gate(second).take(20)
    by_the_first = await gate(first).take(20)

    assert (len(by_the_second), len(by_the_first)) == (5, 15)


async def test_tokens_for_sweeps_leave_half_of_the_bucket(inputs: AllInputs) -> None:
    """Chunks respect the reserves too. Refreshes leave a tenth of the bucket, creations leave nothing."""
    several = processes(inputs, 3, Budget(per_second=100, burst=100))
    taken = [
        await take_at_once(several, each=100, wanted=1, reserve=reserve)
        for reserve in (gate(several[0]).budget.reserve_of_sweeps, gate(several[0]).budget.reserve_of_refreshes, 0)
    ]

    assert taken == [50, 40, 10]


async def test_a_caller_that_is_cancelled_leaves_the_chunk_to_the_others(inputs: AllInputs) -> None:
    """Concurrent callers share a chunk, even if the caller that began it is cancelled."""
    (process,) = processes(inputs, 1, SMALL)
    calls = [asyncio.create_task(gate(process).take()) for _ in range(3)]
    await asyncio.sleep(0)
    calls[0].cancel()
    ends = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(ends[0], asyncio.CancelledError)
    assert [isinstance(end, list) and len(end) for end in ends[1:]] == [1, 1]


async def test_a_replay_costs_no_call(inputs: AllInputs, dots: MemoryDots) -> None:
    """A repeated request gets its answer without a call, also when the budget is spent."""
    (poor,) = processes(inputs, 1, Budget(per_second=0.001, burst=10))
    made = await create(poor, REQUEST, key="key-1")
    for _ in range(3):
        await create(poor, REQUEST, key="key-1")
    left = await gate(poor).take(10)

    again = await create(poor, REQUEST, key="key-1")
    with pytest.raises(DotsThrottledError):
        await create(poor, REQUEST, key="key-2")

    assert len(left) == 9
    assert again.answer == made.answer
    assert len(dots.posts) == 1


async def test_caller_gives_up_after_a_few_chunks(inputs: AllInputs, clock: HandClock) -> None:
    """If every chunk is too old on arrival, the caller stops asking."""

    class SlowLedger(CallLedger):
        """Lets each chunk grow too old before its caller sees it."""

        async def take(self, app: str, wanted: int, *, reserve: float, returned: int, is_trial: bool) -> Grant:
            """Take the chunk, and let two seconds pass before a caller can spend it."""
            asked.append(app)
            assert len(asked) < 20
            grant = await super().take(app, wanted, reserve=reserve, returned=returned, is_trial=is_trial)
            asyncio.get_running_loop().call_soon(clock.advance, timedelta(seconds=2))
            return grant

    asked: list[str] = []
    slow = gate_of("default", SlowLedger(inputs.engine, budget=USUAL, now=clock), clock, USUAL)

    assert await slow.take() == []


@pytest.mark.parametrize("is_spent_before", [True, False])
async def test_permit_is_for_one_call_of_one_app(inputs: AllInputs, *, is_spent_before: bool) -> None:
    """A permit cannot be used twice or for another app."""
    permit = await gate(inputs).take_one()
    if is_spent_before:
        permit.spend(gate(inputs))

    with pytest.raises(ValueError, match="one call"):
        permit.spend(gate(inputs) if is_spent_before else inputs.clients.of("eu").gate)


async def test_returned_permit_cannot_be_used(inputs: AllInputs) -> None:
    """Another caller may have its token by then."""
    permit = await gate(inputs).take_one()
    gate(inputs).give_back([permit, permit])

    with pytest.raises(ValueError, match="one call"):
        permit.spend(gate(inputs))


async def test_manual_refresh_is_within_the_budget(inputs: AllInputs, dots: MemoryDots) -> None:
    """If the budget is spent, the refresh is refused and stays due for a worker."""
    (poor,) = processes(inputs, 1, Budget(per_second=0.001, burst=10))
    await gate(poor).take(10)

    with pytest.raises(DotsThrottledError):
        await refresh_now(poor, flow("flow-1"))

    assert dots.requests == []
    assert (await sync_row(inputs, flow("flow-1")))["due_at"] == inputs.clock()
