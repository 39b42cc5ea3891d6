"""Deleting what is no longer needed, a bounded batch at a time.

Each statement takes its batch in the order of an index, so that it looks at nothing but what it deletes. The size of
the batch is written into the statement: Postgres would otherwise plan for a tenth of the table and read all of it.
"""

from datetime import datetime

from sqlalchemy import Integer, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection


async def forget_bodies(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Empty the bodies of webhooks received before then; the ids stay, so that a late repeat is still one."""
    return (await connection.execute(_FORGET_BODIES, {"before": before, "limit": limit})).rowcount


async def delete_webhooks(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete webhooks last received before then."""
    return (await connection.execute(_DELETE_WEBHOOKS, {"before": before, "limit": limit})).rowcount


async def delete_refreshes(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete the lines of refreshes that ended before then."""
    return (await connection.execute(_DELETE_REFRESHES, {"before": before, "limit": limit})).rowcount


async def delete_answers(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete the answers to creations that were given before then."""
    return (await connection.execute(_DELETE_ANSWERS, {"before": before, "limit": limit})).rowcount


async def delete_events(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete the front of the feed as far as it occurred before then, after the deliveries of these events.

    A cursor that points there has expired. Returns the number of events and deliveries; at most `limit` of each. An
    event stays until the last of its deliveries has gone, however many subscriptions there are.
    """
    # Two purges at once would delete the same front.
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

# Only a front without a gap may go: it ends before the first event that is too young.
_FRONT = _batch("""
    SELECT COALESCE(min(position) FILTER (WHERE occurred_at >= :before) - 1, max(position))
    FROM (
        SELECT position, occurred_at FROM events
        WHERE position > (SELECT expired_position FROM feed)
        ORDER BY position
        LIMIT :limit
    ) AS next
""")

# From the very first, not from where the feed has expired: a redelivery may just have made one of an old event.
_DELETE_DELIVERIES = _batch("""
    DELETE FROM deliveries
    WHERE (subscription_id, position) IN (
        SELECT subscription_id, position FROM deliveries
        WHERE position <= :front
        ORDER BY position, subscription_id
        LIMIT :limit FOR UPDATE
    )
""")

# The feed's row says how far the front has gone before the events are gone, in one statement, so that no reader can
# miss the difference.
_DELETE_EVENTS = text("""
    WITH feed_before AS (
        SELECT expired_position FROM feed
    ), moved AS (
        UPDATE feed SET expired_position = :front WHERE expired_position < :front
    )
    DELETE FROM events USING feed_before
    WHERE events.position > feed_before.expired_position AND events.position <= :front
""")
