"""Late, slow, endless and compressed answers do not harm the gateway."""

import asyncio
import gzip
from datetime import timedelta

import pytest

from app.processes.wiring import utc_now
from app.subscriptions.push.destinations import Destinations
from app.subscriptions.push.http_push import Pusher
from tests.subscriptions.push.subscribers import (
    HOST,
    NO_CONTENT,
    Conduct,
    Subscriber,
    answer_of,
    hangs,
    message,
    pushing,
    subscriber,
    to_loopback,
    writes,
)

SHORT = timedelta(milliseconds=200)


async def drips_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send endless headers, one byte at a time."""
    await drip(reader, writer, b"HTTP/1.1 200 OK\r\nX-Slow: ")


async def drips_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send an endless body, one byte at a time."""
    await drip(reader, writer, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: bytes) -> None:
    """Send `start` and then single bytes, until the gateway disconnects."""
    writer.write(start)
    gone = asyncio.ensure_future(reader.read())
    while not gone.done():
        writer.write(b"x")
        await asyncio.wait([gone], timeout=0.02)


async def until_hanging(slow: Subscriber, count: int) -> None:
    """Wait until `count` requests have arrived."""
    while len(slow.requests) < count:  # noqa: ASYNC110  # the server has no event to wait for
        await asyncio.sleep(0)


@pytest.mark.parametrize("conduct", [hangs, drips_headers])
async def test_deadline_covers_the_time_until_the_status(conduct: Conduct) -> None:
    """Neither silence nor single bytes extend the deadline."""
    async with subscriber(conduct) as seen, pushing(to_loopback(timeout=SHORT)) as pusher:
        async with asyncio.timeout(10):
            answer = await pusher.push(seen.url(), message())

    assert (answer.status, answer.error) == (None, "timed_out")


async def test_deadline_ends_a_slow_body() -> None:
    """The status decides, and the connection is closed at the deadline."""
    async with subscriber(drips_body) as seen, pushing(to_loopback(timeout=SHORT)) as pusher:
        async with asyncio.timeout(10):
            answer = await pusher.push(seen.url(), message())

    assert (answer.status, answer.error) == (200, None)


async def test_deadline_covers_name_resolution() -> None:
    """A silent name server does not extend the deadline."""

    async def resolve(_host: str) -> tuple[str, ...]:
        await asyncio.Event().wait()
        return ()

    pusher = Pusher(Destinations([".test:80"], denied=()), resolver=resolve, timeout=SHORT, now=utc_now)
    async with pushing(pusher), asyncio.timeout(10):
        answer = await pusher.push(f"http://{HOST}/", message())

    assert answer.error == "timed_out"


async def test_deadline_covers_sending_a_large_body() -> None:
    """A subscriber that does not read does not extend the deadline."""
    over = asyncio.Event()

    async def ignore(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await over.wait()

    async with subscriber(ignore, reads=False) as seen, pushing(to_loopback(timeout=SHORT)) as pusher:
        async with asyncio.timeout(10):
            answer = await pusher.push(seen.url(), message(b"x" * 20_000_000))
        over.set()

    assert answer.error == "timed_out"


async def test_endless_body_is_cut_after_16_kib() -> None:
    """The status decides, and the connection is closed after 16 KiB."""
    sent = 0

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:  # until the gateway disconnects, which raises a ConnectionError
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await writer.drain()
            sent += 1024

    async with subscriber(flood) as seen, pushing(to_loopback()) as pusher:
        async with asyncio.timeout(10):
            answers = [await pusher.push(seen.url(), message()) for _ in range(2)]

    assert [(answer.status, answer.error) for answer in answers] == [(200, None)] * 2
    assert seen.accepted == 2
    assert sent < 64 * 1024 * 1024  # the sockets' buffers


@pytest.mark.parametrize(("length", "connections"), [(16 * 1024 - 100, 1), (16 * 1024 + 1, 3)])
async def test_connection_is_reused_after_a_short_answer(length: int, connections: int) -> None:
    """Answers up to 16 KiB are read completely, so the connection can be reused."""
    async with subscriber(writes(answer_of(b"200 OK", body=b"x" * length))) as seen, pushing(to_loopback()) as pusher:
        answers = [await pusher.push(seen.url(), message()) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert seen.accepted == connections


async def test_gzip_bomb_is_not_decompressed() -> None:
    """A body of 16 KB that would decompress to 10 MB is not decompressed."""
    bomb = gzip.compress(bytes(10_000_000), compresslevel=9)
    sent = answer_of(b"200 OK", b"Content-Encoding: gzip", body=bomb)
    async with subscriber(writes(sent)) as seen, pushing(to_loopback()) as pusher:
        answers = [await pusher.push(seen.url(), message()) for _ in range(2)]

    assert len(bomb) < 16_000
    assert [answer.status for answer in answers] == [200, 200]
    assert seen.accepted == 1


async def test_hanging_pushes_do_not_delay_others() -> None:
    """While fifty pushes hang, another subscriber gets its message."""
    async with (
        subscriber(hangs) as slow,
        subscriber(writes(NO_CONTENT)) as quick,
        pushing(to_loopback(connections=51)) as pusher,
        asyncio.timeout(15),
    ):
        hanging = [asyncio.ensure_future(pusher.push(slow.url(), message())) for _ in range(50)]
        await until_hanging(slow, 50)
        answer = await pusher.push(quick.url(), message())
        was_waiting = not any(push.done() for push in hanging)
        for push in hanging:
            push.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)

    assert answer.status == 204
    assert was_waiting


async def test_connections_are_bounded() -> None:
    """A push beyond the limit waits for a connection. An idle connection is closed for another host."""
    async with (
        subscriber(hangs) as slow,
        subscriber(writes(NO_CONTENT)) as quick,
        pushing(to_loopback(connections=2)) as pusher,
        asyncio.timeout(15),
    ):
        first = await pusher.push(quick.url(), message())
        hanging = [asyncio.ensure_future(pusher.push(slow.url(), message())) for _ in range(3)]
        await until_hanging(slow, 2)
        waiting = asyncio.ensure_future(pusher.push(quick.url(), message()))
        for _ in range(200):
            await asyncio.sleep(0)
        accepted, was_done = slow.accepted, waiting.done()
        for push in hanging:
            push.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        answer = await waiting

    assert first.status == 204
    assert (accepted, was_done) == (2, False)
    assert answer.status == 204
