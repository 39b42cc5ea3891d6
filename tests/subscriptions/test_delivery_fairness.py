"""Many subscriptions and one worker: sockets are bounded, and every subscription gets a share."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from app.subscriptions.push.http_push import Pusher
from tests.all_inputs import AllInputs
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.stack.waiting import eventually
from tests.storage import stored
from tests.subscriptions import subscriber
from tests.subscriptions.subscribing import dispatchers, sequence, subscribe

SLOW = 96
HEALTHY = 4
EVENTS = 3
IN_FLIGHT = 16


@pytest.fixture
async def patient(inputs: AllInputs) -> AsyncIterator[AllInputs]:
    """The inputs, with a time-out longer than any test, so no socket is replaced."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pusher = Pusher(inputs.destinations, timeout=timedelta(minutes=5), ssl_context=context, now=inputs.clock)
    yield replace(inputs, pusher=pusher)
    await pusher.aclose()


@dataclass(kw_only=True)
class Sloth:
    """A server that answers only once `may_answer` is set, and counts its open sockets."""

    url: str = ""
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    open_sockets: int = 0
    most_sockets: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.open_sockets += 1
        self.most_sockets = max(self.most_sockets, self.open_sockets)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await self.may_answer.wait()
            writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open_sockets -= 1
            writer.close()


@asynccontextmanager
async def sloth() -> AsyncIterator[Sloth]:
    """A listening sloth."""
    found = Sloth()
    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        await found.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
    try:
        yield found
    finally:
        server.close()
        found.may_answer.set()
        await asyncio.gather(*(task for task in serving if task))


async def test_slow_subscribers_do_not_starve_healthy_ones(patient: AllInputs) -> None:
    """96 of 100 subscribers do not answer. They never take all sockets, and 4 subscribers get every event."""
    async with sloth() as slow, subscriber.listening() as healthy:
        for number in range(SLOW + HEALTHY):
            await subscribe(patient, healthy.url if number % 25 == 0 else slow.url)
        # The slow subscribers have failed before, so a new worker treats them as slow.
        await stored.execute(
            patient.engine, "UPDATE subscriptions SET failing_since = now() WHERE url = :url", url=slow.url
        )
        for number in range(EVENTS):
            await feeding.append(patient.engine, step_events(1, flow_id=f"flow-{number}"))
        await sequence(patient)
        async with dispatchers(patient, in_flight=IN_FLIGHT) as dispatcher:

            async def is_served() -> bool:
                await dispatcher.deliver_due()
                return len(healthy.received) == HEALTHY * EVENTS

            await eventually(is_served)
            sockets, answered = slow.most_sockets, slow.may_answer.is_set()
            slow.may_answer.set()
        leased = await stored.rows(patient.engine, "SELECT 1 FROM delivery_queues WHERE lease_token IS NOT NULL")

    assert not answered
    assert 1 <= sockets <= IN_FLIGHT * 3 // 4
    assert leased == []


async def test_worker_opens_a_bounded_number_of_sockets(patient: AllInputs) -> None:
    """Subscribers that are not known to be slow may take every slot, and no more."""
    async with sloth() as slow:
        for _ in range(40):
            await subscribe(patient, slow.url)
        await feeding.append(patient.engine, step_events(1))
        await sequence(patient)
        async with dispatchers(patient, in_flight=IN_FLIGHT) as dispatcher:

            async def are_taken() -> bool:
                await dispatcher.deliver_due()
                return slow.open_sockets == IN_FLIGHT

            await eventually(are_taken)
            begun = await dispatcher.deliver_due()
            leased = await stored.rows(patient.engine, "SELECT 1 FROM delivery_queues WHERE lease_token IS NOT NULL")
            slow.may_answer.set()

    assert begun == 0
    assert slow.most_sockets == IN_FLIGHT
    assert len(leased) == IN_FLIGHT


async def test_abandoned_queue_below_the_floor_is_found(inputs: AllInputs) -> None:
    """A full scan finds a dead worker's queue that is due before the floor."""
    async with subscriber.listening() as shop:
        await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(2, flow_id="flow-1"))
        await feeding.append(inputs.engine, step_events(1, flow_id="flow-2"))
        await sequence(inputs)
        await stored.execute(
            inputs.engine,
            "UPDATE delivery_queues SET due_at = due_at - interval '1 hour', lease_token = gen_random_uuid(), "
            "lease_until = due_at + interval '1 hour' WHERE subject = 'flow/flow-1'",
        )
        async with dispatchers(inputs) as dispatcher:

            async def are_sent(count: int) -> bool:
                await dispatcher.deliver_due()
                return len(shop.received) == count

            await eventually(lambda: are_sent(1))
            await stored.execute(inputs.engine, "UPDATE delivery_queues SET lease_until = due_at")
            await eventually(lambda: are_sent(3))

    assert [received.about for received in shop.received] == [
        ("flow/flow-2", 1),
        ("flow/flow-1", 1),
        ("flow/flow-1", 2),
    ]
