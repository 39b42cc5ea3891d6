"""Kafka, as far as it can be shown without one: see `fake_kafka` for what it does not show."""

from collections.abc import AsyncIterator

import pytest

from app.brokers import broker, choice, kafka_topics
from app.brokers.broker import Broker
from app.errors import BrokerUnavailableError
from app.feed import cloudevents
from tests.brokers import fake_kafka
from tests.brokers.fake_kafka import FakeKafka
from tests.feed.told_events import compliance_event, flow_event

TOPIC_AUTHORIZATION_FAILED = 29


@pytest.fixture
async def kafka() -> AsyncIterator[FakeKafka]:
    """A Kafka that is made up."""
    async with fake_kafka.fake_kafka() as kafka:
        yield kafka


@pytest.fixture
async def publisher(kafka: FakeKafka) -> AsyncIterator[Broker]:
    """Our side of it."""
    publisher = choice.build(f"kafka://127.0.0.1:{kafka.port}")
    yield publisher
    await publisher.aclose()


async def test_an_event_is_a_record_of_its_types_topic(kafka: FakeKafka, publisher: Broker) -> None:
    """Key, headers and bytes are what consumers were promised; compliance events have topics of their own."""
    await publisher.publish(flow_event())
    await publisher.publish(compliance_event())

    told, compliance = kafka.records
    assert (told.topic, compliance.topic) == ("dots.flow.step_completed", "compliance.dots.background_check.flagged")
    assert (told.key, compliance.key) == (b"flow/f1", b"user/u1")
    assert told.value == cloudevents.encoded(flow_event())
    assert told.headers["content-type"] == b"application/cloudevents+json"
    assert told.headers["id"] == str(flow_event().id).encode()


async def test_a_subject_stays_in_one_partition(kafka: FakeKafka, publisher: Broker) -> None:
    """Its events lie in their order in the partition that its key stands for, with Kafka's own hash."""
    for number in range(1, 7):
        await publisher.publish(flow_event(number, flow_id=f"f{number % 2}"))

    for flow_id in ("f0", "f1"):
        mine = [record for record in kafka.records if record.key == f"flow/{flow_id}".encode()]
        expected = [number for number in range(1, 7) if f"f{number % 2}" == flow_id]
        assert {record.partition for record in mine} == {fake_kafka.partition_of(f"flow/{flow_id}".encode())}
        assert [record.headers["id"].decode() for record in mine] == [
            str(flow_event(number, flow_id=flow_id).id) for number in expected
        ]


async def test_the_producer_is_idempotent_and_waits_for_all_replicas(kafka: FakeKafka, publisher: Broker) -> None:
    """It has asked for a producer's id, and asks for the acknowledgement of every replica in sync (-1)."""
    await publisher.publish(flow_event())

    assert kafka.producers == [fake_kafka.PRODUCER_ID]
    assert kafka.acks == {-1}


async def test_a_refused_record_is_a_failure(kafka: FakeKafka, publisher: Broker) -> None:
    """What Kafka answers with an error is not published, and the next attempt connects anew."""
    kafka.error_code = TOPIC_AUTHORIZATION_FAILED

    with pytest.raises(BrokerUnavailableError, match="TopicAuthorizationFailedError"):
        await publisher.publish(flow_event())
    kafka.error_code = 0
    await publisher.publish(flow_event())

    assert len(kafka.records) == 1
    assert len(kafka.producers) == 2


async def test_a_lost_acknowledgement_does_not_double_the_record(
    kafka: FakeKafka, publisher: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The producer sends the same sequence number again over a new connection, which Kafka takes once."""
    monkeypatch.setattr(kafka_topics, "STEP_SECONDS", 0.3)
    kafka.swallowed = 1

    await publisher.publish(flow_event())

    assert [record.headers["id"].decode() for record in kafka.records] == [str(flow_event().id)]


async def test_kafka_that_goes_silent_is_given_up_on(
    kafka: FakeKafka, publisher: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No acknowledgement, ever: a failure in bounded time, and nothing is left of the producer."""
    monkeypatch.setattr(kafka_topics, "STEP_SECONDS", 0.2)
    monkeypatch.setattr(broker, "PUBLISH_SECONDS", 1.5)
    kafka.swallowed = 1_000

    with pytest.raises(BrokerUnavailableError):
        await publisher.publish(flow_event())
