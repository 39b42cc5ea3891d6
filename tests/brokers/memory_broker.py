"""A fake broker in memory. A test decides which events fail and which have to wait."""

import asyncio
from collections.abc import Callable

from app.errors import BrokerUnavailableError
from app.feed.events import EventRecord


class MemoryBroker:
    """Keeps events in the order of their confirmation."""

    def __init__(self, name: str = "memory://broker") -> None:
        self.name = name
        self.confirmed: list[EventRecord] = []
        self.attempted: list[EventRecord] = []
        self.fails_at: Callable[[EventRecord], bool] = lambda _event: False
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.held: dict[str, asyncio.Event] = {}
        self.before_confirming: Callable[[EventRecord], object] = lambda _event: None

    async def open(self) -> None:
        """Do nothing."""

    async def publish(self, event: EventRecord) -> None:
        """Wait until the broker is open and the subject is not held. Then fail or confirm."""
        self.attempted.append(event)
        await self.is_open.wait()
        if event.subject in self.held:
            await self.held[event.subject].wait()
        self.before_confirming(event)
        if self.fails_at(event):
            raise BrokerUnavailableError("The broker is gone. (ConnectionResetError)")
        self.confirmed.append(event)

    async def aclose(self) -> None:
        """Do nothing."""

    @property
    def positions(self) -> list[int | None]:
        """The feed positions of the confirmed events."""
        return [event.position for event in self.confirmed]

    def sequences_of(self, subject: str) -> list[int]:
        """The sequence numbers of a subject, in the order of first confirmation."""
        return list(dict.fromkeys(event.sequence for event in self.confirmed if event.subject == subject))
