"""Three subscribers and a broker get every event, in order, under the same id."""

import asyncio

from tests.brokers.real.real_brokers import RealBroker
from tests.journeys.arrivals import EVENTS, by_subject, first_arrivals, has, walk
from tests.stack import database
from tests.stack.gateway import Feed
from tests.stack.processes import running_stack
from tests.stack.waiting import eventually
from tests.subscriptions import subscriber


async def is_confirmed(database_url: str, count: int) -> bool:
    """Whether the broker has confirmed this many events."""
    return await database.column(database_url, "SELECT position FROM broker_offsets") == [count]


async def test_every_event_arrives_everywhere(database_url: str, unused_tcp_port: int, real_broker: RealBroker) -> None:
    """One subscriber is healthy, one is slow, one is away at first, and the broker is killed and restarted."""
    async with running_stack(database_url, EVENT_BROKER_URL=real_broker.url()) as stack:
        async with subscriber.listening() as healthy, subscriber.listening() as slow:
            slow.is_open.clear()
            for url in (healthy.url, slow.url, f"http://127.0.0.1:{unused_tcp_port}/events"):
                await stack.gateway.subscribe(url)
            await walk(stack)
            async with subscriber.listening(port=unused_tcp_port) as away:
                # Before the kill, the broker must have the first events, and with them its queues.
                await eventually(lambda: is_confirmed(database_url, EVENTS))
                real_broker.settle()
                await asyncio.to_thread(real_broker.server.kill)
                await walk(stack)
                await has(healthy, 2 * EVENTS)
                slow.is_open.set()
                await asyncio.to_thread(real_broker.server.start)
                await asyncio.gather(has(slow, 2 * EVENTS), has(away, 2 * EVENTS))

        async def is_published() -> bool:
            return len({message.id for message in await real_broker.received()}) == 2 * EVENTS

        await eventually(is_published)
        feed = by_subject(await Feed(stack.gateway).until(lambda events: len(events) >= 2 * EVENTS))
        published = {message.id: message for message in reversed(await real_broker.received())}

    for shop in (healthy, slow, away):
        assert by_subject(first_arrivals(shop.received)) == feed
    for place in {message.place for message in published.values()}:
        here = by_subject([each.envelope for each in reversed(published.values()) if each.place == place])
        # Redis has a stream per type, and a subject's events are in order within each stream.
        assert all(ids == [each for each in feed[subject] if each in ids] for subject, ids in here.items())
