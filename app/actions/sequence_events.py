"""Give committed events their places in the feed, for good, and make their deliveries to every subscription."""

from app.actions.tools import Tools
from app.storage import database, delivery_rows, event_rows, hints


async def sequence_events(tools: Tools, *, limit: int) -> int:
    """One pass: stamp up to `limit` events; returns how many, 0 also while another process is at it."""
    made = 0
    async with database.transaction(tools.engine) as connection:
        stamped = await event_rows.stamp(connection, limit=limit)
        count = len(stamped.positions) if stamped else 0
        if stamped and count:
            made = await delivery_rows.make(connection, positions=stamped.positions, now=tools.clock())
    if count:
        tools.telemetry.sequenced.inc(count)
        tools.hints.give(hints.FEED)
    if made:
        tools.hints.give(hints.DELIVERABLE)
    return count
