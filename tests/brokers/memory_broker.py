"""A broker in memory, which fails when it is told to, and takes its time in an order that a test decides."""

import asyncio
from collections.abc import Callable

from app.errors import BrokerUnavailableError
from app.feed.events import EventRecord


class MemoryBroker:
    """Keeps what is published, in the order in which it was confirmed."""

    def __init__(self, name: str = "memory://broker") -> None:
        self.name = name
        self.kept: list[EventRecord] = []
        self.asked: list[EventRecord] = []
        self.fails_at: Callable[[EventRecord], bool] = lambda _event: False
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.held: dict[str, asyncio.Event] = {}
        self.meanwhile: Callable[[EventRecord], object] = lambda _event: None

    async def open(self) -> None:
        """Have nothing to do."""

    async def publish(self, event: EventRecord) -> None:
        """Keep the event, unless it is to fail, when the door is open and its subject is not held any more."""
        self.asked.append(event)
        await self.is_open.wait()
        if event.subject in self.held:
            await self.held[event.subject].wait()
        self.meanwhile(event)
        if self.fails_at(event):
            raise BrokerUnavailableError("It is gone. (ConnectionResetError)")
        self.kept.append(event)

    async def aclose(self) -> None:
        """Have nothing to do."""

    @property
    def positions(self) -> list[int | None]:
        """Where in the feed what was kept comes from."""
        return [event.position for event in self.kept]

    def of(self, subject: str) -> list[int]:
        """The sequence numbers of a subject in the order of their first confirmation."""
        return list(dict.fromkeys(event.sequence for event in self.kept if event.subject == subject))
