"""A broker as actions see it: it connects on first use, drops the connection after any failure, and never hangs."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from app.brokers import addressing
from app.brokers.addressing import Message
from app.errors import BrokerUnavailableError
from app.feed.events import EventRecord

# The time-out of a client's single steps; `open` and `publish` may take several.
STEP_SECONDS = 5.0
OPEN_SECONDS = 12.0
PUBLISH_SECONDS = 12.0
CLOSE_SECONDS = 3.0


class Broker(Protocol):
    """Takes events."""

    @property
    def name(self) -> str:
        """Its URL without credentials, the key of its cursor."""

    async def open(self) -> None:
        """Connect unless connected. Raises BrokerUnavailableError."""

    async def publish(self, event: EventRecord) -> None:
        """Return once the broker has confirmed the event. Raises BrokerUnavailableError; it may still have it."""

    async def aclose(self) -> None:
        """Close the connection; another `publish` would open a new one."""


class Session(Protocol):
    """One connection to a broker, used once. Its methods may raise anything."""

    async def open(self) -> None:
        """Connect, and make sure that there is something to publish to."""

    async def send(self, message: Message) -> None:
        """Return once the broker has confirmed the message. Several calls run at the same time."""

    async def close(self) -> None:
        """Release everything, however far `open` has come."""


class SessionBroker:
    """A broker over sessions: the first failure ends a session, and the next event starts another.

    No client reconnects by itself: we could not tell what it sends again from its own memory, or when.
    """

    def __init__(self, name: str, new_session: Callable[[], Session]) -> None:
        """Take a factory of sessions; nothing is connected yet."""
        self.name = name
        self._new_session = new_session
        self._session: Session | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Connect unless connected. Raises BrokerUnavailableError."""
        await self._opened()

    async def publish(self, event: EventRecord) -> None:
        """Return once the broker has confirmed the event. Raises BrokerUnavailableError; it may still have it."""
        message = addressing.message(event)
        session = await self._opened()
        await self._attempt(session, session.send(message), within=PUBLISH_SECONDS)

    async def aclose(self) -> None:
        """Close the connection, at once if the broker is there, in bounded time if not."""
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
        """Do the work in time, or end the session. Raises BrokerUnavailableError.

        It names the class of a client's error but never quotes the error, whose text may hold the URL's password.
        """
        try:
            async with asyncio.timeout(within):
                await work
        except BaseException as error:
            await self._end(session)
            if isinstance(error, BrokerUnavailableError):
                raise
            if not isinstance(error, Exception) and not _is_of_the_client(error):
                raise
            raise BrokerUnavailableError(f"{BrokerUnavailableError.__doc__} ({type(error).__name__})") from error

    async def _end(self, session: Session) -> None:
        if self._session is session:
            self._session = None
        # A broken connection may raise anything when it is closed, and nothing can be done about it.
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await session.close()


def _is_of_the_client(error: BaseException) -> bool:
    """Whether a client made this cancellation: clients cancel their own futures when a connection ends."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling()
