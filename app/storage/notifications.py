"""NOTIFY and LISTEN, as hints only: whoever waits for one also polls, so that a lost hint costs a moment."""

import asyncio
import contextlib
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

DUE = "dots_gateway_due"
APPENDED = "dots_gateway_appended"
FEED = "dots_gateway_feed"
DELIVERABLE = "dots_gateway_deliverable"

_RECONNECT_SECONDS = 2.0
# How often the connection that listens is asked whether it is still there; nothing else is ever sent on it.
_CHECK_SECONDS = 5.0
_PAUSE_SECONDS = 0.02

log = structlog.get_logger()


class Notifications:
    """Hints between the processes: `send` one, wait for the `next`. `run` carries them until cancelled.

    Behind a transaction pooler nothing can listen, so nothing is sent either: hints stay within the process, and
    everybody polls.
    """

    def __init__(self, engine: AsyncEngine, *, can_listen: bool = True) -> None:
        """Take the engine; nothing is connected before `run`."""
        self._engine = engine
        self._can_listen = can_listen
        self._given: set[str] = set()
        self._is_given = asyncio.Event()
        self._next = {channel: asyncio.Event() for channel in (DUE, APPENDED, FEED, DELIVERABLE)}

    def send(self, channel: str) -> None:
        """Wake who waits on the channel, here at once, elsewhere with the next NOTIFY; never blocks, never fails."""
        self.wake(channel)
        self._given.add(channel)
        self._is_given.set()

    def next(self, channel: str) -> asyncio.Event:
        """What the next hint will set. Take it before looking at the database, so that no hint falls between."""
        return self._next[channel]

    async def run(self) -> None:
        """Send what is given here and pass on what is given elsewhere, for ever."""
        if not self._can_listen:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_forever())
            tasks.create_task(self._listen_forever())

    def wake(self, channel: str) -> None:
        """Wake who waits on the channel in this process only."""
        notification, self._next[channel] = self._next[channel], asyncio.Event()
        notification.set()

    async def _send_forever(self) -> None:
        while True:
            await self._is_given.wait()
            self._is_given.clear()
            channels, self._given = self._given, set()
            try:
                async with self._engine.begin() as connection:
                    for channel in sorted(channels):
                        await connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": channel})
            except Exception as error:  # noqa: BLE001  # A hint is never worth more than the one who gives it.
                log.debug("notification not sent", error=type(error).__name__)
            # A NOTIFY takes a lock on the whole database at commit: at most fifty a second from each process.
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _listen_forever(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001  # Whatever it is, polling goes on, and so does trying.
                log.warning("not listening for notifications, polling only", error=type(error).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        """Listen until the connection is lost."""
        connection = await self._engine.raw_connection()
        driver: Any = connection.driver_connection
        is_lost = asyncio.Event()
        try:
            driver.add_termination_listener(lambda _connection: is_lost.set())
            await driver.roll_back()  # Inside a transaction nothing would be heard.
            for channel in self._next:
                await driver.add_listener(channel, lambda _connection, _pid, name, _payload: self.wake(name))
            while not is_lost.is_set():
                await wait(is_lost, at_most_seconds=_CHECK_SECONDS)
                await driver.check()
        finally:
            # Not handed back to the pool: a connection that listens would go on listening there.
            driver.terminate()
            with contextlib.suppress(SQLAlchemyError):
                connection.invalidate()


async def wait(notification: asyncio.Event, *, at_most_seconds: float) -> None:
    """Return when the hint is given, or when the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_most_seconds):
            await notification.wait()
