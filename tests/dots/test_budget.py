"""Each app has one budget of calls, shared by all processes."""

from datetime import timedelta

from app.dots import budget_rows
from app.dots.budget import Budget
from app.flows import sync_rows
from app.flows.refresh_due import refresh_due
from app.flows.sync_rows import DueBy
from app.storage import database
from app.storage.subjects import Subject
from tests.all_inputs import AllInputs, HandClock, another_process
from tests.dots.memory_dots import MemoryDots, flow_id_of

SMALL = Budget(per_second=1, burst=10)


async def make_due(inputs: AllInputs, numbers: range, *, due_by: DueBy) -> None:
    """Make the flows of these numbers due."""
    subjects = [Subject(app="default", kind="flow", id=flow_id_of(number)) for number in numbers]
    async with database.transaction(inputs.engine) as connection:
        await sync_rows.mark_due(connection, subjects, due_at=inputs.clock(), due_by=due_by)


async def take(inputs: AllInputs, wanted: int, *, reserve: float = 0) -> int:
    """Take tokens as a process does."""
    async with database.transaction(inputs.engine) as connection:
        grant = await budget_rows.take(connection, "default", wanted, budget=SMALL, reserve=reserve, now=inputs.clock())
    return grant.calls


async def test_a_grant_leaves_the_reserve(inputs: AllInputs) -> None:
    """A grant leaves the reserve in the bucket and is never negative."""
    granted = [await take(inputs, 20, reserve=reserve) for reserve in (4, 4, 5, 0, 0)]

    assert granted == [6, 0, 0, 4, 0]


async def test_the_bucket_empties_and_fills(inputs: AllInputs, clock: HandClock) -> None:
    """The bucket begins full and gains tokens with time, up to the burst."""
    first = await take(inputs, 8)
    second = await take(inputs, 8)
    clock.advance(timedelta(seconds=3))
    third = await take(inputs, 8)
    clock.advance(timedelta(hours=1))
    fourth = await take(inputs, 100)

    assert (first, second, third, fourth) == (8, 2, 3, 10)


async def test_a_clock_that_goes_back_gives_nothing(inputs: AllInputs, clock: HandClock) -> None:
    """If machines' clocks differ, tokens are not given twice for the same second."""
    await take(inputs, 10)
    clock.advance(timedelta(seconds=5))
    got = await take(inputs, 5)
    clock.advance(timedelta(seconds=-5))

    assert got == 5
    assert await take(inputs, 5) == 0


async def test_requested_refreshes_come_before_sweeps(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """With few tokens left, refreshes for webhooks go on and sweeps wait."""
    poor = another_process(inputs, budget=SMALL)
    await make_due(poor, range(100, 120), due_by="sweep")
    clock.advance(timedelta(seconds=1))
    await make_due(poor, range(1, 9), due_by="webhook")
    for number in [*range(1, 9), *range(100, 120)]:
        dots.add_flow(number)

    await refresh_due(poor, limit=16)
    asked = {request.url.path.rpartition("/")[2] for request in dots.requests}
    await refresh_due(poor, limit=16)

    assert asked == {flow_id_of(number) for number in range(1, 9)}
    assert len(dots.requests) == 8


async def test_flows_beyond_the_budget_stay_due(inputs: AllInputs, dots: MemoryDots, clock: HandClock) -> None:
    """They are refreshed once the bucket has tokens again. Refreshes leave a tenth of it to creations."""
    poor = another_process(inputs, budget=SMALL)
    await make_due(poor, range(1, 12), due_by="webhook")
    for number in range(1, 12):
        dots.add_flow(number, created="2025-01-01T00:00:00")  # Too old to be swept meanwhile.

    first = await refresh_due(poor, limit=20)
    clock.advance(timedelta(seconds=20))
    second = await refresh_due(poor, limit=20)

    assert (first.claimed, second.claimed) == (9, 2)
