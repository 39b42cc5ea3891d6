"""Finding a place in the feed by time: positions and times rise together, so that a search by halves finds it."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.feed.event_rows import LAST_POSITION_SQL

# Clocks of several processes differ, and a transaction takes its time: so far apart may two events be whose
# positions are the other way round.
MARGIN = timedelta(minutes=1)


async def last_before(connection: AsyncConnection, moment: datetime) -> int:
    """The position of the last event kept from before then, give or take MARGIN; before the first one if there is none.

    It costs a few index look-ups, however long the feed is.
    """
    return (await connection.scalar(_LAST_BEFORE, {"moment": moment})) or 0


async def position_before(connection: AsyncConnection, moment: datetime) -> int | None:
    """The position before the first event of this moment or later; None when there is no such event in the feed."""
    low = await last_before(connection, moment - MARGIN)
    position: int | None = await connection.scalar(_FIRST_SINCE, {"moment": moment, "low": low})
    return None if position is None else position - 1


# Positions are dense, so that every middle has an event. At `low` everything is from before, at `high` nothing is.
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
