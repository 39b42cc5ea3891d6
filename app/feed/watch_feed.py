"""Follow the feed: one look at the database for all readers of a process, who are served from memory."""

import asyncio
from collections.abc import Collection

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.access.watch_keys import KeyWatch
from app.feed import event_rows, feed_tail, read_feed
from app.feed.cursor import Cursor
from app.feed.event_rows import FeedState
from app.feed.feed_tail import FeedTail, PlacedPage
from app.storage import database, hints
from app.storage.hints import Hints

log = structlog.get_logger()

POLL_SECONDS = 1.0
# When the looks have failed for so long, readers ask the database themselves, and hear from it what is wrong.
STALE_SECONDS = 5.0
# Readers who are behind take turns, so that however many come back at once, everybody else finds a connection.
CATCH_UP_AT_ONCE = 3


class FeedWatch:
    """The end of the feed, kept fresh by `run`; readers read on from it, and wait for it to pass where they are."""

    def __init__(self, engine: AsyncEngine, hints_: Hints) -> None:
        """Take what is needed; nothing is read before `run`."""
        self.keys = KeyWatch(engine)
        self._engine = engine
        self._hints = hints_
        self._tail: FeedTail | None = None
        self._looked_at = 0.0
        self._has_changed = asyncio.Event()
        self._turns = asyncio.Semaphore(CATCH_UP_AT_ONCE)
        self._is_closing = False

    @property
    def is_closing(self) -> bool:
        """Whether readers should say goodbye."""
        return self._is_closing

    def close(self) -> None:
        """Send every waiting reader home."""
        self._is_closing = True
        self._has_changed.set()

    async def read_on(self, *, after: Cursor, types: Collection[str], limit: int) -> PlacedPage:
        """The next events of these types: from memory, without a connection, or from the database for who is behind.

        What is in memory may be a second behind the database. Raises what `read_feed` raises.
        """
        is_fresh = asyncio.get_running_loop().time() - self._looked_at < STALE_SECONDS
        if self._tail is not None and is_fresh and self._tail.covers(after):
            return self._tail.page(after=after, types=types, limit=limit)
        async with self._turns:
            return await self.read_now(after=after, types=types, limit=limit)

    async def read_now(self, *, after: Cursor, types: Collection[str], limit: int) -> PlacedPage:
        """The same from the database, up to this moment."""
        page = await read_feed.read_feed(self._engine, after=after, types=types, limit=limit)
        placed = feed_tail.placed_in(page.cursor.epoch, page.events)
        return PlacedPage(events=placed, cursor=page.cursor, has_more=page.has_more)

    async def wait_beyond(self, place: Cursor, *, at_most_seconds: float) -> bool:
        """Wait until there are events after `place`; False when there are none in time, or when closing.

        True also when the feed begins a new epoch meanwhile: the place is then none any more.
        """
        before = self._tail
        try:
            async with asyncio.timeout(at_most_seconds):
                while not self._is_closing and not self._is_news(place, before):
                    await self._has_changed.wait()
        except TimeoutError:
            return False
        return not self._is_closing

    async def run(self) -> None:
        """Look at the keys and the feed at every hint and every second, for ever."""
        while True:
            hint = self._hints.next(hints.FEED)
            try:
                # The keys first: what could not be checked for gets nothing new to read.
                await self.keys.look()
                await self._look()
            except Exception as error:  # noqa: BLE001  # Readers wait for this loop; it looks again in a second.
                log.warning("feed not watched", error=type(error).__name__)
            await hints.wait(hint, at_most_seconds=POLL_SECONDS)

    async def _look(self) -> None:
        async with database.transaction(self._engine) as connection:
            state = await event_rows.state(connection)
            known = self._tail or FeedTail(state=_nothing_of(state), events=())
            begin = known.unread_from(state)
            fresh = []
            if begin < state.last_position:
                fresh = await event_rows.between(
                    connection, after=begin, up_to=state.last_position, types=None, limit=feed_tail.LENGTH
                )
        self._looked_at = asyncio.get_running_loop().time()
        if self._tail is None or state != self._tail.state:
            self._tail = known.grown(state, fresh)
            has_changed, self._has_changed = self._has_changed, asyncio.Event()
            has_changed.set()

    def _is_news(self, place: Cursor, before: FeedTail | None) -> bool:
        """Whether there is something to read behind the place, or the feed is another than it was before."""
        tail = self._tail
        if tail is None:
            return False
        return tail.reaches_beyond(place) or (before is not None and tail.state.epoch != before.state.epoch)


def _nothing_of(state: FeedState) -> FeedState:
    """The state of a feed of which nothing has been looked at."""
    return FeedState(epoch=state.epoch, last_position=0, expired_position=0)
