"""Offsets of brokers, where tests/brokers/test_publish_feed.py does not cover them."""

from datetime import timedelta
from uuid import uuid4

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
BROKER = "memory://broker"


async def claim(engine: AsyncEngine) -> BrokerClaim:
    """Claim the broker for a minute."""
    async with database.transaction(engine) as connection:
        claimed = await offset_rows.claim(connection, BROKER, now=NOW, lease_until=LATER, token=uuid4())
    assert claimed
    return claimed


async def at(engine: AsyncEngine, position: int) -> Cursor:
    """The feed's cursor at this position."""
    async with database.transaction(engine) as connection:
        return Cursor(epoch=(await event_rows.state(connection)).epoch, position=position)


async def test_write_needs_the_lease(engine: AsyncEngine) -> None:
    """A process without the token can save neither a success nor a failure."""
    await feeding.feed(engine, step_events(2))
    await claim(engine)
    stranger = BrokerClaim(broker=BROKER, token=uuid4(), cursor=await at(engine, 0))

    async with database.transaction(engine) as connection:
        moved = await offset_rows.move(connection, stranger, await at(engine, 2), now=NOW)
        failed = await offset_rows.move_and_fail(connection, stranger, await at(engine, 2), now=NOW, error="OSError")

    assert (moved, failed) == (False, False)


async def test_broker_states_have_the_lag_and_the_failure(engine: AsyncEngine) -> None:
    """The lag counts unconfirmed events, also while the broker fails. A failure after progress is a new failure."""
    await feeding.feed(engine, step_events(5))
    first = await claim(engine)
    async with database.transaction(engine) as connection:
        await offset_rows.move_and_fail(connection, first, await at(engine, 0), now=NOW, error="OSError")
        failing = await offset_rows.broker_states(connection)
    second = await claim(engine)
    async with database.transaction(engine) as connection:
        await offset_rows.move_and_fail(connection, second, await at(engine, 2), now=LATER, error="TimeoutError")
        failing_again = await offset_rows.broker_states(connection)

    assert failing == [BrokerState(broker=BROKER, lag=5, failing_since=NOW, last_error="OSError", published_at=None)]
    assert failing_again == [
        BrokerState(broker=BROKER, lag=3, failing_since=LATER, last_error="TimeoutError", published_at=LATER)
    ]
