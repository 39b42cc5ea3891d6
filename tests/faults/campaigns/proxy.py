"""A TCP proxy with a fixed address that mistreats what it passes on: cut, delay, slice, half-open.

The only place of the campaigns that sleeps: it plays a network that is slow.
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

CHUNK_BYTES = 65536


@dataclass(frozen=True, kw_only=True)
class Weather:
    """How the network is. `delay_seconds` and `slice_bytes` are for each piece, both ways.

    `is_half_open`: what is sent is swallowed without a word, as behind a firewall that has forgotten a connection.
    `is_refusing`: new connections are closed at once.
    """

    delay_seconds: float = 0.0
    slice_bytes: int | None = None
    is_half_open: bool = False
    is_refusing: bool = False


FAIR = Weather()


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


class Proxy:
    """Passes connections on to 127.0.0.1:`target`, which may change; `weather` holds for all, old ones too."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.weather = FAIR
        self._links: set[asyncio.Task[None]] = set()

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

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Pass one connection on, both ways, until either side has ended it."""
        task = asyncio.current_task()
        if task is None or self.weather.is_refusing:
            writer.transport.abort()
            return
        self._links.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except (OSError, asyncio.CancelledError):  # nobody there, or cut off before it was through
            writer.transport.abort()
            self._links.discard(task)
            return
        ways = [
            asyncio.create_task(self._pump(reader, far_writer, self.intercept())),
            asyncio.create_task(self._pump(far_reader, writer, self.intercept_answers())),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if any(way.result() for way in done):
                writer.transport.abort()  # What was passed on still goes to the server, its answer to nobody.
        except asyncio.CancelledError:
            for each in (writer, far_writer):
                each.transport.abort()
        finally:
            self._links.discard(task)
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

    async def _pump(self, reader: StreamReader, writer: StreamWriter, interceptor: Interceptor) -> bool:
        """Pass on until the end; whether the interceptor wants the client cut off."""
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self.weather.is_half_open:
                    continue
                await self._send(await interceptor.passes(data), writer)
                if interceptor.is_to_cut:
                    return True
        return False

    async def _send(self, data: bytes, writer: StreamWriter) -> None:
        weather = self.weather
        size = weather.slice_bytes or len(data) or 1
        for start in range(0, len(data), size):
            if weather.delay_seconds:
                await asyncio.sleep(weather.delay_seconds)
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
