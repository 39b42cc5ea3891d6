"""The latest attempts, which the circuit breaker judges."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage import database
from app.subscriptions import subscriber_health
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.flows.intents import later
from tests.storage import stored
from tests.subscriptions.subscribed import add, stamp, subscription


async def attempt(engine: AsyncEngine, minute: int, *, number: int = 1, error: str | None = "status_500") -> None:
    """Insert an attempt of a subscription, this many minutes after the start."""
    await stored.execute(
        engine,
        "INSERT INTO delivery_attempts (subscription_id, position, attempted_at, error, took_ms) "
        "VALUES (:id, 1, :at, :error, 12)",
        id=subscription(number).id,
        at=later(minute),
        error=error,
    )


async def latest_failed(engine: AsyncEngine, *, since: datetime | None, limit: int = 10) -> list[bool]:
    """The latest attempts of the first subscription."""
    async with database.transaction(engine) as connection:
        return await subscriber_health.latest_failed(connection, subscription().id, since=since, limit=limit)


async def test_latest_attempts_come_last_first(engine: AsyncEngine) -> None:
    """Only attempts of this subscription since `since` are returned, up to the limit."""
    await add(engine, subscription(), subscription(2))
    await feeding.append(engine, step_events(1))
    await stamp(engine)
    for minute, error in enumerate(["status_500", None, "timeout", None]):
        await attempt(engine, minute, error=error)
        await attempt(engine, minute, number=2)

    found = [
        await latest_failed(engine, since=None),
        await latest_failed(engine, since=None, limit=3),
        await latest_failed(engine, since=later(2)),
        await latest_failed(engine, since=later(4)),
    ]

    assert found == [[False, True, False, True], [False, True, False], [False, True], []]
