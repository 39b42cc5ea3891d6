"""A broker as actions see it: connected when first needed, let go of after any failure, bounded in time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from app.brokers import addressing
from app.brokers.addressing import Letter
from app.errors import BrokerUnavailableError
from app.feed.events import EventRecord

# What the clients beneath are told to give up after; `open` and `publish` may take several such steps.
STEP_SECONDS = 5.0
OPEN_SECONDS = 12.0
PUBLISH_SECONDS = 12.0
CLOSE_SECONDS = 3.0


class Broker(Protocol):
    """Takes events; `name` is its URL without credentials."""

    @property
    def name(self) -> str:
        """What its cursor is kept under."""

    async def open(self) -> None:
        """Connect, if that is not done yet. Raises BrokerUnavailableError."""

    async def publish(self, event: EventRecord) -> None:
        """Return when the broker has said that it keeps the event. Raises BrokerUnavailableError: it may or may not."""

    async def aclose(self) -> None:
        """Let go of the connection; another `publish` would make a new one."""


class Session(Protocol):
    """One connection to a broker, from before it is made until it is gone; what fails in it may raise anything."""

    async def open(self) -> None:
        """Connect, and see to it that there is something to publish to."""

    async def send(self, letter: Letter) -> None:
        """Return when the broker has confirmed the letter; called for several letters at once."""

    async def close(self) -> None:
        """Let go of everything, however far `open` has come."""


class SessionBroker:
    """A broker over sessions: the first failure ends a session, the next event begins another.

    No client reconnects by itself here: what it would send again from its own memory, and when, nobody could say.
    """

    def __init__(self, name: str, new_session: Callable[[], Session]) -> None:
        """Take what makes a session; nothing is connected yet."""
        self.name = name
        self._new_session = new_session
        self._session: Session | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Connect, if that is not done yet. Raises BrokerUnavailableError."""
        await self._opened()

    async def publish(self, event: EventRecord) -> None:
        """Return when the broker has said that it keeps the event. Raises BrokerUnavailableError: it may or may not."""
        letter = addressing.letter(event)
        session = await self._opened()
        await self._attempt(session, session.send(letter), within=PUBLISH_SECONDS)

    async def aclose(self) -> None:
        """Let go of the connection, at once if the broker is there, in bounded time if not."""
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
        # A broken connection may break in any way when it is let go of; there is nothing to be done about it.
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await session.close()


def _is_of_the_client(error: BaseException) -> bool:
    """Whether a cancellation is nobody's wish: clients cancel their own futures when a connection ends."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling()
