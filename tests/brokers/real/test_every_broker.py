"""Behaviour of all four brokers, tested with real servers."""

import asyncio
from collections import defaultdict
from functools import partial

import pytest

from app.brokers import (
    choice,
    kafka_topics,
    nats_stream,
    rabbit_exchange,
    redis_streams,
)
from app.brokers.broker import Broker
from app.brokers.publish_feed import publish_feed
from app.errors import BrokerUnavailableError
from app.feed import cloudevents, event_rows
from app.feed.events import EventRecord
from app.flows.rules.verdict import Verdict
from app.storage import database
from tests.all_inputs import AllInputs
from tests.brokers.real.real_brokers import RealBroker, Received
from tests.brokers.real.relay import AcknowledgementsLost, Relay
from tests.faults.campaigns import proxy
from tests.faults.campaigns.proxy import NetworkFaults
from tests.feed import feeding
from tests.feed.feeding import step_events, verdict_events
from tests.stack.waiting import eventually
from tests.storage import stored

FLOWS = 5
STEPS = 8


async def feed_many(inputs: AllInputs, *, already: int = 0) -> None:
    """Append more steps of several flows, alternating, and at first a background check with two verdicts."""
    for step in range(already, already + STEPS):
        for flow in range(FLOWS):
            steps = step_events(step + 1, flow_id=f"flow-{flow}")[step:]
            await feeding.append(inputs.engine, steps, after_sequence=step)
    if not already:
        await feeding.append(inputs.engine, verdict_events(Verdict.CLEARED, Verdict.FLAGGED))
    await feeding.stamp(inputs.engine)


async def read_events(inputs: AllInputs) -> list[EventRecord]:
    """The whole feed."""
    async with database.transaction(inputs.engine) as connection:
        return await event_rows.between(connection, after=0, up_to=10_000, types=None, limit=10_000)


def sequences(received: list[Received]) -> dict[tuple[str, str], list[int]]:
    """The sequence numbers of each subject in each place, in the order of first arrival."""
    found: defaultdict[tuple[str, str], dict[int, None]] = defaultdict(dict)
    for message in received:
        found[message.place, message.envelope["subject"]][int(message.envelope["sequence"])] = None
    return {key: list(numbers) for key, numbers in found.items()}


def check_complete(events: list[EventRecord], received: list[Received]) -> None:
    """Check that every event has arrived unchanged under its id, in order within its subject."""
    assert {message.id: message.body for message in received} == {
        str(event.id): cloudevents.encoded(event) for event in events
    }
    assert all(message.body == cloudevents.encoded(by_id(events, message.id)) for message in received)
    for numbers in sequences(received).values():
        assert numbers == sorted(numbers)


def by_id(events: list[EventRecord], wanted: str) -> EventRecord:
    """The event with this id."""
    return next(event for event in events if str(event.id) == wanted)


async def has_stored(relay: AcknowledgementsLost, real_broker: RealBroker, event: EventRecord) -> bool:
    """Whether the broker has stored this event, whose acknowledgement is lost."""
    return relay.is_losing and any(message.id == str(event.id) for message in await real_broker.received())


async def attempt(inputs: AllInputs, broker: Broker, *, limit: int) -> int | None:
    """One pass. None if it failed."""
    try:
        return await publish_feed(inputs, broker, limit=limit)
    except BrokerUnavailableError:
        return None


async def publish_some(inputs: AllInputs, broker: Broker, real_broker: RealBroker) -> None:
    """Publish ten events. The broker's streams and queues survive a kill."""
    await broker.open()
    await broker.aclose()
    real_broker.settle()

    async def is_done() -> bool:
        await attempt(inputs, broker, limit=10 - await position(inputs))
        return await position(inputs) == 10

    await eventually(is_done)


async def publish_all(inputs: AllInputs, broker: Broker) -> None:
    """Publish all events, with retries, because RabbitMQ refuses for a while after a restart."""

    async def is_done() -> bool:
        return await attempt(inputs, broker, limit=1000) == 0

    await eventually(is_done)


async def position(inputs: AllInputs) -> int:
    """The position of the broker's cursor."""
    found = await stored.rows(inputs.engine, "SELECT position FROM broker_offsets")
    return found[0]["position"] if found else 0


