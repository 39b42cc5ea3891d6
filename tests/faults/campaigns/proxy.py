"""A TCP proxy with a fixed address that injects faults: cut, delay, slice, half-open, silence.

It sleeps to simulate a slow network.
"""

import asyncio
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

CHUNK_BYTES = 65536


@dataclass(frozen=True, kw_only=True)
class NetworkFaults:
    """The state of the network. `delay_seconds` and `slice_bytes` apply to each piece, both ways.

    `is_half_open`: data is dropped silently, as behind a firewall that has forgotten a connection.
    `is_refusing`: new connections are closed at once.
    """

    delay_seconds: float = 0.0
    slice_bytes: int | None = None
    is_half_open: bool = False
    is_refusing: bool = False


FAIR = NetworkFaults()


class Interceptor(Protocol):
    """Inspects one direction of a connection before the data is passed on."""

    async def passes(self, data: bytes) -> bytes:
        """The part of the data to pass on. May wait."""

    @property
    def is_to_cut(self) -> bool:
        """Whether to cut the client off after what was passed on is sent."""


class _Transparent:
    is_to_cut = False

    async def passes(self, data: bytes) -> bytes:
        return data


@dataclass(kw_only=True, eq=False)
class Link:
    """One connection. `is_listening`: the client has asked Postgres for notifications over it."""

    is_listening: bool = False
    is_silent: bool = False
    last_passed_at: float = field(default_factory=time.monotonic)

    @property
    def idle_seconds(self) -> float:
        """Seconds since data last passed, either way."""
        return time.monotonic() - self.last_passed_at


class Proxy:
    """Passes connections on to 127.0.0.1:`target`, which may change. `network_faults` applies to all connections."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.network_faults = FAIR
        self._links: dict[asyncio.Task[None], Link] = {}

    def intercept(self) -> Interceptor:
        """The interceptor for what a client sends over a new connection. Subclasses override it."""
        return _Transparent()

    def intercept_answers(self) -> Interceptor:
        """The interceptor for what the server answers."""
        return _Transparent()

    def cut(self) -> int:
        """Abort every connection. Returns how many there were."""
        links = list(self._links)
        for link in links:
            link.cancel()
        return len(links)

    def silence(self, is_chosen: Callable[[Link], bool] = lambda _link: True) -> int:
        """Drop all further data of these connections silently. Returns how many there were.

        A load balancer that has forgotten them does the same: neither side notices, and new connections work.
        """
        chosen = [link for link in self._links.values() if not link.is_silent and is_chosen(link)]
        for link in chosen:
            link.is_silent = True
        return len(chosen)

    def count(self, is_chosen: Callable[[Link], bool]) -> int:
        """How many working connections are of this kind."""
        return sum(not link.is_silent and is_chosen(link) for link in self._links.values())

    def cut_silent(self) -> None:
        """Abort the server's side of silent connections too, as its keepalive eventually does."""
        for task, link in list(self._links.items()):
            if link.is_silent:
                task.cancel()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Pass one connection on, both ways, until either side has ended it."""
        task = asyncio.current_task()
        if task is None or self.network_faults.is_refusing:
            writer.transport.abort()
            return
        link = self._links[task] = Link()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except (OSError, asyncio.CancelledError):  # no server, or the client was cut off first
            writer.transport.abort()
            self._links.pop(task, None)
            return
        ways = [
            asyncio.create_task(self._pump(link, reader, far_writer, self.intercept())),
            asyncio.create_task(self._pump(link, far_reader, writer, self.intercept_answers())),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if any(way.result() for way in done):
                writer.transport.abort()  # What was passed on still reaches the server. Its answer is lost.
        except asyncio.CancelledError:
            for each in (writer, far_writer):
                each.transport.abort()
        finally:
            self._links.pop(task, None)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for each in (writer, far_writer):
                each.close()

    async def end(self) -> None:
        """Cut every connection, and return when all have ended."""
        links = list(self._links)
        self.cut()
        await asyncio.gather(*links, return_exceptions=True)

    async def _pump(self, link: Link, reader: StreamReader, writer: StreamWriter, interceptor: Interceptor) -> bool:
        """Pass data on until the end. Returns whether the interceptor wants the client cut off."""
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self.network_faults.is_half_open or link.is_silent:
                    continue
                link.last_passed_at = time.monotonic()
                link.is_listening |= b"LISTEN " in data
                await self._send(await interceptor.passes(data), writer)
                if interceptor.is_to_cut:
                    return True
        if link.is_silent:
            # The end of one side is dropped like everything else, until the proxy cuts the connection.
            await asyncio.Event().wait()
        return False

    async def _send(self, data: bytes, writer: StreamWriter) -> None:
        network_faults = self.network_faults
        size = network_faults.slice_bytes or len(data) or 1
        for start in range(0, len(data), size):
            if network_faults.delay_seconds:
                await asyncio.sleep(network_faults.delay_seconds)
            writer.write(data[start : start + size])
            await writer.drain()


AnyProxy = TypeVar("AnyProxy", bound=Proxy)


@asynccontextmanager
async def listening(proxy: AnyProxy) -> AsyncIterator[AnyProxy]:
    """The proxy, listening on a free port for the length of an `async with` block."""
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()
        await server.wait_closed()
