"""A proxy that adds TLS to the tests' server, and can pretend that the server is read-only."""

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

_SSL_REQUEST = struct.pack("!ll", 8, 80877103)
_NO_ENTRY = b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry\0\0"


@dataclass(kw_only=True)
class Proxy:
    """The configuration of a proxy, its port, and its counts of encrypted and plain connections."""

    server: tuple[str, int]
    tls: ssl.SSLContext | None = None
    is_direct: bool = False
    has_plain: bool = True
    startup: bytes = b""
    port: int = 0
    encrypted: int = 0
    plain: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


@contextlib.asynccontextmanager
async def running(proxy: Proxy, *, socket: Path | None = None) -> AsyncIterator[Proxy]:
    """Run the proxy on a free port of 127.0.0.1, or on a Unix socket."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        proxy.tasks.add(task)
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await _serve(proxy, reader, writer)

    if socket is not None:
        listener = await asyncio.start_unix_server(serve, socket)
    else:
        direct = proxy.tls if proxy.is_direct else None
        listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=direct)
        proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        for task in proxy.tasks:
            task.cancel()
        await asyncio.gather(*proxy.tasks, return_exceptions=True)


async def _serve(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    message = await _message(reader)
    is_encrypted = proxy.is_direct
    if message == _SSL_REQUEST:
        is_encrypted = proxy.tls is not None
        writer.write(b"S" if is_encrypted else b"N")
        if proxy.tls is not None:
            await writer.start_tls(proxy.tls)
        message = await _message(reader)
    if not is_encrypted and not proxy.has_plain:
        writer.write(b"E" + struct.pack("!l", len(_NO_ENTRY) + 4) + _NO_ENTRY)
        return
    proxy.encrypted += is_encrypted
    proxy.plain += not is_encrypted
    server_reader, server_writer = await asyncio.open_connection(*proxy.server)
    try:
        # A startup message consists of its length, names with values, and a zero byte.
        started = message[4:-1] + proxy.startup + message[-1:]
        server_writer.write(struct.pack("!l", len(started) + 4) + started)
        await asyncio.gather(_pump(reader, server_writer), _pump(server_reader, writer))
    finally:
        server_writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(4)
    return length + await reader.readexactly(struct.unpack("!l", length)[0] - 4)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
