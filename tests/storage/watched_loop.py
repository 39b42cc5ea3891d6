"""An event loop for tests that have to wait until its connections are closed."""

import asyncio
from asyncio.trsock import TransportSocket
from typing import Any


class WatchedLoop(asyncio.SelectorEventLoop):
    """Knows its connections: those that asyncpg gives up are open for a moment longer, which asyncio warns of."""

    def __init__(self) -> None:
        """Without connections."""
        super().__init__()
        self._sockets: list[TransportSocket] = []

    async def create_connection(self, *arguments: Any, **more: Any) -> Any:
        """Connect as always, and note the connection."""
        transport, protocol = await super().create_connection(*arguments, **more)
        self._sockets.append(transport.get_extra_info("socket"))
        return transport, protocol

    async def are_closed(self) -> bool:
        """Whether every connection is closed."""
        return all(each.fileno() == -1 for each in self._sockets)
