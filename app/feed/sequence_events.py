"""Give committed events their places in the feed, for good, and make their deliveries to every subscription."""

import time
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from app.feed import event_rows
from app.feed.inputs import FeedInputs
from app.storage import database, notifications
from app.storage.scan_floor import ScanFloor

# One pass makes so many deliveries at most, or else many subscriptions would take it beyond the statement timeout,
# and the next pass would try the same again.
DELIVERIES_LIMIT = 10_000


class Deliveries(Protocol):
    """Makes the deliveries of numbered events, in the transaction that numbers them. Belongs to a higher floor."""

    async def fan_out(self, connection: AsyncConnection) -> int:
        """The number of deliveries that one event may make."""

    async def make(self, connection: AsyncConnection, *, positions: range, now: datetime) -> int:
        """Make the deliveries of the events at these positions. Returns their number."""


async def sequence_events(
    inputs: FeedInputs, deliveries: Deliveries, *, limit: int, scan_floor: ScanFloor | None = None
) -> int:
    """One pass: stamp up to `limit` events; returns how many, 0 also while another process is at it.

    A process that repeats the pass keeps a `scan_floor`; without one the pass looks at everything.
    """
    scan_floor = scan_floor or ScanFloor()
    made = count = 0
    async with database.transaction(inputs.engine) as connection:
        fan_out = await deliveries.fan_out(connection)
        limit = min(limit, max(1, DELIVERIES_LIMIT // max(1, fan_out)))
        began = time.monotonic()
        floor = scan_floor.floor(began)
        stamped = await event_rows.stamp(connection, limit=limit, floor=floor)
        ended = time.monotonic()
        if stamped and stamped.positions:
            count = len(stamped.positions)
            made = await deliveries.make(connection, positions=stamped.positions, now=inputs.clock())
    if stamped:
        is_whole = stamped.looked_at < limit
        scan_floor.looked(floor, reached=stamped.reached, is_whole=is_whole, began=began, now=ended)
    if count:
        inputs.telemetry.sequenced.inc(count)
        inputs.notifications.send(notifications.FEED)
    if made:
        inputs.notifications.send(notifications.DELIVERABLE)
    return count
