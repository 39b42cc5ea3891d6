"""Notifications between processes over NOTIFY and LISTEN. Receivers also poll, so a lost one only costs some time."""

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
# How often to check the listening connection, on which nothing else is sent.
_CHECK_SECONDS = 5.0
_PAUSE_SECONDS = 0.02

log = structlog.get_logger()


class Notifications:
    """Sends notifications with `send`, and receives them with `next`. `run` exchanges them with other processes.

    Through a transaction pooler nothing can listen. Then notifications stay within the process, and every loop polls.
    """

    def __init__(self, engine: AsyncEngine, *, can_listen: bool = True) -> None:
        """Store the engine; `run` opens the connections."""
        self._engine = engine
        self._can_listen = can_listen
        self._unsent: set[str] = set()
        self._has_unsent = asyncio.Event()
        self._next = {channel: asyncio.Event() for channel in (DUE, APPENDED, FEED, DELIVERABLE)}

    def send(self, channel: str) -> None:
        """Wake the waiting tasks of this process immediately, and those of other processes with the next NOTIFY.

        Never blocks and never fails.
        """
        self.wake(channel)
        self._unsent.add(channel)
        self._has_unsent.set()

    def next(self, channel: str) -> asyncio.Event:
        """The event that the next notification sets. Get it before you read the database, or you may miss one."""
        return self._next[channel]

    async def run(self) -> None:
        """Send the notifications of this process and receive those of others, until cancelled."""
        if not self._can_listen:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_forever())
            tasks.create_task(self._listen_forever())

    def wake(self, channel: str) -> None:
        """Wake the tasks of this process that wait on the channel."""
        notification, self._next[channel] = self._next[channel], asyncio.Event()
        notification.set()

    async def _send_forever(self) -> None:
        while True:
            await self._has_unsent.wait()
            self._has_unsent.clear()
            channels, self._unsent = self._unsent, set()
            try:
                async with self._engine.begin() as connection:
                    for channel in sorted(channels):
                        await connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": channel})
            except Exception as error:  # noqa: BLE001  # A lost notification must not stop the loop.
                log.debug("notification not sent", error=type(error).__name__)
            # A NOTIFY locks the whole database at commit, so each process sends at most fifty a second.
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _listen_forever(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001  # The loops poll meanwhile, and this loop tries again.
                log.warning("not listening for notifications, polling only", error=type(error).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        """Listen until the connection is lost."""
        connection = await self._engine.raw_connection()
        driver: Any = connection.driver_connection
        is_lost = asyncio.Event()
        try:
            driver.add_termination_listener(lambda _connection: is_lost.set())
            await driver.roll_back()  # Postgres delivers no notifications inside a transaction.
            for channel in self._next:
                await driver.add_listener(channel, lambda _connection, _pid, name, _payload: self.wake(name))
            while not is_lost.is_set():
                await wait(is_lost, at_most_seconds=_CHECK_SECONDS)
                await driver.check()
        finally:
            # Not returned to the pool, where it would go on listening.
            driver.terminate()
            with contextlib.suppress(SQLAlchemyError):
                connection.invalidate()


async def wait(notification: asyncio.Event, *, at_most_seconds: float) -> None:
    """Return when the notification arrives, or when the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_most_seconds):
            await notification.wait()
