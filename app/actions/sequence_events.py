"""Give committed events their places in the feed: dense, for good, in per-subject order."""

from app.actions.tools import Tools
from app.storage import database, event_rows, hints


async def sequence_events(tools: Tools, *, limit: int) -> int:
    """One pass: stamp up to `limit` events; returns how many, 0 also while another process is at it."""
    async with database.transaction(tools.engine) as connection:
        count = await event_rows.stamp(connection, limit=limit)
    if count:
        tools.telemetry.sequenced.inc(count)
        tools.hints.give(hints.FEED)
    return count
