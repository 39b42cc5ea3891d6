import asyncio
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

import standardwebhooks

from app.storage import notifications
from tests.all_inputs import LEASE, AllInputs, HandClock
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.stack.waiting import eventually
from tests.subscriptions import subscriber, subscribing
from tests.subscriptions.subscriber import Received
from tests.subscriptions.subscribing import (
    deliver,
    deliveries,
    dispatchers,
    sequence,
    subscribe,
)


async def test_event_arrives_signed_once(
    inputs: AllInputs, clock: HandClock, logs: list[MutableMapping[str, Any]]
) -> None:
    """A subscriber gets each event as a CloudEvent that the official Standard Webhooks package verifies."""
    async with subscriber.listening() as shop:
        subscription = await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(1))
        await sequence(inputs)
        await deliver(inputs)

    [received] = shop.received
    signing = standardwebhooks.Webhook(subscription.secret)
    content = received.body.decode()
    signature = signing.sign(received.event["id"], clock.now, content)
    assert received.headers["webhook-signature"] == signature
    assert received.headers["webhook-id"] == received.event["id"]
    assert received.event["type"] == "dots.flow.step_completed"
    assert await deliveries(inputs) == [(1, "delivered", 0, None)]
    assert logs == [
        {
            "event": "delivery attempted",
            "log_level": "info",
            "subscription": str(subscription.subscription.id),
            "event_id": received.event["id"],
            "attempts": 1,
            "outcome": "delivered",
            "error": None,
        }
    ]


async def test_events_of_a_subject_are_sent_in_order(inputs: AllInputs) -> None:
    """While an event of a flow is in flight, later events of that flow wait, and other flows do not."""
    async with subscriber.listening() as shop:
        shop.is_open.clear()
        await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(3, flow_id="a"))
        await feeding.append(inputs.engine, step_events(1, flow_id="b"))
        await sequence(inputs)
        async with dispatchers(inputs) as dispatcher:
            await dispatcher.deliver_due()
            await shop.has_under_way(2)
            begun = await dispatcher.deliver_due()
            under_way = sorted(received.about for received in shop.received)
            shop.is_open.set()
        await deliver(inputs)

    assert begun == 0
    assert under_way == [("flow/a", 1), ("flow/b", 1)]
    order = [received.about for received in shop.received if received.about[0] == "flow/a"]
    assert order == [("flow/a", 1), ("flow/a", 2), ("flow/a", 3)]


async def test_failed_delivery_delays_only_its_flow(inputs: AllInputs, clock: HandClock) -> None:
    """A failed event is retried after 5 s, before later events of its flow."""
    refused = {("flow/a", 1)}

    def answer(received: Received) -> tuple[int, dict[str, str]]:
        return (500 if received.about in refused else 204), {}

    async with subscriber.listening(answer) as shop:
        await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(2, flow_id="a"))
        await feeding.append(inputs.engine, step_events(2, flow_id="b"))
        await sequence(inputs)
        await deliver(inputs)
        first = [received.about for received in shop.received]
        refused.clear()
        clock.advance(timedelta(seconds=5))
        await deliver(inputs)

    assert sorted(first) == [("flow/a", 1), ("flow/b", 1), ("flow/b", 2)]
    assert [received.about for received in shop.received[3:]] == [("flow/a", 1), ("flow/a", 2)]
    assert await deliveries(inputs) == [
        (1, "delivered", 1, None),
        (2, "delivered", 0, None),
        (3, "delivered", 0, None),
        (4, "delivered", 0, None),
    ]


async def test_slow_subscriber_does_not_delay_others(inputs: AllInputs) -> None:
    """While all slots of one subscription are taken, another subscription gets its events."""
    async with (
        subscriber.listening() as slow,
        subscriber.listening() as quick,
        dispatchers(inputs, at_once=2) as dispatcher,
    ):
        slow.is_open.clear()
        await subscribe(inputs, slow.url)
        await subscribe(inputs, quick.url)
        for flow_id in "abcde":
            await feeding.append(inputs.engine, step_events(1, flow_id=flow_id))
        await sequence(inputs)

        async def is_served() -> bool:
            await dispatcher.deliver_due()
            return len(quick.received) == 5

        await eventually(is_served)
        taken = slow.under_way
        slow.is_open.set()

    assert taken == 2


async def test_delivery_is_repeated_after_its_worker_dies(inputs: AllInputs, clock: HandClock) -> None:
    """A delivery that was sent but not recorded is sent again after the lease, with the same id and body."""
    async with subscriber.listening() as shop:
        shop.is_open.clear()
        await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(1))
        await sequence(inputs)
        died = asyncio.create_task(deliver(inputs))
        await shop.has_under_way(1)
        died.cancel()
        await asyncio.gather(died, return_exceptions=True)
        shop.is_open.set()
        await deliver(inputs)
        too_early = len(shop.received)
        clock.advance(LEASE)
        await deliver(inputs)

    assert too_early == 1
    first, second = shop.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert await deliveries(inputs) == [(1, "delivered", 0, None)]


async def test_late_result_is_fenced(inputs: AllInputs, clock: HandClock) -> None:
    """After a lease has expired and another worker has delivered, the first worker's result is not saved."""
    async with subscriber.listening() as shop, dispatchers(inputs) as halted:
        shop.is_open.clear()
        await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(2))
        await sequence(inputs)
        await halted.deliver_due()
        await shop.has_under_way(1)
        clock.advance(LEASE)
        other = asyncio.create_task(deliver(inputs))
        await shop.has_under_way(2)
        shop.answer = lambda _received: (500 if len(shop.received) > 2 else 204, {})
        shop.is_open.set()
        await other

    attempts = await subscribing.rows(inputs, "SELECT position, error FROM delivery_attempts ORDER BY id")
    assert attempts == [{"position": 1, "error": None}, {"position": 2, "error": "status_500"}]


async def test_types_and_app_select_events(inputs: AllInputs) -> None:
    """Only the subscription with a matching type and app gets the event."""
    async with subscriber.listening() as shop:
        await subscribe(inputs, shop.url, ("dots.flow.step_completed",))
        await subscribe(inputs, shop.url, ("dots.flow.*",), app="eu")
        await subscribe(inputs, shop.url, ("dots.user.*",))
        await feeding.append(inputs.engine, step_events(1))
        await sequence(inputs)
        await deliver(inputs)

    assert len(shop.received) == 1


async def test_next_pass_is_woken_if_more_is_due(inputs: AllInputs) -> None:
    """A delivery wakes the next pass if its flow has another event or all slots were taken, otherwise not."""
    woken = []
    async with subscriber.listening() as shop:
        await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(2, flow_id="a"))
        await sequence(inputs)
        for _ in range(2):
            notification = inputs.notifications.next(notifications.DELIVERABLE)
            async with dispatchers(inputs) as dispatcher:
                await dispatcher.deliver_due()
            woken.append(notification.is_set())
        await feeding.append(inputs.engine, step_events(1, flow_id="b"))
        await feeding.append(inputs.engine, step_events(1, flow_id="c"))
        await sequence(inputs)
        notification = inputs.notifications.next(notifications.DELIVERABLE)
        async with dispatchers(inputs, at_once=1) as dispatcher:
            await dispatcher.deliver_due()

    assert woken == [True, False]
    assert notification.is_set()
