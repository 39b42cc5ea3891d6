"""Read deliveries and their attempts."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import DeliveryNotFoundError, SubscriptionNotFoundError
from app.storage import database
from app.subscriptions import delivery_search, subscription_rows
from app.subscriptions.delivery_search import DeliveryFilter, DeliveryPage, DeliverySummary
from app.subscriptions.rules.deliveries import Attempt

# A delivery has at most ten attempts, and ten more after each redelivery.
ATTEMPTS_LIMIT = 100


@dataclass(frozen=True, kw_only=True)
class DeliveryHistory:
    """A delivery and its latest attempts, oldest first."""

    delivery: DeliverySummary
    attempts: list[Attempt]


async def list_deliveries(
    engine: AsyncEngine, wanted: DeliveryFilter, *, before: int | None, limit: int
) -> DeliveryPage:
    """Read a page of matching deliveries with positions less than `before`, latest first.

    Raises SubscriptionNotFoundError.
    """
    async with database.transaction(engine) as connection:
        if await subscription_rows.find(connection, wanted.subscription_id) is None:
            raise SubscriptionNotFoundError
        return await delivery_search.page(connection, wanted, before=before, limit=limit)


async def read_delivery(engine: AsyncEngine, subscription_id: UUID, event_id: UUID) -> DeliveryHistory:
    """The delivery of one event. Raises SubscriptionNotFoundError, DeliveryNotFoundError."""
    async with database.transaction(engine) as connection:
        found = await delivery_search.find(connection, subscription_id, event_id)
        if found is None and await subscription_rows.find(connection, subscription_id) is None:
            raise SubscriptionNotFoundError
        if found is None:
            raise DeliveryNotFoundError
        tries = await delivery_search.attempts(connection, subscription_id, found.position, limit=ATTEMPTS_LIMIT)
    return DeliveryHistory(delivery=found, attempts=tries)
