"""Subscribers on real sockets of 127.0.0.1, and messages for them."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from app.processes.wiring import utc_now
from app.subscriptions.push.destinations import Destinations
from app.subscriptions.push.http_push import Message, Pusher

HOST = "hooks.test"
KEY = b"a key of 24 bytes, truly"
BODY = b'{"specversion": "1.0"}'
LOOPBACK = "127.0.0.0/8:1-65535"
ANY_TEST_HOST = ".test:1-65535"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"

Conduct = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Subscriber:
    """Records the connections and requests of a listening socket."""

    def __init__(self, port: int) -> None:
        """Start without requests."""
        self.port = port
        self.accepted = 0
        self.requests: list[tuple[str, bytes]] = []

    def url(self, path: str = "/hook", *, host: str = "127.0.0.1", scheme: str = "http") -> str:
        """Its URL."""
        return f"{scheme}://{host}:{self.port}{path}"

    def headers(self) -> dict[str, str]:
        """The headers of the last request. Names are in lower case."""
        _, *lines = self.requests[-1][0].split("\r\n")
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


@asynccontextmanager
async def subscriber(
    conduct: Conduct, *, tls: ssl.SSLContext | None = None, reads: bool = True
) -> AsyncIterator[Subscriber]:
    """Listen. Read each request (unless `reads` is False), and then call `conduct`."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # In some tests the gateway disconnects early.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while not reader.at_eof():
                if reads:
                    seen.requests.append(await _read_request(reader))
                await conduct(reader, writer)
                if writer.is_closing() or not reads:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.accepted += 1
        connections.add(asyncio.ensure_future(serve(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls) as server:
        seen = Subscriber(server.sockets[0].getsockname()[1])
        yield seen
    await asyncio.wait_for(asyncio.gather(*connections), 10)


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").strip()
    length = next(int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:"))
    return head, await reader.readexactly(length)


def writes(*chunks: bytes) -> Conduct:
    """A conduct that answers with these bytes and keeps the connection open."""

    async def conduct(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()

    return conduct


def leaves(*chunks: bytes) -> Conduct:
    """A conduct that answers with these bytes and closes the connection."""

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writes(*chunks)(reader, writer)
        writer.close()

    return conduct


def answer_of(status: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    """An HTTP answer with the correct length."""
    return b"\r\n".join([b"HTTP/1.1 " + status, *headers, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


async def hangs(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Never answer. End when the gateway disconnects."""
    await reader.read()


def resolves_to(*found: str) -> Callable[[str], Awaitable[tuple[str, ...]]]:
    """A resolver that returns these addresses for every name."""

    async def resolve(_host: str) -> tuple[str, ...]:
        return found

    return resolve


@asynccontextmanager
async def pushing(pusher: Pusher) -> AsyncIterator[Pusher]:
    """Close the pusher at the end."""
    try:
        yield pusher
    finally:
        await pusher.aclose()


def to_loopback(*, timeout: timedelta = timedelta(seconds=20), connections: int = 64) -> Pusher:
    """A pusher that may send to every port of this machine."""
    destinations = Destinations([LOOPBACK, "[::1/128]:1-65535"], denied=())
    return Pusher(destinations, timeout=timeout, connections=connections, now=utc_now)


def message(body: bytes = BODY, *, sent_at: datetime | None = None, keys: tuple[bytes, ...] = (KEY,)) -> Message:
    """A message, sent now or at `sent_at`."""
    return Message(id="3d92084b-a452-5afd", body=body, sent_at=sent_at or datetime.now(UTC), keys=keys)
