"""Know when the feed has grown: one look at the database for all readers of a process."""

import asyncio

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage import database, event_rows, hints
from app.storage.hints import Hints

log = structlog.get_logger()

POLL_SECONDS = 1.0


class FeedWatch:
    """How far the feed reaches, kept fresh by `run`; readers wait for it to pass where they are."""

    def __init__(self, engine: AsyncEngine, hints_: Hints) -> None:
        """Take what is needed; nothing is read before `run`."""
        self._engine = engine
        self._hints = hints_
        self._last_position = 0
        self._has_grown = asyncio.Event()
        self._is_closing = False

    @property
    def is_closing(self) -> bool:
        """Whether readers should say goodbye."""
        return self._is_closing

    def close(self) -> None:
        """Send every waiting reader home."""
        self._is_closing = True
        self._has_grown.set()

    async def wait_beyond(self, position: int, *, at_most_seconds: float) -> bool:
        """Wait until there are events after `position`; False when there are none in time, or when closing."""
        try:
            async with asyncio.timeout(at_most_seconds):
                while self._last_position <= position and not self._is_closing:
                    await self._has_grown.wait()
        except TimeoutError:
            return False
        return not self._is_closing

    async def run(self) -> None:
        """Look at the feed at every hint and every second, for ever."""
        while True:
            hint = self._hints.next(hints.FEED)
            try:
                async with database.transaction(self._engine) as connection:
                    position = (await event_rows.state(connection)).last_position
                self._note(position)
            except Exception as error:  # noqa: BLE001  # Readers wait for this loop; it looks again in a second.
                log.warning("feed not watched", error=type(error).__name__)
            await hints.wait(hint, at_most_seconds=POLL_SECONDS)

    def _note(self, position: int) -> None:
        if position != self._last_position:
            self._last_position = position
            has_grown, self._has_grown = self._has_grown, asyncio.Event()
            has_grown.set()
