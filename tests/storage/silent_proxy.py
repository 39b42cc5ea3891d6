"""A TCP proxy in front of Postgres that can fall silent: its connections stay open, and nothing comes through."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK_BYTES = 65536


class SilentProxy:
    """Passes bytes on in connections that were opened after the last `silence`; `opened` counts all of them."""

    def __init__(self, host: str, port: int) -> None:
        """Take the address of the server; `port` is known once the proxy listens."""
        self._target = (host, port)
        self._silenced_before = 0
        self.opened = 0
        self.port = 0

    def silence(self) -> None:
        """Swallow whatever is sent on the connections that are open now, in both directions, without a word."""
        self._silenced_before = self.opened

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Pass one connection on until a side ends it."""
        number, self.opened = self.opened, self.opened + 1
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            ways = [
                asyncio.create_task(self._pump(number, reader, far_writer)),
                asyncio.create_task(self._pump(number, far_reader, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                far_writer.close()
        writer.close()

    async def _pump(self, number: int, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if number >= self._silenced_before:
                    writer.write(chunk)
                    await writer.drain()


@asynccontextmanager
async def proxied(host: str, port: int) -> AsyncIterator[SilentProxy]:
    """A proxy that listens for the length of the block."""
    proxy = SilentProxy(host, port)
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            handlers.add(task)
        await proxy.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await server.wait_closed()
