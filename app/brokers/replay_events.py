"""Publish past events again. The broker's own offset does not change."""

from datetime import datetime

from app.brokers import publish_batch
from app.brokers.broker import Broker
from app.errors import BrokerUnavailableError
from app.feed import event_times, read_feed
from app.feed.cursor import Cursor
from app.feed.events import TYPES
from app.storage import database
from app.storage.inputs import StorageInputs

BATCH = 500


async def replay(inputs: StorageInputs, broker: Broker, *, start: Cursor | datetime) -> int:
    """Publish the events after a cursor, or from a time on, up to the current end of the feed. Returns their number.

    Raises CursorOfOtherEpochError, CursorExpiredError, InvalidCursorError, and BrokerUnavailableError, which names
    the cursor to continue from.
    """
    end = await read_feed.latest(inputs.engine)
    cursor = start if isinstance(start, Cursor) else await _cursor_before(inputs, start, end)
    count = 0
    while True:
        page = await read_feed.read_feed(inputs.engine, after=cursor, types=TYPES, limit=BATCH)
        events = [event for event in page.events if event.position is not None and event.position <= end.position]
        outcome = await publish_batch.publish_batch(broker, events, is_over=lambda: False)
        count += outcome.prefix
        if outcome.error is not None:
            reached = events[outcome.prefix - 1].position if outcome.prefix else None
            cursor = Cursor(epoch=end.epoch, position=reached or cursor.position)
            detail = f"{outcome.error.detail} {count} event(s) were published. Continue with --from {cursor}"
            raise BrokerUnavailableError(detail) from outcome.error
        cursor = page.cursor
        if cursor.position >= end.position:
            return count


async def _cursor_before(inputs: StorageInputs, moment: datetime, end: Cursor) -> Cursor:
    async with database.transaction(inputs.engine) as connection:
        position = await event_times.position_before(connection, moment)
    return Cursor(epoch=end.epoch, position=end.position if position is None else position)
