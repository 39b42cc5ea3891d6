"""Rows of subscriptions. `subscriber_health` has the health of their receivers.

Locks are taken in the order queue, delivery, subscription, as in the dispatcher.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete as sql_delete
from sqlalchemy import insert, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.feed import event_rows
from app.subscriptions import queue_rows
from app.subscriptions.rules.subscriptions import PausedBy, Subscription
from app.subscriptions.tables import subscriptions

_FIELDS = [subscriptions.c[name] for name in Subscription.__dataclass_fields__]


async def add(connection: AsyncConnection, subscription: Subscription) -> None:
    """Insert a new subscription."""
    values = {name: getattr(subscription, name) for name in Subscription.__dataclass_fields__}
    await connection.execute(insert(subscriptions).values(**{**values, "types": list(subscription.types)}))


async def find(connection: AsyncConnection, subscription_id: UUID, *, lock: bool = False) -> Subscription | None:
    """One subscription, optionally locked against changes. None if unknown."""
    query = select(*_FIELDS).where(subscriptions.c.id == subscription_id)
    if lock:
        # A weaker lock than for deletion, so queues and deliveries can still be created.
        query = query.with_for_update(key_share=True)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _subscription(row)


async def page(connection: AsyncConnection, *, before: tuple[datetime, UUID] | None, limit: int) -> list[Subscription]:
    """Subscriptions older than `before` (creation time and id), newest first."""
    order = (subscriptions.c.created_at, subscriptions.c.id)
    query = select(*_FIELDS).order_by(*(column.desc() for column in order)).limit(limit)
    if before is not None:
        query = query.where(tuple_(*order) < tuple_(*before))
    return [_subscription(row) for row in await connection.execute(query)]


async def change(
    connection: AsyncConnection,
    subscription_id: UUID,
    *,
    url: str,
    types: Sequence[str],
    app: str | None,
    description: str | None,
) -> None:
    """Update the subscription. Existing deliveries stay, and go to the new URL."""
    is_it = subscriptions.c.id == subscription_id
    values = {"url": url, "types": list(types), "app": app, "description": description}
    await connection.execute(update(subscriptions).where(is_it).values(**values))


async def pause(connection: AsyncConnection, subscription_id: UUID, *, by: PausedBy, now: datetime) -> None:
    """Pause the subscription. A paused one keeps its time and reason."""
    is_running = (subscriptions.c.id == subscription_id) & subscriptions.c.paused_at.is_(None)
    await connection.execute(update(subscriptions).where(is_running).values(paused_at=now, paused_by=by))


async def resume(connection: AsyncConnection, subscription_id: UUID, *, now: datetime) -> None:
    """Resume the subscription, make its retries due now, and forget earlier failures."""
    await queue_rows.retry_now(connection, subscription_id, now=now)
    await connection.execute(_RESUME, {"subscription_id": subscription_id, "now": now})


async def retire(connection: AsyncConnection, subscription_id: UUID, *, now: datetime) -> bool:
    """Stop creating and sending deliveries. Returns False if the subscription is unknown.

    Waits for the sequencer, and holds it off until the end of the transaction. Every later pass sees the change, so no
    delivery is created while the subscription is being deleted.
    """
    await event_rows.hold_off_sequencer(connection)
    return (await connection.execute(_RETIRE, {"subscription_id": subscription_id, "now": now})).rowcount == 1


async def delete_queues(connection: AsyncConnection, subscription_id: UUID, *, limit: int) -> int:
    """Delete queues of a retired subscription, which fences off their dispatchers. Returns their number."""
    return (await connection.execute(_DELETE_QUEUES, {"subscription_id": subscription_id, "limit": limit})).rowcount


async def delete_deliveries(connection: AsyncConnection, subscription_id: UUID, *, limit: int) -> int:
    """Delete deliveries of a subscription without queues, and their attempts. Returns the number of deliveries."""
    values = {"subscription_id": subscription_id, "limit": limit}
    return (await connection.execute(_DELETE_DELIVERIES, values)).rowcount


async def delete(connection: AsyncConnection, subscription_id: UUID) -> None:
    """Delete the subscription and its secrets."""
    await connection.execute(sql_delete(subscriptions).where(subscriptions.c.id == subscription_id))


def _subscription(row: Any) -> Subscription:
    fields = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's documented name
    return Subscription(**{**fields, "types": tuple(fields["types"])})


_RESUME = text("""
    UPDATE subscriptions
    SET paused_at = NULL, paused_by = NULL, failing_since = NULL, opened_at = NULL, held_until = NULL, closed_at = :now
    WHERE id = :subscription_id
""")

_RETIRE = text("""
    UPDATE subscriptions
    SET types = '{}', paused_at = COALESCE(paused_at, :now), paused_by = COALESCE(paused_by, 'caller')
    WHERE id = :subscription_id
""")

# Lock in order, so transactions that lock several queues cannot deadlock.
_DELETE_QUEUES = text("""
    DELETE FROM delivery_queues
    WHERE (subscription_id, app, subject) IN (
        SELECT subscription_id, app, subject FROM delivery_queues
        WHERE subscription_id = :subscription_id
        ORDER BY app, subject
        LIMIT :limit
        FOR UPDATE
    )
""")

_DELETE_DELIVERIES = text("""
    DELETE FROM deliveries
    WHERE subscription_id = :subscription_id AND position IN (
        SELECT position FROM deliveries
        WHERE subscription_id = :subscription_id
        ORDER BY position
        LIMIT :limit
        FOR UPDATE
    )
""")
