"""Subscriptions: kept, found, changed, paused, resumed and deleted; how their receivers are is in `subscriber_health`.

Whoever locks several rows takes lanes first, then deliveries, then the subscription, as the sending loop does.
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
    """Keep a new subscription."""
    values = {name: getattr(subscription, name) for name in Subscription.__dataclass_fields__}
    await connection.execute(insert(subscriptions).values(**{**values, "types": list(subscription.types)}))


async def find(connection: AsyncConnection, subscription_id: UUID, *, lock: bool = False) -> Subscription | None:
    """One subscription, locked against other changes when asked; None when unknown."""
    query = select(*_FIELDS).where(subscriptions.c.id == subscription_id)
    if lock:
        # Not as for a deletion: lanes and deliveries can still be made for it.
        query = query.with_for_update(key_share=True)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _subscription(row)


async def page(connection: AsyncConnection, *, before: tuple[datetime, UUID] | None, limit: int) -> list[Subscription]:
    """The newest subscriptions, older than the one that was made at and is called `before`."""
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
    """Let it be so from now on; deliveries that are there already stay, and go to the new address."""
    is_it = subscriptions.c.id == subscription_id
    values = {"url": url, "types": list(types), "app": app, "description": description}
    await connection.execute(update(subscriptions).where(is_it).values(**values))


async def pause(connection: AsyncConnection, subscription_id: UUID, *, by: PausedBy, now: datetime) -> None:
    """Let its deliveries wait until it is resumed; one that is paused already keeps when and why."""
    is_running = (subscriptions.c.id == subscription_id) & subscriptions.c.paused_at.is_(None)
    await connection.execute(update(subscriptions).where(is_running).values(paused_at=now, paused_by=by))


async def resume(connection: AsyncConnection, subscription_id: UUID, *, now: datetime) -> None:
    """Send what has waited, what waits for another attempt at once too, and judge the subscriber afresh."""
    await queue_rows.retry_now(connection, subscription_id, now=now)
    await connection.execute(_RESUME, {"subscription_id": subscription_id, "now": now})


async def retire(connection: AsyncConnection, subscription_id: UUID, *, now: datetime) -> bool:
    """Make nothing more for it, and send nothing; False when it is unknown.

    Waits for the sequencer and keeps it out until the end of the transaction: every later pass sees that it is over,
    and none has begun before, so that no delivery can be made while the subscription is being deleted.
    """
    await event_rows.hold_off_sequencer(connection)
    return (await connection.execute(_RETIRE, {"subscription_id": subscription_id, "now": now})).rowcount == 1


async def delete_queues(connection: AsyncConnection, subscription_id: UUID, *, limit: int) -> int:
    """Delete lanes of a retired subscription, so that whoever sends for one finds it gone; returns how many."""
    return (await connection.execute(_DELETE_QUEUES, {"subscription_id": subscription_id, "limit": limit})).rowcount


async def delete_deliveries(connection: AsyncConnection, subscription_id: UUID, *, limit: int) -> int:
    """Delete deliveries of a subscription without lanes, and their attempts; returns how many."""
    values = {"subscription_id": subscription_id, "limit": limit}
    return (await connection.execute(_DELETE_DELIVERIES, values)).rowcount


async def delete(connection: AsyncConnection, subscription_id: UUID) -> None:
    """Delete what is left of it: itself and its secrets."""
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

# Locked in order, so that this and another who locks several lanes cannot deadlock.
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
