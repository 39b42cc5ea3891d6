"""Positions in the feed found by time."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.feed import event_times
from app.storage import database
from tests.dots.fake_dots import NOW
from tests.feed import feeding
from tests.storage import stored

COUNT = 20


def later(minutes: int) -> datetime:
    """This many minutes after the start."""
    return NOW + timedelta(minutes=minutes)


@pytest.fixture
async def engine(engine: AsyncEngine) -> AsyncEngine:
    """A feed with one event every ten minutes, the first after ten minutes."""
    for number in range(1, COUNT + 1):
        await feeding.append(engine, feeding.step_events(1, flow_id=f"flow-{number}", at=later(10 * number)))
    await feeding.stamp(engine)
    return engine


async def last_before(engine: AsyncEngine, minutes: int) -> int:
    """The last position before this many minutes after the start."""
    async with database.transaction(engine) as connection:
        return await event_times.last_before(connection, later(minutes))


async def position_before(engine: AsyncEngine, minutes: int, *, seconds: int = 0) -> int | None:
    """The position before the first event at or after this time."""
    async with database.transaction(engine) as connection:
        return await event_times.position_before(connection, later(minutes) + timedelta(seconds=seconds))


async def test_position_is_before_the_first_event_of_the_time(engine: AsyncEngine) -> None:
    """Holds before the first event, at each event, between two events and after the last event."""
    exactly = [await position_before(engine, 10 * number) for number in range(COUNT + 2)]
    between = [await position_before(engine, 10 * number, seconds=1) for number in range(COUNT + 1)]

    assert exactly == [0, *range(COUNT), None]
    assert between == [*range(COUNT), None]


async def test_search_begins_at_the_expired_position(engine: AsyncEngine) -> None:
    """Times before the first stored event give the expired position."""
    await stored.execute(engine, "UPDATE feed SET expired_position = 7", "DELETE FROM events WHERE position <= 7")

    assert [await last_before(engine, minutes) for minutes in (0, 75, 85, 95, 900)] == [7, 7, 8, 9, 20]
    assert [await position_before(engine, minutes) for minutes in (0, 80, 90, 201)] == [7, 7, 8, None]


async def test_empty_feed_has_no_event_of_any_time(engine: AsyncEngine) -> None:
    """Holds if all events have expired, and if there never was one."""
    await stored.execute(engine, "UPDATE feed SET expired_position = 20", "DELETE FROM events")
    expired = (await last_before(engine, 50), await position_before(engine, 50))
    await stored.execute(engine, "UPDATE feed SET expired_position = 0")

    assert expired == (20, None)
    assert (await last_before(engine, 50), await position_before(engine, 50)) == (0, None)


async def test_events_a_little_out_of_order_are_found(engine: AsyncEngine) -> None:
    """Clocks differ by seconds. The result is the first position in the feed with a time that late."""
    await stored.execute(
        engine, "UPDATE events SET occurred_at = :at WHERE position = 9", at=later(100) + timedelta(seconds=20)
    )

    assert await position_before(engine, 100) == 8
    assert await position_before(engine, 100, seconds=30) == 10
