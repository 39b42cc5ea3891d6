import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from app.dots.client import DotsAccess, DotsClient
from app.errors import DotsError, DotsFailedError, DotsInvalidResponseError, DotsUnansweredError, DotsUnreachableError
from tests.dots.fake_dots import now
from tests.dots.gates import open_gate, permit

FLOW = "b3293101-35ef-451a-aad4-881da3697c2f"
GOOD = json.dumps({"id": FLOW, "steps": ["payout"]}).encode()
SHORT = timedelta(milliseconds=200)
LONG = timedelta(seconds=20)

Conduct = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(conduct: Conduct) -> AsyncIterator[int]:
    """Yield the port of a server that handles each connection like this and then closes it."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # In some tests the client closes the connection first.
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await conduct(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.ensure_future(serve(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*connections)


@asynccontextmanager
async def dots_that(conduct: Conduct, *, timeout: timedelta = LONG) -> AsyncIterator[DotsClient]:
    """Yield a client of a server that reads the head of one request and then behaves like this."""

    async def read_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await conduct(reader, writer)

    async with listening(read_first) as port, DotsClient(access(port), gate=open_gate(now), timeout=timeout) as client:
        yield client


def access(port: int, *, scheme: str = "http", host: str = "127.0.0.1") -> DotsAccess:
    """Return the access to the server at this port."""
    base_url = f"{scheme}://{host}:{port}/api"
    return DotsAccess(app="default", base_url=base_url, client_id="pk", api_key="sk", app_id=None)


def writes(*chunks: bytes) -> Conduct:
    """Return a server's conduct: write these bytes."""

    async def conduct(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()

    return conduct


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """Return an HTTP answer with the right length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def hangs(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Never answer. End when the client closes the connection."""
    await reader.read()


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Announce a long body and send single bytes, faster than any read timeout."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    gone = asyncio.ensure_future(reader.read())
    while not gone.done():
        writer.write(b" ")
        await asyncio.wait([gone], timeout=0.02)


async def test_answer_over_a_real_socket() -> None:
    """A call works over real sockets."""
    async with dots_that(writes(answer(GOOD))) as client:
        snapshot = await client.get_flow(permit(client), FLOW)

    assert snapshot.steps == ("payout",)


CUTS = {
    "at once": b"",
    "in the status line": b"HTTP/1.1 20",
    "in the headers": b"HTTP/1.1 200 OK\r\nContent-Len",
    "before the body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
    "in the body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + GOOD[:10],
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n" + GOOD[:10],
    "before the last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "in a refusal": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n{",
    "after junk": b"\x00\xff\x16\x03\x01 junk\r\n\r\n",
    "after a greeting of another protocol": b"220 mail.example ESMTP\r\n",
    "after two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "after a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    "after a bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
    "after endless headers": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 50_000,
}


@pytest.mark.parametrize("sent", CUTS.values(), ids=CUTS.keys())
async def test_cut_or_junk_answer_is_unanswered(sent: bytes) -> None:
    """The request was sent, so Dots may have carried it out."""
    async with dots_that(writes(sent)) as client:
        with pytest.raises(DotsUnansweredError):
            await client.create_flow(permit(client), {"steps": ["payout"]})


@pytest.mark.parametrize("conduct", [hangs, drips])
async def test_deadline_holds_for_the_whole_call(conduct: Conduct) -> None:
    """Neither a silent nor a slow server delays a call beyond its deadline."""
    async with dots_that(conduct, timeout=SHORT) as client:
        async with asyncio.timeout(10):
            with pytest.raises(DotsUnansweredError):
                await client.create_flow(permit(client), {"steps": ["payout"]})


async def test_cancellation_is_not_converted() -> None:
    """A cancelled call raises CancelledError, not a DotsError."""
    arrived = asyncio.Event()

    async def announce(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await hangs(reader, writer)

    async with dots_that(announce) as client:
        call = asyncio.ensure_future(client.get_flow(permit(client), FLOW))
        await arrived.wait()
        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call


def zeros(length: int) -> bytes:
    """Return a gzip bomb, a thousandth of the size that it unpacks to."""
    return gzip.compress(bytes(length), compresslevel=9)


UNREADABLE = {
    "a body over the limit": answer(b" " * (2 * 1024 * 1024 + 1)),
    "chunks over the limit": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b" " * 65_536 + b"\r\n"
    )
    + (b"10000\r\n" + b" " * 65_536 + b"\r\n") * 40,
    "a gzip bomb": answer(zeros(64 * 1024 * 1024), b"Content-Encoding: gzip"),
    "a small good gzip body": answer(gzip.compress(GOOD), b"Content-Encoding: gzip"),
    "an unknown compression": answer(GOOD, b"Content-Encoding: moon"),
    "HTML": answer(b"<html>", b"Content-Type: text/html"),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a redirect": answer(b"", b"Location: http://127.0.0.1:1/", status=b"302 Found"),
}


@pytest.mark.parametrize("sent", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_unreadable_success_is_invalid(sent: bytes) -> None:
    """The answer has a success status and a body that we cannot or do not want to read."""
    async with dots_that(writes(sent)) as client:
        with pytest.raises(DotsInvalidResponseError):
            await client.get_flow(permit(client), FLOW)


async def test_body_at_the_limit_is_read() -> None:
    """A body of exactly two mebibytes is read."""
    body = GOOD + b" " * (2 * 1024 * 1024 - len(GOOD))

    async with dots_that(writes(answer(body))) as client:
        snapshot = await client.get_flow(permit(client), FLOW)

    assert snapshot.id == FLOW


async def test_huge_error_page_keeps_its_status() -> None:
    """The body of an error does not matter, however long it is."""
    async with dots_that(writes(answer(b"x" * 3_000_000, status=b"502 Bad Gateway"))) as client:
        with pytest.raises(DotsFailedError) as raised:
            await client.get_flow(permit(client), FLOW)

    assert raised.value.status == 502


@pytest.mark.parametrize("host", ["127.0.0.1", "dots.invalid"])
async def test_failed_connect_is_unreachable(host: str) -> None:
    """After a refused connection, or for a host without an address, it is certain that Dots did not act."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound but not listening: the port refuses connections and stays ours.
        async with DotsClient(access(taken.getsockname()[1], host=host), gate=open_gate(now)) as client:
            with pytest.raises(DotsUnreachableError):
                await client.create_flow(permit(client), {"steps": ["payout"]})


async def test_failed_handshake_is_unreachable() -> None:
    """A server without TLS does not see the request."""
    plain = writes(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(plain) as port, DotsClient(access(port, scheme="https"), gate=open_gate(now)) as client:
        with pytest.raises(DotsUnreachableError):
            await client.create_flow(permit(client), {"steps": ["payout"]})


async def test_silent_handshake_is_unreachable_before_the_deadline() -> None:
    """Connecting has a shorter limit than the call, so that an unsent request is known to be unsent."""
    second = timedelta(seconds=1)

    async with (
        listening(hangs) as port,
        DotsClient(access(port, scheme="https"), gate=open_gate(now), timeout=second) as client,
    ):
        with pytest.raises(DotsUnreachableError):
            await client.create_flow(permit(client), {"steps": ["payout"]})


async def test_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials do not go to a proxy that the environment names."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    async with dots_that(writes(answer(GOOD))) as client:
        snapshot = await client.get_flow(permit(client), FLOW)

    assert snapshot.id == FLOW


async def test_calls_reuse_connections_however_many_there_are() -> None:
    """More calls at once than connections all get their answer, and later calls use the same connections."""
    opened = 0

    async def keep_answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await writes(answer(GOOD))(reader, writer)

    async with listening(keep_answering) as port, DotsClient(access(port), gate=open_gate(now), timeout=LONG) as client:
        for _ in range(2):
            await asyncio.gather(*(client.get_flow(permit(client), FLOW) for _ in range(48)))

    assert opened <= 48  # The 32 of the pool, and replacements of old ones.


async def test_client_works_on_after_failures() -> None:
    """A later call does not get a connection of a cut or hanging call."""
    conducts = iter([writes(b""), hangs, writes(answer(b" " * 3_000_000)), writes(answer(GOOD))])

    async def take_turns(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await next(conducts)(reader, writer)

    async with dots_that(take_turns, timeout=SHORT) as client:
        for _ in range(3):
            with pytest.raises(DotsError):
                await client.get_flow(permit(client), FLOW)
        snapshot = await client.get_flow(permit(client), FLOW)

    assert snapshot.id == FLOW
