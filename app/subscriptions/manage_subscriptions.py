"""Create, read, change, pause, resume and delete subscriptions."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import InvalidFieldsError, SubscriptionNotFoundError
from app.storage import database, notifications
from app.subscriptions import manage_secrets, subscription_rows
from app.subscriptions.inputs import SubscriptionInputs
from app.subscriptions.rules import subscriptions
from app.subscriptions.rules.subscriptions import Subscription, SubscriptionChange, SubscriptionRequest

# The most queues or deliveries deleted in one transaction, to keep it short.
DELETED_AT_ONCE = 10_000


@dataclass(frozen=True, kw_only=True)
class NewSubscription:
    """A new subscription and its secret, which is readable only here."""

    subscription: Subscription
    secret: str


async def create_subscription(
    inputs: SubscriptionInputs, request: SubscriptionRequest, *, caller: str
) -> NewSubscription:
    """Create a subscription. It gets the events that are numbered from now on.

    Raises EncryptionUnavailableError, InvalidFieldsError, UnknownAppError, DestinationRefusedError.
    """
    manage_secrets.required_cipher(inputs)
    subscription = Subscription(
        id=inputs.new_uuid(),
        caller=caller,
        description=request.description,
        url=request.url,
        types=tuple(dict.fromkeys(request.types)),
        app=request.app,
        with_compliance=request.with_compliance,
        created_at=inputs.clock(),
        paused_at=None,
        paused_by=None,
        failing_since=None,
        opened_at=None,
        held_until=None,
        closed_at=None,
    )
    _check(inputs, subscription)
    async with database.transaction(inputs.engine) as connection:
        await subscription_rows.add(connection, subscription)
        secret = await manage_secrets.add_secret(connection, inputs, subscription.id)
    return NewSubscription(subscription=subscription, secret=secret)


async def list_subscriptions(
    engine: AsyncEngine, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[Subscription]:
    """Subscriptions older than `before` (creation time and id), newest first."""
    async with database.transaction(engine) as connection:
        return await subscription_rows.page(connection, before=before, limit=limit)


async def read_subscription(engine: AsyncEngine, subscription_id: UUID) -> Subscription:
    """One subscription. Raises SubscriptionNotFoundError."""
    async with database.transaction(engine) as connection:
        return await _find(connection, subscription_id)


async def change_subscription(
    inputs: SubscriptionInputs, subscription_id: UUID, change: SubscriptionChange
) -> Subscription:
    """Change a subscription. Pending deliveries go to the new URL.

    Raises SubscriptionNotFoundError, InvalidFieldsError, UnknownAppError, DestinationRefusedError.
    """
    async with database.transaction(inputs.engine) as connection:
        before = await _find(connection, subscription_id, lock=True)
        changed = dataclasses.replace(before, **change)
        changed = dataclasses.replace(changed, types=tuple(dict.fromkeys(changed.types)))
        _check(inputs, changed)
        await subscription_rows.change(
            connection,
            subscription_id,
            url=changed.url,
            types=changed.types,
            app=changed.app,
            description=changed.description,
        )
    return changed


async def pause_subscription(inputs: SubscriptionInputs, subscription_id: UUID) -> Subscription:
    """Stop sending. Deliveries are still created. A paused subscription stays unchanged.

    Raises SubscriptionNotFoundError.
    """
    async with database.transaction(inputs.engine) as connection:
        await subscription_rows.pause(connection, subscription_id, by="caller", now=inputs.clock())
        return await _find(connection, subscription_id)


async def resume_subscription(inputs: SubscriptionInputs, subscription_id: UUID) -> Subscription:
    """Send the pending deliveries in order, and forget earlier failures. Raises SubscriptionNotFoundError."""
    async with database.transaction(inputs.engine) as connection:
        await subscription_rows.resume(connection, subscription_id, now=inputs.clock())
        subscription = await _find(connection, subscription_id)
    inputs.notifications.send(notifications.DELIVERABLE)
    return subscription


async def delete_subscription(inputs: SubscriptionInputs, subscription_id: UUID) -> None:
    """Stop sending, and delete the subscription with all its deliveries. Raises SubscriptionNotFoundError.

    There may be millions of deliveries, so they are deleted in batches. If the process stops halfway, the subscription
    still exists, without types. Delete it again to finish.
    """
    async with database.transaction(inputs.engine) as connection:
        if not await subscription_rows.retire(connection, subscription_id, now=inputs.clock()):
            raise SubscriptionNotFoundError
    for delete_some in (subscription_rows.delete_queues, subscription_rows.delete_deliveries):
        deleted = DELETED_AT_ONCE
        while deleted == DELETED_AT_ONCE:
            async with database.transaction(inputs.engine) as connection:
                deleted = await delete_some(connection, subscription_id, limit=DELETED_AT_ONCE)
    async with database.transaction(inputs.engine) as connection:
        await subscription_rows.delete(connection, subscription_id)


def _check(inputs: SubscriptionInputs, subscription: Subscription) -> None:
    problems = subscriptions.check_types(subscription.types, with_compliance=subscription.with_compliance)
    if problems:
        raise InvalidFieldsError(problems)
    if subscription.app is not None:
        inputs.clients.of(subscription.app)
    inputs.destinations.check_url(subscription.url)


async def _find(connection: AsyncConnection, subscription_id: UUID, *, lock: bool = False) -> Subscription:
    subscription = await subscription_rows.find(connection, subscription_id, lock=lock)
    if subscription is None:
        raise SubscriptionNotFoundError
    return subscription
