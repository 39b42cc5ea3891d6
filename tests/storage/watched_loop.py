"""Event loops for tests that wait until their connections are closed."""

import asyncio
import os
from typing import Any

import uvloop


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class _Watched:
    """Records the sockets of its connections, because asyncpg returns before a connection is closed."""

    def __init__(self) -> None:
        super().__init__()
        self._sockets: dict[int, tuple[int, int] | None] = {}

    async def create_connection(self, *arguments: Any, **more: Any) -> Any:
        """Connect, and record the socket."""
        transport, protocol = await super().create_connection(*arguments, **more)  # type: ignore[misc]  # of the loop
        descriptor = transport.get_extra_info("socket").fileno()
        self._sockets[descriptor] = _identity(descriptor)
        return transport, protocol

    async def are_closed(self) -> bool:
        """Whether every connection is closed. Its descriptor may have been reused for another file."""
        return all(each is None or _identity(descriptor) != each for descriptor, each in self._sockets.items())


class WatchedLoop(_Watched, asyncio.SelectorEventLoop):
    """The loop of commands."""


class WatchedUvloop(_Watched, uvloop.Loop):  # type: ignore[misc]  # typeshed and uvloop spell some methods apart
    """The loop of api and worker."""
