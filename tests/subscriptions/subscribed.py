"""Subscriptions and deliveries for tests of storage."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.feed import event_rows
from app.storage import database
from app.subscriptions import delivery_rows, subscription_rows
from app.subscriptions.rules.subscriptions import Subscription
from tests.dots.fake_dots import NOW


def subscription(number: int = 1, **fields: Any) -> Subscription:
    """The subscription of this number to all events, with these fields changed."""
    whole: dict[str, Any] = {
        "id": UUID(int=number, version=4),
        "caller": "shop",
        "description": None,
        "url": "http://127.0.0.1:9/events",
        "types": ("*",),
        "app": None,
        "with_compliance": True,
        "created_at": NOW,
        "paused_at": None,
        "paused_by": None,
        "failing_since": None,
        "opened_at": None,
        "held_until": None,
        "closed_at": None,
    }
    return Subscription(**(whole | fields))


async def add(engine: AsyncEngine, *subscriptions: Subscription) -> None:
    """Insert the subscriptions."""
    async with database.transaction(engine) as connection:
        for each in subscriptions:
            await subscription_rows.add(connection, each)


async def stamp(engine: AsyncEngine) -> None:
    """Number every event, and create its deliveries."""
    async with database.transaction(engine) as connection:
        stamped = await event_rows.stamp(connection, limit=1000)
        if stamped:
            await delivery_rows.make(connection, positions=stamped.positions, now=NOW)
