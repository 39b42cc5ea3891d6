"""The real clients against servers that are absent, silent, or offer no TLS."""

import asyncio
import gc
import logging
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest

from app.brokers import (
    choice,
    kafka_topics,
    nats_stream,
    rabbit_exchange,
    redis_streams,
)
from app.errors import BrokerUnavailableError
from devstack.ports import free_port
from tests.feed.sample_events import flow_event

SCHEMES = ["nats", "nats+tls", "amqp", "amqps", "kafka", "kafka+tls", "redis", "rediss"]
# Names the server as NATS, without `tls_required`.
PLAIN_NATS = b'INFO {"server_id":"x","version":"2.10.0","proto":1,"headers":true,"max_payload":1048576}\r\n'

Serve = Callable[[StreamReader, StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def listening(greeting: bytes, heard: bytearray) -> AsyncIterator[int]:
    """The port of a server that greets, records what it hears, and never answers."""

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(greeting)
        with suppress(OSError):
            while data := await reader.read(65536):
                heard.extend(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def failure(url: str) -> BrokerUnavailableError:
    """The error of publishing there. Checks that the attempt leaves no task and no warning behind."""
    before = asyncio.all_tasks()
    broker = choice.build(url)
    with pytest.raises(BrokerUnavailableError) as caught:
        await broker.publish(flow_event())
    await broker.aclose()
    del broker
    gc.collect()
    left = {task for task in asyncio.all_tasks() - before if "serve" not in repr(task)}
    assert left == set()
    return caught.value


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_broker_that_is_not_there_is_unavailable(scheme: str, caplog: pytest.LogCaptureFixture) -> None:
    """The error comes at once and names its cause. Neither it nor the clients' logs hold the password."""
    caplog.set_level(logging.DEBUG)

    error = await failure(f"{scheme}://somebody:s3cret@127.0.0.1:{free_port()}")

    assert error.__cause__ is not None
    assert type(error.__cause__).__name__ in error.detail
    assert "s3cret" not in error.detail
    assert "s3cret" not in caplog.text


async def test_a_broker_that_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every client gives up in bounded time, and starts with TLS if the URL asks for it."""
    for module in (nats_stream, rabbit_exchange, kafka_topics, redis_streams):
        monkeypatch.setattr(module, "STEP_SECONDS", 1)
    heard = {scheme: bytearray() for scheme in SCHEMES}
    async with AsyncExitStack() as servers:
        brokers = []
        for scheme in SCHEMES:
            port = await servers.enter_async_context(listening(b"", heard[scheme]))
            brokers.append(choice.build(f"{scheme}://somebody:s3cret@127.0.0.1:{port}"))
        async with asyncio.timeout(20):
            # They run at the same time, because each takes its time-out.
            outcomes = await asyncio.gather(
                *(broker.publish(flow_event()) for broker in brokers), return_exceptions=True
            )
        for broker in brokers:
            await broker.aclose()

    assert [type(outcome) for outcome in outcomes] == [BrokerUnavailableError] * len(SCHEMES)
    # A NATS server speaks first. 22 is TLS' type of a handshake.
    assert {scheme for scheme in SCHEMES if heard[scheme][:1] == b"\x16"} == {"amqps", "kafka+tls", "rediss"}
    assert {scheme for scheme in SCHEMES if not heard[scheme]} == {"nats", "nats+tls"}


async def test_a_password_is_not_sent_to_nats_in_the_clear() -> None:
    """If the URL asks for TLS, a server or attacker that offers none hears nothing from us."""
    heard = bytearray()

    async with listening(PLAIN_NATS, heard) as port:
        error = await failure(f"nats+tls://somebody:s3cret@127.0.0.1:{port}")

    assert "SSLError" in error.detail
    assert heard == b""


async def test_a_password_is_sent_to_nats_in_the_clear_if_the_url_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above: without TLS in the URL the password does arrive."""
    monkeypatch.setattr(nats_stream, "STEP_SECONDS", 1)
    heard = bytearray()

    async with listening(PLAIN_NATS, heard) as port:
        await failure(f"nats://somebody:s3cret@127.0.0.1:{port}")

    assert b"s3cret" in heard
