"""A broker connects on first use, drops its connection after any failure, and never hangs."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from app.brokers import addressing
from app.brokers.addressing import Message
from app.errors import BrokerUnavailableError
from app.feed.events import EventRecord

# The time-out of one step of a client. `open` and `publish` may take several steps.
STEP_SECONDS = 5.0
OPEN_SECONDS = 12.0
PUBLISH_SECONDS = 12.0
CLOSE_SECONDS = 3.0


class Broker(Protocol):
    """Publishes events."""

    @property
    def name(self) -> str:
        """Its URL without credentials. It identifies the broker's offset."""

    async def open(self) -> None:
        """Connect unless connected. Raises BrokerUnavailableError."""

    async def publish(self, event: EventRecord) -> None:
        """Return once the broker has confirmed the event.

        Raises BrokerUnavailableError. The broker may have stored the event all the same.
        """

    async def aclose(self) -> None:
        """Close the connection. Another `publish` opens a new one."""


class Session(Protocol):
    """One connection to a broker, used once. Its methods may raise anything."""

    async def open(self) -> None:
        """Connect, and create the streams or exchanges to publish to if they are missing."""

    async def send(self, message: Message) -> None:
        """Return once the broker has confirmed the message. Calls run concurrently."""

    async def close(self) -> None:
        """Release everything, also after an `open` that failed halfway."""


class SessionBroker:
    """A broker that uses one session at a time. The first failure ends it, and the next event starts another.

    The clients never reconnect by themselves, because they would then resend messages from their own memory.
    """

    def __init__(self, name: str, new_session: Callable[[], Session]) -> None:
        """Store the factory of sessions. Nothing is connected yet."""
        self.name = name
        self._new_session = new_session
        self._session: Session | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Connect unless connected. Raises BrokerUnavailableError."""
        await self._opened()

    async def publish(self, event: EventRecord) -> None:
        """Return once the broker has confirmed the event.

        Raises BrokerUnavailableError. The broker may have stored the event all the same.
        """
        message = addressing.message(event)
        session = await self._opened()
        await self._attempt(session, session.send(message), within=PUBLISH_SECONDS)

    async def aclose(self) -> None:
        """Close the connection in bounded time, also if the broker is gone."""
        async with self._opening:
            if self._session is not None:
                await self._end(self._session)

    async def _opened(self) -> Session:
        async with self._opening:
            if self._session is None:
                session = self._new_session()
                await self._attempt(session, session.open(), within=OPEN_SECONDS)
                self._session = session
            return self._session

    async def _attempt(self, session: Session, work: Awaitable[None], *, within: float) -> None:
        """Await the work, and end the session if it fails or times out. Raises BrokerUnavailableError.

        The error names the class of the client's error. It never quotes its text, which may hold the password.
        """
        try:
            async with asyncio.timeout(within):
                await work
        except BaseException as error:
            await self._end(session)
            if isinstance(error, BrokerUnavailableError):
                raise
            if not isinstance(error, Exception) and not _is_client_cancellation(error):
                raise
            raise BrokerUnavailableError(f"{BrokerUnavailableError.__doc__} ({type(error).__name__})") from error

    async def _end(self, session: Session) -> None:
        if self._session is session:
            self._session = None
        # Closing a broken connection may raise anything. The connection is unusable either way.
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await session.close()


def _is_client_cancellation(error: BaseException) -> bool:
    """Whether the client raised this cancellation. Clients cancel their own futures when a connection ends."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling()
