"""Sends webhooks as Dots does, and raw requests to a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from fastapi import FastAPI

from app.server import http_server
from app.server.listening import ListenAddress
from tests.dots.fake_dots import NOW
from tests.dots.signed_webhooks import BODY, signed_headers

KEY = b"a key of 24 bytes, truly"
OTHER_KEY = b"the other app's 24 bytes"
PATH = "/webhooks/dots"
DEADLINE_SECONDS = 20.0

Headers = Iterable[tuple[bytes, bytes]]


def signed(message_id: str, body: bytes = BODY, *, key: bytes = KEY) -> list[tuple[bytes, bytes]]:
    """Return the headers of a valid webhook."""
    return list(signed_headers(key, NOW, message_id=message_id.encode(), body=body))


@dataclass(frozen=True, kw_only=True)
class RawAnswer:
    """An HTTP answer as read from the socket."""

    status: int
    headers: dict[str, str]
    body: bytes


@contextlib.asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[int]:
    """Serve the application with the api's server until the end of the block. Yields the port."""
    server = http_server.build(app, ListenAddress(host="127.0.0.1", port=0))
    running = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not server.started and not running.done():  # noqa: ASYNC110  # uvicorn has a flag, no event
                await asyncio.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await running


async def post(port: int, headers: Headers, body: bytes, *, path: str = PATH) -> RawAnswer:
    """POST exactly these bytes on a new connection."""
    framed = [*headers, (b"content-length", b"%d" % len(body))]
    return await exchange(port, _head(path, framed) + body)


async def post_chunked(port: int, headers: Headers, chunks: Iterable[bytes], *, path: str = PATH) -> RawAnswer:
    """POST a body in chunks, without its length."""
    framed = [*headers, (b"transfer-encoding", b"chunked")]
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return await exchange(port, _head(path, framed) + body + b"0\r\n\r\n")


async def exchange(port: int, request: bytes) -> RawAnswer:
    """Send these bytes, and read the answer."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            # A server that refuses a request may close the connection before it has read all of it.
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            return await _read(reader)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def _head(path: str, headers: Headers) -> bytes:
    lines = [b"POST %s HTTP/1.1" % path.encode(), b"host: gateway", b"connection: close"]
    return b"\r\n".join([*lines, *(name + b": " + value for name, value in headers)]) + b"\r\n\r\n"


async def _read(reader: asyncio.StreamReader) -> RawAnswer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = b"" if status_line.split()[1] == "204" else await _read_body(reader, headers)
    return RawAnswer(status=int(status_line.split()[1]), headers=headers, body=body)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return await reader.read()
