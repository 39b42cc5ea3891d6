"""Number committed events, and create their deliveries."""

import time
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from app.feed import event_rows
from app.feed.inputs import FeedInputs
from app.storage import database, notifications
from app.storage.scan_floor import ScanFloor

# The most deliveries that one pass creates. Without this bound, a pass with many subscriptions would exceed the
# statement timeout, and so would every repeat of it.
DELIVERIES_LIMIT = 10_000


class Deliveries(Protocol):
    """Creates the deliveries of numbered events. `processes/wiring` passes it in, because subscriptions are above."""

    async def fan_out(self, connection: AsyncConnection) -> int:
        """The most deliveries that one event may need."""

    async def make(self, connection: AsyncConnection, *, positions: range, now: datetime) -> int:
        """Create the deliveries of the events at these positions. Returns their number."""


async def sequence_events(
    inputs: FeedInputs, deliveries: Deliveries, *, limit: int, scan_floor: ScanFloor | None = None
) -> int:
    """Number up to `limit` events in one pass. Returns their number.

    Returns 0 also while another process numbers events. A process that repeats the pass keeps a `scan_floor`. Without
    one, the pass scans every event without a position.
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
