"""Deleting what is no longer needed, a bounded batch at a time."""

from datetime import datetime

from sqlalchemy import text
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


async def delete_events(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete the front of the feed as far as it occurred before then, and what is kept of its deliveries.

    A cursor that points there has expired.
    """
    # In a statement of its own: only the next one's snapshot is sure to see what the sequencer has just stamped, and
    # would not take an event that is young for none at all.
    await connection.execute(_LOCK_FEED)
    count = (await connection.execute(_DELETE_EVENTS, {"before": before, "limit": limit})).rowcount
    if count:
        await connection.execute(_DELETE_DELIVERIES)
    return count


_FORGET_BODIES = text("""
    UPDATE webhooks SET body = NULL
    WHERE (app, message_id) IN (
        SELECT app, message_id FROM webhooks
        WHERE received_at < :before AND body IS NOT NULL
        LIMIT :limit FOR UPDATE SKIP LOCKED
    )
""")

_DELETE_WEBHOOKS = text("""
    DELETE FROM webhooks
    WHERE (app, message_id) IN (
        SELECT app, message_id FROM webhooks
        WHERE received_at < :before AND last_received_at < :before
        LIMIT :limit FOR UPDATE SKIP LOCKED
    )
""")

_DELETE_REFRESHES = text("""
    DELETE FROM refreshes
    WHERE id IN (SELECT id FROM refreshes WHERE ended_at < :before ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED)
""")

_LOCK_FEED = text("SELECT 1 FROM feed FOR UPDATE")

# Only a front without a gap may go: it ends before the first event that is too young. The feed's row says how far
# the front has gone before the events are gone, in one statement, so that no reader can miss the difference.
_DELETE_EVENTS = text("""
    WITH front AS (
        SELECT LEAST(
            expired_position + :limit,
            last_position,
            (SELECT min(position) - 1 FROM events WHERE occurred_at >= :before AND position IS NOT NULL)
        ) AS position
        FROM feed
    ), moved AS (
        UPDATE feed SET expired_position = front.position FROM front WHERE front.position > expired_position
    )
    DELETE FROM events USING front WHERE events.position <= front.position
""")

_DELETE_DELIVERIES = text("DELETE FROM deliveries WHERE position <= (SELECT expired_position FROM feed)")
