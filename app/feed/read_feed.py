"""Read a page of the feed after a cursor."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import CursorExpiredError, CursorOfOtherEpochError, InvalidCursorError
from app.feed import event_rows
from app.feed.cursor import Cursor
from app.feed.event_rows import FeedState
from app.feed.events import EventRecord
from app.storage import database

# The most positions that one page searches. Without this bound, a filter that matches few events would read the
# whole feed at once.
SCAN_LIMIT = 10_000


@dataclass(frozen=True, kw_only=True)
class FeedPage:
    """Events in feed order. `cursor` is after every event searched, matching or not."""

    events: list[EventRecord]
    cursor: Cursor
    has_more: bool


async def earliest(engine: AsyncEngine) -> Cursor:
    """The cursor before the first stored event."""
    async with database.transaction(engine) as connection:
        state = await event_rows.state(connection)
    return Cursor(epoch=state.epoch, position=state.expired_position)


async def latest(engine: AsyncEngine) -> Cursor:
    """The cursor after the last event."""
    async with database.transaction(engine) as connection:
        state = await event_rows.state(connection)
    return Cursor(epoch=state.epoch, position=state.last_position)


async def read_feed(engine: AsyncEngine, *, after: Cursor, types: Collection[str], limit: int) -> FeedPage:
    """Read up to `limit` events of these types after the cursor.

    Raises CursorOfOtherEpochError, CursorExpiredError, InvalidCursorError (it is ahead of the feed).
    """
    async with database.transaction(engine) as connection:
        state = await event_rows.state(connection)
        _check(after, state)
        up_to = min(state.last_position, after.position + SCAN_LIMIT)
        found = await event_rows.between(connection, after=after.position, up_to=up_to, types=types, limit=limit)
        # Check again: a purge between the two statements may have deleted the first events after the cursor.
        _check(after, await event_rows.state(connection))
    if len(found) == limit:
        up_to = found[-1].position or up_to
    return FeedPage(
        events=found,
        cursor=Cursor(epoch=state.epoch, position=up_to),
        has_more=up_to < state.last_position,
    )


def _check(after: Cursor, state: FeedState) -> None:
    if after.epoch != state.epoch:
        raise CursorOfOtherEpochError
    if after.position < state.expired_position:
        raise CursorExpiredError
    if after.position > state.last_position:
        raise InvalidCursorError
