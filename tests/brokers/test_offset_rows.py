"""Brokers' cursors, beyond what publishing shows of them."""

from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from app.brokers import offset_rows
from app.brokers.offset_rows import BrokerClaim, BrokerState
from app.feed import event_rows
from app.feed.cursor import Cursor
from app.storage import database
from tests.dots.fake_dots import NOW
from tests.feed import feeding
from tests.feed.feeding import step_events

LATER = NOW + timedelta(minutes=1)


async def claim(
    engine: AsyncEngine, broker: str = "memory://broker", *, token: UUID | None = None
) -> BrokerClaim | None:
    """Claim for a minute."""
    async with database.transaction(engine) as connection:
        return await offset_rows.claim(connection, broker, now=NOW, lease_until=LATER, token=token or uuid4())


async def at(engine: AsyncEngine, position: int) -> Cursor:
    """The feed's cursor at this position."""
    async with database.transaction(engine) as connection:
        return Cursor(epoch=(await event_rows.state(connection)).epoch, position=position)


async def test_a_claim_begins_at_the_earliest_and_is_the_only_one(engine: AsyncEngine) -> None:
    """While it is held there is no second; another broker's is another matter."""
    await feeding.feed(engine, step_events(2))

    first, second, other = await claim(engine), await claim(engine), await claim(engine, "memory://other")

    assert first is not None
    assert first.cursor == await at(engine, 0)
    assert second is None
    assert other is not None


async def test_a_write_needs_the_lease(engine: AsyncEngine) -> None:
    """Neither a success nor a failure is kept for whoever has not the token."""
    await feeding.feed(engine, step_events(2))
    await claim(engine)
    stranger = BrokerClaim(broker="memory://broker", token=uuid4(), cursor=await at(engine, 0))

    async with database.transaction(engine) as connection:
        moved = await offset_rows.move(connection, stranger, await at(engine, 2), now=NOW)
        failed = await offset_rows.move_and_fail(connection, stranger, await at(engine, 2), now=NOW, error="OSError")

    assert (moved, failed) == (False, False)


async def test_broker_states_say_how_far_behind_a_broker_is(engine: AsyncEngine) -> None:
    """The lag counts events, also while the broker fails; a success after a failure makes the next failure new."""
    await feeding.feed(engine, step_events(5))
    first = await claim(engine)
    assert first is not None
    async with database.transaction(engine) as connection:
        await offset_rows.move_and_fail(connection, first, await at(engine, 0), now=NOW, error="OSError")
        failing = await offset_rows.broker_states(connection)
    second = await claim(engine)
    assert second is not None
    async with database.transaction(engine) as connection:
        await offset_rows.move_and_fail(connection, second, await at(engine, 2), now=LATER, error="TimeoutError")
        failing_again = await offset_rows.broker_states(connection)

    broker = "memory://broker"
    assert failing == [BrokerState(broker=broker, lag=5, failing_since=NOW, last_error="OSError", published_at=None)]
    assert failing_again == [
        BrokerState(broker=broker, lag=3, failing_since=LATER, last_error="TimeoutError", published_at=LATER)
    ]
