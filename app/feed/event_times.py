"""Find a position in the feed by time. Times rise with positions, so a binary search finds it."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.feed.event_rows import LAST_POSITION_SQL

# Times can be out of order by at most this much, because clocks differ between processes and transactions take time.
MARGIN = timedelta(minutes=1)


async def last_before(connection: AsyncConnection, moment: datetime) -> int:
    """The position of the last stored event before `moment`, within MARGIN. Before the first event if there is none.

    Takes a logarithmic number of index look-ups.
    """
    return (await connection.scalar(_LAST_BEFORE, {"moment": moment})) or 0


async def position_before(connection: AsyncConnection, moment: datetime) -> int | None:
    """The position before the first event at or after `moment`. None if the feed has no such event."""
    low = await last_before(connection, moment - MARGIN)
    position: int | None = await connection.scalar(_FIRST_SINCE, {"moment": moment, "low": low})
    return None if position is None else position - 1


# Positions are dense, so there is an event at every middle. Events up to `low` are from before `moment`, events
# from `high` on are not.
_LAST_BEFORE = text(f"""
    WITH RECURSIVE search AS (
        SELECT expired_position AS low, {LAST_POSITION_SQL} + 1 AS high FROM feed
        UNION ALL
        SELECT CASE WHEN event.occurred_at < :moment THEN event.position ELSE search.low END,
            CASE WHEN event.occurred_at < :moment THEN search.high ELSE event.position END
        FROM search
        CROSS JOIN LATERAL (
            SELECT position, occurred_at FROM events WHERE position = (search.low + search.high) / 2
        ) AS event
        WHERE search.high - search.low > 1
    )
    SELECT low FROM search ORDER BY high - low LIMIT 1
""")  # noqa: S608  # no input in it

_FIRST_SINCE = text("""
    SELECT position FROM events
    WHERE position > :low AND occurred_at >= :moment
    ORDER BY position
    LIMIT 1
""")
