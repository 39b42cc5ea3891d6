"""Behaviour that only Kafka has. The broker is Tansu, here without idempotent producers, TLS and users."""

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


async def test_an_event_is_a_record_of_its_types_topic(real_kafka: RealKafka) -> None:
    """Topic, key, headers and bytes are what consumers were promised; compliance events have topics of their own."""
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


async def test_a_subject_stays_in_one_partition(real_kafka: RealKafka) -> None:
    """Kafka's own hash of the key chooses the partition, as other producers of the company do."""
    async with aclosing(choice.build(real_kafka.url())) as kafka:
        for number in range(1, 9):
            await kafka.publish(flow_event(number, flow_id=f"f{number % 4}"))

    records = await real_kafka.records()
    assert len({record.key for record in records}) == 4
    assert len({record.partition for record in records}) > 1
    for record in records:
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 4


async def test_a_refusal_of_idempotent_producers_names_the_option(
    real_kafka: RealKafka, inputs: AllInputs, logs: list[MutableMapping[str, Any]]
) -> None:
    """Producers are idempotent unless the URL says otherwise; the error and the log tell the operator what to do."""
    await feeding.feed(inputs.engine, step_events(1))

    async with aclosing(choice.build(real_kafka.url().partition("?")[0])) as kafka:
        with pytest.raises(BrokerUnavailableError, match=r"\?idempotence=off"):
            await publish_feed(inputs, kafka, limit=10)

    assert any("?idempotence=off" in line.get("error", "") for line in logs)
    assert await real_kafka.records() == []


async def test_every_replica_has_to_acknowledge(real_kafka: RealKafka) -> None:
    """The producer asks for `acks=all` without idempotence too, which would imply it."""
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
async def test_a_user_is_proven_by_the_mechanism_of_the_url(
    real_kafka: RealKafka, option: str, mechanism: bytes
) -> None:
    """The client asks for this mechanism and, refused, sends nothing more. The default never sends a password."""
    async with proxy.listening(Recorder(real_kafka.server.port)) as relay:
        kafka = choice.build(f"kafka://somebody:s3cret@127.0.0.1:{relay.port}?idempotence=off{option}")
        with pytest.raises(BrokerUnavailableError):
            await kafka.open()

    assert relay.heard.endswith(b"\x00" + len(mechanism).to_bytes(1, "big") + mechanism)


async def test_an_idempotent_producer_that_waits_in_vain_leaves_nothing_behind(
    real_kafka: RealKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an acknowledgement publishing fails in bounded time. The producer, which would retry for ever, ends."""
    for limit in ("PUBLISH_SECONDS", "CLOSE_SECONDS"):
        monkeypatch.setattr(broker, limit, 0.5)
    before = asyncio.all_tasks()
    async with proxy.listening(ProducerIdGranted(real_kafka.server.port)) as relay:
        kafka = choice.build(real_kafka.url(relay.port).partition("?")[0])
        with pytest.raises(BrokerUnavailableError, match="TimeoutError"):
            await kafka.publish(flow_event())

    assert asyncio.all_tasks() == before
