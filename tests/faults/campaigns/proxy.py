"""A TCP proxy with a fixed address that mistreats what it passes on: cut, delay, slice, half-open, silence.

The only place of the campaigns that sleeps: it plays a network that is slow.
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
    """How the network is. `delay_seconds` and `slice_bytes` are for each piece, both ways.

    `is_half_open`: what is sent is swallowed without a word, as behind a firewall that has forgotten a connection.
    `is_refusing`: new connections are closed at once.
    """

    delay_seconds: float = 0.0
    slice_bytes: int | None = None
    is_half_open: bool = False
    is_refusing: bool = False


FAIR = NetworkFaults()


class Interceptor(Protocol):
    """Looks at what is sent over one connection, one way, before it is passed on."""

    async def passes(self, data: bytes) -> bytes:
        """What to pass on of this; may take its time."""

    @property
    def is_to_cut(self) -> bool:
        """Whether to cut the client off now, once what was passed on has gone."""


class _Transparent:
    is_to_cut = False

    async def passes(self, data: bytes) -> bytes:
        return data


@dataclass(kw_only=True, eq=False)
class Link:
    """One connection; `is_listening` once the client has asked Postgres for notifications over it."""

    is_listening: bool = False
    is_silent: bool = False
    last_passed_at: float = field(default_factory=time.monotonic)

    @property
    def idle_seconds(self) -> float:
        """How long nothing has passed, either way."""
        return time.monotonic() - self.last_passed_at


class Proxy:
    """Passes connections on to 127.0.0.1:`target`, which may change; `network_faults` holds for all, old ones too."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.network_faults = FAIR
        self._links: dict[asyncio.Task[None], Link] = {}

    def intercept(self) -> Interceptor:
        """What looks at what a client sends over a new connection; another class of proxy has another."""
        return _Transparent()

    def intercept_answers(self) -> Interceptor:
        """What looks at what the server answers over it."""
        return _Transparent()

    def cut(self) -> int:
        """Cut every connection off without a farewell; how many there were."""
        links = list(self._links)
        for link in links:
            link.cancel()
        return len(links)

    def silence(self, is_chosen: Callable[[Link], bool] = lambda _link: True) -> int:
        """Swallow from now on, for good, what is sent over these connections; how many there were.

        As a load balancer does that has forgotten them: neither side hears of it, and new connections are fine.
        """
        chosen = [link for link in self._links.values() if not link.is_silent and is_chosen(link)]
        for link in chosen:
            link.is_silent = True
        return len(chosen)

    def count(self, is_chosen: Callable[[Link], bool]) -> int:
        """How many connections still work and are of this kind."""
        return sum(not link.is_silent and is_chosen(link) for link in self._links.values())

    def cut_silent(self) -> None:
        """End the server's side of silent connections too, as its keepalive does in the end."""
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
        except (OSError, asyncio.CancelledError):  # nobody there, or cut off before it was through
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
                writer.transport.abort()  # What was passed on still goes to the server, its answer to nobody.
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
        """Cut everything, and return when it is gone."""
        links = list(self._links)
        self.cut()
        await asyncio.gather(*links, return_exceptions=True)

    async def _pump(self, link: Link, reader: StreamReader, writer: StreamWriter, interceptor: Interceptor) -> bool:
        """Pass on until the end; whether the interceptor wants the client cut off."""
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
            # The end of one side is swallowed like everything else, until the proxy cuts the connection.
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
