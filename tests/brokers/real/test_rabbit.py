"""Behaviour of RabbitMQ only."""

import pytest
from aio_pika import DeliveryMode, ExchangeType
from aio_pika.exceptions import ChannelPreconditionFailed

from app.brokers import choice
from app.brokers.publish_feed import publish_feed
from app.errors import BrokerUnavailableError
from tests.all_inputs import AllInputs
from tests.brokers.real.real_brokers import RealRabbit
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.feed.sample_events import flow_event
from tests.storage import stored

CURSOR = "SELECT position, last_error FROM broker_offsets"


def without_queue(real_broker: RealRabbit) -> str:
    """EVENT_BROKER_URL for operators who bind their own queues."""
    return real_broker.url().partition("?")[0]


async def test_event_without_a_queue_is_a_failure(real_rabbit: RealRabbit, inputs: AllInputs) -> None:
    """The cursor stays before an event that no queue takes. Once a queue is bound, every event arrives."""
    broker = choice.build(without_queue(real_rabbit))
    await feeding.feed(inputs.engine, step_events(3))
    with pytest.raises(BrokerUnavailableError) as caught:
        await publish_feed(inputs, broker, limit=10)
    refused = await stored.row(inputs.engine, CURSOR)
    async with real_rabbit.channel() as channel:
        queue = await channel.declare_queue("events", durable=True)
        await queue.bind("dots.events", "dots.flow.*")

        count = await publish_feed(inputs, broker, limit=10)

        messages = [await queue.get(no_ack=True) for _ in range(3)]
    await broker.aclose()

    assert refused["position"] == 0
    assert refused["last_error"] in caught.value.detail
    assert count == 3
    assert [message.redelivered for message in messages] == [False] * 3


async def test_message_is_persistent_and_has_its_properties(real_rabbit: RealRabbit) -> None:
    """The message is persistent, and has the event's id and type as AMQP properties."""
    broker = choice.build(real_rabbit.url())

    await broker.publish(flow_event())
    await broker.aclose()

    async with real_rabbit.channel() as channel:
        message = await (await channel.get_queue("events")).get(no_ack=True)
    assert message.delivery_mode is DeliveryMode.PERSISTENT
    assert message.message_id == str(flow_event().id)
    assert message.type == "dots.flow.step_completed"
    assert message.app_id == "dots-gateway"
    assert message.headers["subject"] == "flow/f1"


async def test_exchanges_and_queues_are_durable(real_rabbit: RealRabbit) -> None:
    """A repeated declaration succeeds with the same properties and fails with others."""
    broker = choice.build(real_rabbit.url())

    await broker.open()
    await broker.aclose()

    async with real_rabbit.channel() as channel:
        for name in ("dots.events", "dots.compliance"):
            await channel.declare_exchange(name, ExchangeType.TOPIC, durable=True)
        for name in ("events", "compliance.events"):
            await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
        with pytest.raises(ChannelPreconditionFailed):
            await channel.declare_exchange("dots.events", ExchangeType.FANOUT, durable=True)


async def test_wrong_password_is_not_quoted(real_rabbit: RealRabbit) -> None:
    """A wrong password is an error that may be retried. The error does not quote the password."""
    broker = choice.build(f"amqp://guest:s3cret@127.0.0.1:{real_rabbit.server.port}")

    with pytest.raises(BrokerUnavailableError) as caught:
        await broker.publish(flow_event())
    await broker.aclose()

    assert "s3cret" not in caught.value.detail
    assert "s3cret" not in repr(caught.value.__cause__)
