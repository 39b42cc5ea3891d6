"""Deletes expired rows, a bounded batch at a time.

Each statement takes its batch in the order of an index, so that it reads only the rows that it deletes. The batch size
is a literal in the statement. With a parameter, Postgres would plan for a tenth of the table and read all of it.
"""

from datetime import datetime

from sqlalchemy import Integer, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection


async def forget_bodies(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Clear the bodies of webhooks received before then. The ids stay, so that a late repeat is still recognized."""
    return (await connection.execute(_FORGET_BODIES, {"before": before, "limit": limit})).rowcount


async def delete_webhooks(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete webhooks last received before then."""
    return (await connection.execute(_DELETE_WEBHOOKS, {"before": before, "limit": limit})).rowcount


async def delete_refreshes(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete the records of refreshes that ended before then."""
    return (await connection.execute(_DELETE_REFRESHES, {"before": before, "limit": limit})).rowcount


async def delete_answers(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete the stored answers to creations that are older than that."""
    return (await connection.execute(_DELETE_ANSWERS, {"before": before, "limit": limit})).rowcount


async def delete_events(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete the oldest events of the feed that occurred before then, and first their deliveries.

    Cursors that point before the remaining events expire. Returns the number of deleted events and deliveries, at most
    `limit` of each. An event stays until all of its deliveries are deleted.
    """
    # Without the lock, two concurrent purges would delete the same events.
    await connection.execute(_LOCK_FEED)
    front = await connection.scalar(_FRONT, {"before": before, "limit": limit})
    if front is None:
        return 0
    deliveries = (await connection.execute(_DELETE_DELIVERIES, {"front": front, "limit": limit})).rowcount
    if deliveries == limit:
        return deliveries
    return deliveries + (await connection.execute(_DELETE_EVENTS, {"front": front})).rowcount


def _batch(statement: str) -> TextClause:
    return text(statement).bindparams(bindparam("limit", type_=Integer(), literal_execute=True))


_FORGET_BODIES = _batch("""
    UPDATE webhooks SET body = NULL
    WHERE (app, message_id) IN (
        SELECT app, message_id FROM webhooks
        WHERE received_at < :before AND body IS NOT NULL
        ORDER BY received_at
        LIMIT :limit FOR UPDATE SKIP LOCKED
    )
""")

_DELETE_WEBHOOKS = _batch("""
    DELETE FROM webhooks
    WHERE (app, message_id) IN (
        SELECT app, message_id FROM webhooks
        WHERE received_at < :before AND last_received_at < :before
        ORDER BY received_at
        LIMIT :limit FOR UPDATE SKIP LOCKED
    )
""")

_DELETE_REFRESHES = _batch("""
    DELETE FROM refreshes
    WHERE id IN (
        SELECT id FROM refreshes WHERE ended_at < :before ORDER BY ended_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
""")

_DELETE_ANSWERS = _batch("""
    DELETE FROM answers
    WHERE flow_ref IN (
        SELECT flow_ref FROM answers
        WHERE answered_at < :before
        ORDER BY answered_at
        LIMIT :limit FOR UPDATE SKIP LOCKED
    )
""")

_LOCK_FEED = text("SELECT 1 FROM feed FOR UPDATE")

# The deleted events must have no gap, so the batch ends before the first event that is too young.
_FRONT = _batch("""
    SELECT COALESCE(min(position) FILTER (WHERE occurred_at >= :before) - 1, max(position))
    FROM (
        SELECT position, occurred_at FROM events
        WHERE position > (SELECT expired_position FROM feed)
        ORDER BY position
        LIMIT :limit
    ) AS next
""")

# Starts at the first delivery, not at `expired_position`: a redelivery may have just created one of an old event.
_DELETE_DELIVERIES = _batch("""
    DELETE FROM deliveries
    WHERE (subscription_id, position) IN (
        SELECT subscription_id, position FROM deliveries
        WHERE position <= :front
        ORDER BY position, subscription_id
        LIMIT :limit FOR UPDATE
    )
""")

# One statement moves `expired_position` and deletes the events, so that no reader sees one without the other.
_DELETE_EVENTS = text("""
    WITH feed_before AS (
        SELECT expired_position FROM feed
    ), moved AS (
        UPDATE feed SET expired_position = :front WHERE expired_position < :front
    )
    DELETE FROM events USING feed_before
    WHERE events.position > feed_before.expired_position AND events.position <= :front
""")
