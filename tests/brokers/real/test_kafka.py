"""Behaviour of Kafka only. The broker is Tansu, without idempotent producers, TLS and users."""

import asyncio
from collections.abc import MutableMapping
from contextlib import aclosing
from typing import Any

import pytest
from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]  # ships no types

from app.brokers import broker, choice
from app.brokers.publish_feed import publish_feed
from app.errors import BrokerUnavailableError
from app.feed import cloudevents
from tests.all_inputs import AllInputs
from tests.brokers.real.real_brokers import RealKafka
from tests.brokers.real.relay import ProducerIdGranted, Recorder
from tests.faults.campaigns import proxy
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.feed.sample_events import compliance_event, flow_event

# A header's client id, no transaction, and the acknowledgement of all replicas in sync (-1).
ALL_REPLICAS = b"dots-gateway" + b"\xff\xff" + b"\xff\xff"


async def test_event_becomes_a_record(real_kafka: RealKafka) -> None:
    """Topic, key, headers and bytes are as documented. Compliance events have their own topics."""
    async with aclosing(choice.build(real_kafka.url())) as kafka:
        await kafka.publish(flow_event())
        await kafka.publish(compliance_event())

    compliance, reported = sorted(await real_kafka.records(), key=lambda record: str(record.topic))
    assert (reported.topic, compliance.topic) == (
        "dots.flow.step_completed",
        "compliance.dots.background_check.flagged",
    )
    assert (reported.key, compliance.key) == (b"flow/f1", b"user/u1")
    assert reported.value == cloudevents.encoded(flow_event())
    assert dict(reported.headers) == {
        "content-type": b"application/cloudevents+json",
        "id": str(flow_event().id).encode(),
    }


async def test_subject_stays_in_one_partition(real_kafka: RealKafka) -> None:
    """The partition is Kafka's standard hash of the key, as with other producers."""
    async with aclosing(choice.build(real_kafka.url())) as kafka:
        for number in range(1, 9):
            await kafka.publish(flow_event(number, flow_id=f"f{number % 4}"))

    records = await real_kafka.records()
    assert len({record.key for record in records}) == 4
    assert len({record.partition for record in records}) > 1
    for record in records:
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 4


async def test_refused_idempotence_names_the_option(
    real_kafka: RealKafka, inputs: AllInputs, logs: list[MutableMapping[str, Any]]
) -> None:
    """Producers are idempotent by default. If the broker refuses, the error and the log name the option."""
    await feeding.feed(inputs.engine, step_events(1))

    async with aclosing(choice.build(real_kafka.url().partition("?")[0])) as kafka:
        with pytest.raises(BrokerUnavailableError, match=r"\?idempotence=off"):
            await publish_feed(inputs, kafka, limit=10)

    assert any("?idempotence=off" in line.get("error", "") for line in logs)
    assert await real_kafka.records() == []


async def test_every_replica_must_acknowledge(real_kafka: RealKafka) -> None:
    """The producer requests `acks=all`, also without idempotence."""
    async with (
        proxy.listening(Recorder(real_kafka.server.port)) as relay,
        aclosing(choice.build(real_kafka.url(relay.port))) as kafka,
    ):
        await kafka.publish(flow_event())

    assert ALL_REPLICAS in relay.heard


@pytest.mark.parametrize(
    ("option", "mechanism"),
    [("", b"SCRAM-SHA-512"), ("&sasl=scram-sha-256", b"SCRAM-SHA-256"), ("&sasl=plain", b"PLAIN")],
)
async def test_url_chooses_the_authentication_mechanism(real_kafka: RealKafka, option: str, mechanism: bytes) -> None:
    """The client requests this mechanism. If it is refused, the client sends no password."""
    async with proxy.listening(Recorder(real_kafka.server.port)) as relay:
        kafka = choice.build(f"kafka://somebody:s3cret@127.0.0.1:{relay.port}?idempotence=off{option}")
        with pytest.raises(BrokerUnavailableError):
            await kafka.open()

    assert relay.heard.endswith(b"\x00" + len(mechanism).to_bytes(1, "big") + mechanism)


async def test_unacknowledged_producer_leaves_no_task(real_kafka: RealKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an acknowledgement, publishing fails in bounded time, and the producer stops retrying."""
    for limit in ("PUBLISH_SECONDS", "CLOSE_SECONDS"):
        monkeypatch.setattr(broker, limit, 0.5)
    before = asyncio.all_tasks()
    async with proxy.listening(ProducerIdGranted(real_kafka.server.port)) as relay:
        kafka = choice.build(real_kafka.url(relay.port).partition("?")[0])
        with pytest.raises(BrokerUnavailableError, match="TimeoutError"):
            await kafka.publish(flow_event())

    assert asyncio.all_tasks() == before
