"""Event loops for tests that have to wait until their connections are closed."""

import asyncio
import os
from typing import Any

import uvloop


class _Watch:
    """The sockets of a loop's connections: asyncpg gives a connection up a moment before it is closed."""

    def __init__(self) -> None:
        self._sockets: dict[int, tuple[int, int] | None] = {}

    def add(self, transport: Any) -> None:
        """Note a new connection."""
        descriptor = transport.get_extra_info("socket").fileno()
        self._sockets[descriptor] = _identity(descriptor)

    def are_closed(self) -> bool:
        """Whether every connection is closed. Its descriptor may stand for another file by now."""
        return all(each is None or _identity(descriptor) != each for descriptor, each in self._sockets.items())


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class WatchedLoop(asyncio.SelectorEventLoop):
    """The loop of commands; knows its connections."""

    def __init__(self) -> None:
        """Without connections."""
        super().__init__()
        self._watch = _Watch()

    async def create_connection(self, *arguments: Any, **more: Any) -> Any:
        """Connect as always, and note the connection."""
        transport, protocol = await super().create_connection(*arguments, **more)
        self._watch.add(transport)
        return transport, protocol

    async def are_closed(self) -> bool:
        """Whether every connection is closed."""
        return self._watch.are_closed()


class WatchedUvloop(uvloop.Loop):
    """The loop of api and worker; knows its connections."""

    def __init__(self) -> None:
        """Without connections."""
        super().__init__()
        self._watch = _Watch()

    async def create_connection(self, *arguments: Any, **more: Any) -> Any:
        """Connect as always, and note the connection."""
        transport, protocol = await super().create_connection(*arguments, **more)
        self._watch.add(transport)
        return transport, protocol

    async def are_closed(self) -> bool:
        """Whether every connection is closed."""
        return self._watch.are_closed()
