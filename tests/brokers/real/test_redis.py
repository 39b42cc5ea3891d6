"""Behaviour of Redis only."""

import json
from typing import cast

import pytest
from redis.asyncio import Redis

from app.brokers import choice
from app.errors import BrokerUnavailableError
from app.feed import cloudevents
from tests.brokers.real.real_brokers import RealRedis
from tests.feed.sample_events import flow_event

STREAM = "dots.flow.step_completed"


async def test_entry_has_four_text_fields(real_redis: RealRedis) -> None:
    """Any client can read the entry."""
    broker = choice.build(real_redis.url())

    await broker.publish(flow_event())
    await broker.aclose()

    async with Redis(port=real_redis.server.port, decode_responses=True) as client:
        entries = cast("list[tuple[str, dict[str, str]]]", await client.xrange(STREAM))
    ((_, fields),) = entries
    assert fields.pop("data") == json.dumps(
        cloudevents.envelope(flow_event()), ensure_ascii=False, separators=(",", ":")
    )
    assert fields == {"id": str(flow_event().id), "subject": "flow/f1", "content-type": "application/cloudevents+json"}


async def test_stream_length_is_limited(real_redis: RealRedis) -> None:
    """`?max_length=` is approximate, because Redis drops old entries in blocks of 100."""
    broker = choice.build(f"{real_redis.url()}?max_length=100")

    for number in range(1, 401):
        await broker.publish(flow_event(number))
    await broker.aclose()

    async with Redis(port=real_redis.server.port) as client:
        length = await client.xlen(STREAM)
    assert 100 <= length < 300


async def test_wrong_password_is_not_quoted(real_redis: RealRedis) -> None:
    """The error does not quote the password. A correct password with special characters works."""
    password = "p@ss/w:rd"
    async with Redis(port=real_redis.server.port) as client:
        await client.config_set("requirepass", password)
    wrong = choice.build(f"redis://:s3cret@127.0.0.1:{real_redis.server.port}")
    right = choice.build(f"redis://:p%40ss%2Fw%3Ard@127.0.0.1:{real_redis.server.port}/0")

    with pytest.raises(BrokerUnavailableError) as caught:
        await wrong.publish(flow_event())
    await right.publish(flow_event())
    await wrong.aclose()
    await right.aclose()

    assert "s3cret" not in caught.value.detail
    async with Redis(port=real_redis.server.port, password=password) as client:
        assert await client.xlen(STREAM) == 1
