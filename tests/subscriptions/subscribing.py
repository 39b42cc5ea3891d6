"""Create subscriptions, and run passes of the sequencer and the dispatcher until nothing is due."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text

from app.feed import sequence_events
from app.subscriptions import delivery_rows, manage_subscriptions
from app.subscriptions.deliver_due import Dispatcher
from app.subscriptions.manage_subscriptions import NewSubscription
from app.subscriptions.rules.subscriptions import SubscriptionRequest
from tests.all_inputs import AllInputs


async def subscribe(
    inputs: AllInputs, url: str, types: Sequence[str] = ("*",), *, with_compliance: bool = False, app: str | None = None
) -> NewSubscription:
    """Create a subscription, by default to all events."""
    request = SubscriptionRequest(url=url, types=types, with_compliance=with_compliance, app=app)
    return await manage_subscriptions.create_subscription(inputs, request, caller="tests")


async def sequence(inputs: AllInputs) -> None:
    """Number every event, and create its deliveries."""
    while await sequence_events.sequence_events(inputs, delivery_rows, limit=1000):
        pass


@asynccontextmanager
async def dispatchers(inputs: AllInputs, *, at_once: int = 8, in_flight: int = 64) -> AsyncIterator[Dispatcher]:
    """A dispatcher. At the end, all its deliveries have ended."""
    async with asyncio.TaskGroup() as tasks:
        yield Dispatcher(inputs, tasks, in_flight=in_flight, at_once=at_once)


async def deliver(inputs: AllInputs, *, at_once: int = 8) -> None:
    """Send all due deliveries, and those that then become due."""
    begun = 1
    while begun:
        async with dispatchers(inputs, at_once=at_once) as dispatcher:
            begun = await dispatcher.deliver_due()


async def rows(inputs: AllInputs, statement: str) -> list[dict[str, Any]]:
    """The rows that a statement returns."""
    async with inputs.engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(text(statement))).mappings()]


async def deliveries(inputs: AllInputs) -> list[tuple[int, str, int, str | None]]:
    """Position, state, failed attempts and last error of every delivery, in feed order."""
    found = await rows(inputs, "SELECT position, state, attempts, last_error FROM deliveries ORDER BY position")
    return [(row["position"], row["state"], row["attempts"], row["last_error"]) for row in found]
