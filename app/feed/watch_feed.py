"""Watch the end of the feed with one query for all readers of a process, and wake the readers who wait."""

import asyncio
from collections.abc import Collection

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.access import manage_keys
from app.feed import event_rows, read_feed
from app.feed.cursor import Cursor
from app.feed.event_rows import FeedState
from app.feed.read_feed import FeedPage
from app.storage import database, notifications
from app.storage.notifications import Notifications

log = structlog.get_logger()

POLL_SECONDS = 1.0
# One event wakes every stream of the process. Only a few read at a time, so other requests still get a connection.
READS_AT_ONCE = 3


class FeedWatch:
    """Wakes the readers who wait for events. `run` keeps it up to date."""

    def __init__(self, engine: AsyncEngine, notifications_: Notifications) -> None:
        """Store the inputs. Only `run` queries the feed."""
        self._engine = engine
        self._notifications = notifications_
        self._state: FeedState | None = None
        self._has_looked = asyncio.Event()
        self._turns = asyncio.Semaphore(READS_AT_ONCE)
        self._is_closing = False

    @property
    def is_closing(self) -> bool:
        """Whether streams should end."""
        return self._is_closing

    def close(self) -> None:
        """Wake every reader, so that streams end."""
        self._is_closing = True
        self._has_looked.set()

    async def read(self, *, after: Cursor, types: Collection[str], limit: int) -> FeedPage:
        """Read a page when it is this reader's turn. Raises what `read_feed` raises."""
        async with self._turns:
            return await read_feed.read_feed(self._engine, after=after, types=types, limit=limit)

    async def require_live_key(self, key_id: str) -> None:
        """Check the key of an open stream when it is this reader's turn. Raises KeyRefusedError."""
        async with self._turns:
            await manage_keys.require_live(self._engine, key_id)

    async def wait_beyond(self, cursor: Cursor, *, at_most_seconds: float) -> bool:
        """Wait until the feed has events after the cursor. Returns False if none came in time, or when closing.

        Returns True also if the feed has another epoch: the next read then raises CursorOfOtherEpochError.
        """
        has_waited = False
        try:
            async with asyncio.timeout(at_most_seconds):
                while not self._is_closing and not self._is_behind(cursor, has_waited=has_waited):
                    await self._has_looked.wait()
                    has_waited = True
        except TimeoutError:
            return False
        return not self._is_closing

    async def run(self) -> None:
        """Query the end of the feed at every notification and every second, forever."""
        while True:
            notification = self._notifications.next(notifications.FEED)
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001  # Readers depend on this loop; it tries again in a second.
                log.warning("feed not watched", error=type(error).__name__)
            await notifications.wait(notification, at_most_seconds=POLL_SECONDS)

    async def _look(self) -> None:
        async with database.transaction(self._engine) as connection:
            self._state = await event_rows.state(connection)
        has_looked, self._has_looked = self._has_looked, asyncio.Event()
        has_looked.set()

    def _is_behind(self, cursor: Cursor, *, has_waited: bool) -> bool:
        """Whether a read after the cursor would return events or raise an error.

        The reader may know of a new epoch before this watch does. So another epoch counts only after one more query.
        """
        if self._state is None:
            return False
        return cursor.position < self._state.last_position if cursor.epoch == self._state.epoch else has_waited