async def test_events_arrive_once_and_in_order(real_broker: RealBroker, broker: Broker, inputs: AllInputs) -> None:
    """Id, content type, address and bytes are as documented. Compliance events have their own places."""
    await feed_many(inputs)

    while await publish_feed(inputs, broker, limit=7):
        pass

    events, received = await read_events(inputs), await real_broker.received()
    check_complete(events, received)
    assert len(received) == len(events) == FLOWS * STEPS + 2
    assert {message.content_type for message in received} == {"application/cloudevents+json"}
    assert {message.address for message in received} == {
        "dots.flow.step_completed",
        "compliance.dots.background_check.cleared",
        "compliance.dots.background_check.flagged",
    }
    for message in received:
        prefix = "compliance." if message.envelope["subject"].startswith("user/") else ""
        assert message.address == prefix + message.envelope["type"]
    compliance = {message.place for message in received if message.address.startswith("compliance.")}
    others = {message.place for message in received if not message.address.startswith("compliance.")}
    assert compliance & others == set()


async def test_restarted_broker_gets_every_event(real_broker: RealBroker, broker: Broker, inputs: AllInputs) -> None:
    """The server is killed during a pass. Passes fail until it is back, then publishing continues."""
    await feed_many(inputs)
    await publish_some(inputs, broker, real_broker)
    with pytest.raises(BrokerUnavailableError):
        await publish_feed(inputs, KilledAt(broker, real_broker, event=10), limit=1000)
    with pytest.raises(BrokerUnavailableError):
        await publish_feed(inputs, broker, limit=1000)
    reached = await position(inputs)
    await feed_many(inputs, already=STEPS)
    real_broker.server.start()

    await publish_all(inputs, broker)

    events, received = await read_events(inputs), await real_broker.received()
    assert 10 <= reached < 20
    assert len(events) == 2 * FLOWS * STEPS + 2
    check_complete(events, received)


async def test_lost_acknowledgement_repeats_the_same_id(real_broker: RealBroker, inputs: AllInputs) -> None:
    """The broker has stored an event without our knowledge. It is sent again before later events of its subject."""
    await feed_many(inputs)
    events = await read_events(inputs)
    lost = events[20]
    async with proxy.listening(AcknowledgementsLost(real_broker.server.port, after=cloudevents.encoded(lost))) as relay:
        broker = choice.build(real_broker.url(relay.port))
        publishing = asyncio.create_task(attempt(inputs, broker, limit=1000))
        await eventually(partial(has_stored, relay, real_broker, lost))
        relay.mend()
        # Kafka's client itself resends its batch. With the others, the next pass does.
        assert (await publishing is None) == (not real_broker.url().startswith("kafka"))
        await publish_all(inputs, broker)
        await broker.aclose()

    received = await real_broker.received()
    copies = [message for message in received if message.id == str(lost.id)]
    check_complete(events, received)
    # NATS recognizes the id and keeps one copy. The others keep both, and consumers compare ids.
    assert (len(copies) == 1) == real_broker.url().startswith("nats")


async def test_silent_connection_is_replaced(
    real_broker: RealBroker, inputs: AllInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a firewall drops the connection silently, publishing fails in bounded time, and a new one works."""
    for module in (nats_stream, rabbit_exchange, kafka_topics, redis_streams):
        monkeypatch.setattr(module, "STEP_SECONDS", 1)
    await feed_many(inputs)
    async with proxy.listening(Relay(real_broker.server.port)) as relay:
        broker = choice.build(real_broker.url(relay.port))
        await publish_feed(inputs, broker, limit=10)
        relay.network_faults = NetworkFaults(is_half_open=True)
        with pytest.raises(BrokerUnavailableError):
            await publish_feed(inputs, broker, limit=10)
        relay.network_faults = proxy.FAIR
        await publish_all(inputs, broker)
        await broker.aclose()

    check_complete(await read_events(inputs), await real_broker.received())


async def test_broker_can_be_closed_while_its_server_is_gone(
    real_broker: RealBroker, broker: Broker, inputs: AllInputs
) -> None:
    """Closing a dead connection neither fails nor hangs, and the broker can connect again."""
    await feed_many(inputs)
    await publish_some(inputs, broker, real_broker)
    real_broker.server.kill()
    await broker.aclose()
    real_broker.server.start()

    await publish_all(inputs, broker)

    check_complete(await read_events(inputs), await real_broker.received())


class KilledAt:
    """A broker that kills its server before the given event, while others are in flight."""

    def __init__(self, broker: Broker, real_broker: RealBroker, *, event: int) -> None:
        self.name = broker.name
        self._broker = broker
        self._real_broker = real_broker
        self._left = event

    async def open(self) -> None:
        """Connect."""
        await self._broker.open()

    async def publish(self, event: EventRecord) -> None:
        """Publish. At the given event, kill the server first."""
        self._left -= 1
        if self._left == 0:
            self._real_broker.server.kill()
        await self._broker.publish(event)

    async def aclose(self) -> None:
        """Close."""
        await self._broker.aclose()
