"""What a subscriber cannot do to the gateway by answering late, slowly, without end or with a bomb."""

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
    """Send a head a byte at a time, without end."""
    await drip(reader, writer, b"HTTP/1.1 200 OK\r\nX-Slow: ")


async def drips_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a body a byte at a time, without end."""
    await drip(reader, writer, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: bytes) -> None:
    """Begin like this, then a byte now and then, until the gateway goes."""
    writer.write(start)
    gone = asyncio.ensure_future(reader.read())
    while not gone.done():
        writer.write(b"x")
        await asyncio.wait([gone], timeout=0.02)


@pytest.mark.parametrize("conduct", [hangs, drips_headers])
async def test_deadline_holds_for_everything_until_the_status(conduct: Conduct) -> None:
    """Neither silence nor a byte now and then keeps a push beyond its deadline."""
    async with subscriber(conduct) as seen, pushing(to_loopback(timeout=SHORT)) as pusher:
        async with asyncio.timeout(10):
            answer = await pusher.push(seen.url(), message())

    assert (answer.status, answer.error) == (None, "timed_out")


async def test_deadline_ends_a_slow_body_too() -> None:
    """The status was there: it counts, and the connection is given up at the deadline."""
    async with subscriber(drips_body) as seen, pushing(to_loopback(timeout=SHORT)) as pusher:
        async with asyncio.timeout(10):
            answer = await pusher.push(seen.url(), message())

    assert (answer.status, answer.error) == (200, None)


async def test_deadline_holds_while_the_name_is_resolved() -> None:
    """A name server that does not answer is no reason to wait longer."""

    async def resolve(_host: str) -> tuple[str, ...]:
        await asyncio.Event().wait()
        return ()

    pusher = Pusher(Destinations([".test:80"], denied=()), resolver=resolve, timeout=SHORT, now=utc_now)
    async with pushing(pusher), asyncio.timeout(10):
        answer = await pusher.push(f"http://{HOST}/", message())

    assert answer.error == "timed_out"


async def test_deadline_holds_while_a_large_body_is_sent() -> None:
    """A subscriber that does not read is no reason either."""
    over = asyncio.Event()

    async def ignore(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await over.wait()

    async with subscriber(ignore, reads=False) as seen, pushing(to_loopback(timeout=SHORT)) as pusher:
        async with asyncio.timeout(10):
            answer = await pusher.push(seen.url(), message(b"x" * 20_000_000))
        over.set()

    assert answer.error == "timed_out"


async def test_endless_body_is_left_after_16_kib() -> None:
    """No more is read of an answer, and its connection is closed; the status has said it all."""
    sent = 0

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:  # until the gateway has gone, which raises a ConnectionError
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await writer.drain()
            sent += 1024

    async with subscriber(flood) as seen, pushing(to_loopback()) as pusher:
        async with asyncio.timeout(10):
            answers = [await pusher.push(seen.url(), message()) for _ in range(2)]

    assert [(answer.status, answer.error) for answer in answers] == [(200, None)] * 2
    assert seen.accepted == 2
    assert sent < 64 * 1024 * 1024  # what the sockets' own buffers took


@pytest.mark.parametrize(("length", "connections"), [(16 * 1024 - 100, 1), (16 * 1024 + 1, 3)])
async def test_connection_is_kept_after_a_short_answer_only(length: int, connections: int) -> None:
    """Up to 16 KiB are read so that the connection can be used again."""
    async with subscriber(writes(answer_of(b"200 OK", body=b"x" * length))) as seen, pushing(to_loopback()) as pusher:
        answers = [await pusher.push(seen.url(), message()) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert seen.accepted == connections


async def test_gzip_bomb_is_not_inflated() -> None:
    """Sixteen thousand bytes that would be ten million stay what they are."""
    bomb = gzip.compress(bytes(10_000_000), compresslevel=9)
    sent = answer_of(b"200 OK", b"Content-Encoding: gzip", body=bomb)
    async with subscriber(writes(sent)) as seen, pushing(to_loopback()) as pusher:
        answers = [await pusher.push(seen.url(), message()) for _ in range(2)]

    assert len(bomb) < 16_000
    assert [answer.status for answer in answers] == [200, 200]
    assert seen.accepted == 1


async def test_slow_subscriber_holds_up_no_other() -> None:
    """However many pushes hang, the next subscriber gets its own at once."""
    all_hang = asyncio.Event()

    async def hang_together(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(slow.requests) == 200:
            all_hang.set()
        await hangs(reader, writer)

    async with (
        subscriber(hang_together) as slow,
        subscriber(writes(NO_CONTENT)) as quick,
        pushing(to_loopback(connections=201)) as pusher,
        asyncio.timeout(15),
    ):
        hanging = [asyncio.ensure_future(pusher.push(slow.url(), message())) for _ in range(200)]
        await all_hang.wait()
        answer = await pusher.push(quick.url(), message())
        was_waiting = not any(push.done() for push in hanging)
        for push in hanging:
            push.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)

    assert answer.status == 204
    assert was_waiting


async def test_no_more_connections_are_open_than_allowed() -> None:
    """A push beyond the limit waits for a connection; one that is idle makes room for another host's."""
    all_hang = asyncio.Event()

    async def hang_together(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(slow.requests) == 2:
            all_hang.set()
        await hangs(reader, writer)

    async with (
        subscriber(hang_together) as slow,
        subscriber(writes(NO_CONTENT)) as quick,
        pushing(to_loopback(connections=2)) as pusher,
        asyncio.timeout(15),
    ):
        first = await pusher.push(quick.url(), message())
        hanging = [asyncio.ensure_future(pusher.push(slow.url(), message())) for _ in range(3)]
        await all_hang.wait()
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
