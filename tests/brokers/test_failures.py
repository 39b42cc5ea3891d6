"""The real clients against servers that are absent, silent, or without TLS."""

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
# A NATS server's greeting, without `tls_required`.
PLAIN_NATS = b'INFO {"server_id":"x","version":"2.10.0","proto":1,"headers":true,"max_payload":1048576}\r\n'

Serve = Callable[[StreamReader, StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def listening(greeting: bytes, heard: bytearray) -> AsyncIterator[int]:
    """The port of a server that sends a greeting, records the client's bytes in `heard`, and never answers."""

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


async def test_absent_broker_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    """The error names its cause. Neither it nor the clients' logs hold the password, and no task is left behind."""
    caplog.set_level(logging.DEBUG)
    before = asyncio.all_tasks()
    brokers = {scheme: choice.build(f"{scheme}://user:s3cret@127.0.0.1:{free_port()}") for scheme in SCHEMES}

    errors = await asyncio.gather(
        *(broker.publish(flow_event()) for broker in brokers.values()), return_exceptions=True
    )
    for broker in brokers.values():
        await broker.aclose()
    brokers.clear()
    gc.collect()

    for scheme, error in zip(SCHEMES, errors, strict=True):
        assert isinstance(error, BrokerUnavailableError), scheme
        assert type(error.__cause__).__name__ in error.detail
        assert error.__cause__ is not None
        assert "s3cret" not in error.detail
    assert "s3cret" not in caplog.text
    assert asyncio.all_tasks() == before


async def test_silent_broker_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every client gives up in bounded time. If the URL asks for TLS, it sends nothing unencrypted."""
    for module in (nats_stream, rabbit_exchange, kafka_topics, redis_streams):
        monkeypatch.setattr(module, "STEP_SECONDS", 1)
    cases = [*((scheme, b"") for scheme in SCHEMES), ("nats", PLAIN_NATS), ("nats+tls", PLAIN_NATS)]
    heard = {case: bytearray() for case in cases}
    async with AsyncExitStack() as servers:
        brokers = []
        for scheme, greeting in cases:
            port = await servers.enter_async_context(listening(greeting, heard[scheme, greeting]))
            brokers.append(choice.build(f"{scheme}://user:s3cret@127.0.0.1:{port}"))
        async with asyncio.timeout(20):
            # They run concurrently, because each takes its whole time-out.
            outcomes = await asyncio.gather(
                *(broker.publish(flow_event()) for broker in brokers), return_exceptions=True
            )
        for broker in brokers:
            await broker.aclose()

    assert [type(outcome) for outcome in outcomes] == [BrokerUnavailableError] * len(cases)
    # 22 is TLS' type of a handshake. A NATS client waits for the greeting before it sends anything.
    assert {scheme for (scheme, _), data in heard.items() if data[:1] == b"\x16"} == {"amqps", "kafka+tls", "rediss"}
    assert {case for case in cases if not heard[case]} == {
        ("nats", b""),
        ("nats+tls", b""),
        ("nats+tls", PLAIN_NATS),
    }
    assert b"s3cret" in heard["nats", PLAIN_NATS]
    assert "SSLError" in str(outcomes[-1])
