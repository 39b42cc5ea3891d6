import asyncio
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

import standardwebhooks

from app.flows.rules.verdict import Verdict
from app.storage import notifications
from tests.all_inputs import LEASE, AllInputs, HandClock
from tests.feed import feeding
from tests.feed.feeding import step_events, verdict_events
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


async def test_subjects_events_come_in_order_one_after_the_other(inputs: AllInputs) -> None:
    """While one event of a flow is under way its later ones wait, those of other flows do not."""
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


async def test_failed_delivery_holds_up_its_own_flow_only(inputs: AllInputs, clock: HandClock) -> None:
    """An event that fails is tried again after 5 s, before the later ones of its flow."""
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


async def test_slow_subscriber_takes_nobody_elses_time(inputs: AllInputs) -> None:
    """With every place of one subscriber taken, another's events go out."""
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

        async def is_through() -> bool:
            await dispatcher.deliver_due()
            return len(quick.received) == 5

        await eventually(is_through)
        taken = slow.under_way
        slow.is_open.set()

    assert taken == 2


async def test_delivery_goes_out_again_when_its_worker_dies(inputs: AllInputs, clock: HandClock) -> None:
    """Sent but not noted: once the lease is over it is sent again, with the same id and body."""
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


async def test_worker_that_was_halted_changes_nothing(inputs: AllInputs, clock: HandClock) -> None:
    """When a lease has run out and another worker has delivered, the late answer of the first is not kept."""
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


async def test_compliance_events_reach_only_who_was_given_that_right(inputs: AllInputs) -> None:
    """A pattern that matches a verdict is not enough: the subscription must have been made with compliance."""
    async with subscriber.listening() as shop, subscriber.listening() as officer:
        await subscribe(inputs, shop.url, ("*",))
        await subscribe(inputs, officer.url, ("dots.background_check.*",), with_compliance=True)
        await feeding.append(inputs.engine, step_events(1))
        await feeding.append(inputs.engine, verdict_events(Verdict.FLAGGED))
        await sequence(inputs)
        await deliver(inputs)

    assert [received.event["type"] for received in shop.received] == ["dots.flow.step_completed"]
    assert [received.event["type"] for received in officer.received] == ["dots.background_check.flagged"]


async def test_types_and_app_choose_what_is_sent(inputs: AllInputs) -> None:
    """Of three subscriptions only the one with a pattern for the event, and no other app, gets it."""
    async with subscriber.listening() as shop:
        await subscribe(inputs, shop.url, ("dots.flow.step_completed",))
        await subscribe(inputs, shop.url, ("dots.flow.*",), app="eu")
        await subscribe(inputs, shop.url, ("dots.user.*",))
        await feeding.append(inputs.engine, step_events(1))
        await sequence(inputs)
        await deliver(inputs)

    assert len(shop.received) == 1


async def test_next_pass_is_woken_where_more_can_be_sent(inputs: AllInputs) -> None:
    """By a delivery whose flow has another one, and by any that leaves a full subscription; not by the last of all."""
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
