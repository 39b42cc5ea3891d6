from datetime import timedelta

import pytest
from sqlalchemy import update

from app.subscriptions.rules import deliveries as rules
from app.subscriptions.tables import subscription_secrets
from tests.all_inputs import AllInputs, HandClock
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.subscriptions import subscriber, subscribing
from tests.subscriptions.subscriber import Received
from tests.subscriptions.subscribing import (
    deliver,
    deliveries,
    sequence,
    subscribe,
)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WAITS = [timedelta(seconds=5), 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]


async def state(inputs: AllInputs) -> dict[str, object]:
    """The only subscription's health."""
    [row] = await subscribing.rows(inputs, "SELECT paused_by, failing_since, opened_at, held_until FROM subscriptions")
    return row


async def flows_with_one_event(inputs: AllInputs, count: int) -> None:
    """Append and number one event of each of `count` flows."""
    for number in range(count):
        await feeding.append(inputs.engine, step_events(1, flow_id=f"flow-{number}"))
    await sequence(inputs)


async def test_delivery_is_dead_after_ten_attempts(inputs: AllInputs, clock: HandClock) -> None:
    """The waits follow the schedule. Then the flow's next event is sent."""
    async with subscriber.listening(lambda received: (500 if received.about[1] == 1 else 204, {})) as shop:
        await subscribe(inputs, shop.url)
        await feeding.append(inputs.engine, step_events(2))
        await sequence(inputs)
        await deliver(inputs)
        for number, wait in enumerate(WAITS, start=2):
            clock.advance(wait - timedelta(seconds=1))
            await deliver(inputs)
            assert len(shop.received) == number - 1
            clock.advance(timedelta(seconds=1))
            await deliver(inputs)
        clock.advance(rules.BREAKER_PAUSE)  # Ten failures without a success have opened the breaker.
        await deliver(inputs)

    assert await deliveries(inputs) == [(1, "dead", 10, "status_500"), (2, "delivered", 0, None)]
    assert [received.about[1] for received in shop.received] == [1] * 10 + [2]


async def test_breaker_opens_probes_and_closes(inputs: AllInputs, clock: HandClock) -> None:
    """After 10 failures nothing is sent for 60 s. Then one probe is sent, and its success sends the rest."""
    is_down = True

    def answer(_received: Received) -> tuple[int, dict[str, str]]:
        return (503 if is_down else 204), {}

    async with subscriber.listening(answer) as shop:
        await subscribe(inputs, shop.url)
        await flows_with_one_event(inputs, 30)
        await deliver(inputs, at_once=1)
        sent = len(shop.received)
        clock.advance(timedelta(seconds=59))
        await deliver(inputs)
        held = len(shop.received)
        clock.advance(timedelta(seconds=1))
        await deliver(inputs)
        probed = len(shop.received)
        is_down = False
        clock.advance(MINUTE)
        await deliver(inputs)

    assert (sent, held, probed) == (10, 10, 11)
    assert {row[1] for row in await deliveries(inputs)} == {"delivered"}
    assert len(shop.received) == 11 + 30
    assert await state(inputs) == {"paused_by": None, "failing_since": None, "opened_at": None, "held_until": None}


async def test_breaker_stays_closed_below_its_threshold(inputs: AllInputs) -> None:
    """Six failures in ten do not open the breaker."""
    numbers = iter(range(100))
    async with subscriber.listening(lambda _received: (500 if next(numbers) % 10 >= 4 else 204, {})) as shop:
        await subscribe(inputs, shop.url)
        await flows_with_one_event(inputs, 20)
        await deliver(inputs, at_once=1)

    assert len(shop.received) == 20
    assert (await state(inputs))["opened_at"] is None


async def test_gone_pauses_the_subscription(inputs: AllInputs, clock: HandClock) -> None:
    """After a 410 nothing is sent, and the deliveries stay pending."""
    async with subscriber.listening(lambda _received: (410, {})) as shop:
        await subscribe(inputs, shop.url)
        await flows_with_one_event(inputs, 1)
        await deliver(inputs)
        clock.advance(HOUR)
        await flows_with_one_event(inputs, 0)
        await deliver(inputs)

    assert len(shop.received) == 1
    assert (await state(inputs))["paused_by"] == "gone"
    assert await deliveries(inputs) == [(1, "pending", 1, "gone")]


@pytest.mark.parametrize(
    ("status", "at_first"),
    [
        (429, 1),  # holds the whole subscription
        (503, 3),  # may concern one request, so only its delivery waits
    ],
)
async def test_retry_after_is_respected(inputs: AllInputs, clock: HandClock, status: int, at_first: int) -> None:
    """With Retry-After: 120, the delivery or the whole subscription waits two minutes instead of 5 s."""
    answers = iter([(status, {"retry-after": "120"})])
    async with subscriber.listening(lambda _received: next(answers, (204, {}))) as shop:
        await subscribe(inputs, shop.url)
        await flows_with_one_event(inputs, 3)
        await deliver(inputs, at_once=1)
        first = len(shop.received)
        clock.advance(timedelta(seconds=119))
        await deliver(inputs)
        waiting = len(shop.received)
        clock.advance(timedelta(seconds=1))
        await deliver(inputs)

    assert (first, waiting, len(shop.received)) == (at_first, at_first, 4)


@pytest.mark.parametrize(("since", "paused_by"), [(rules.PAUSED_AFTER, "failing"), (timedelta(days=4), None)])
async def test_five_days_of_failure_pause_the_subscription(
    inputs: AllInputs, clock: HandClock, since: timedelta, paused_by: str | None
) -> None:
    """A subscription is paused after five days without a success, not earlier."""
    async with subscriber.listening(lambda _received: (500, {})) as shop:
        await subscribe(inputs, shop.url)
        await flows_with_one_event(inputs, 1)
        await deliver(inputs)
        clock.advance(since)
        await deliver(inputs)

    assert len(shop.received) == 2
    assert (await state(inputs))["paused_by"] == paused_by


async def test_success_clears_earlier_failures(inputs: AllInputs, clock: HandClock) -> None:
    """The five days start again after every success."""
    answers = iter([500])
    async with subscriber.listening(lambda _received: (next(answers, 204), {})) as shop:
        await subscribe(inputs, shop.url)
        await flows_with_one_event(inputs, 1)
        await deliver(inputs)
        failing_since = (await state(inputs))["failing_since"]
        clock.advance(timedelta(seconds=5))
        await deliver(inputs)

    assert failing_since is not None
    assert (await state(inputs))["failing_since"] is None


async def test_undecryptable_secrets_hold_the_subscription(inputs: AllInputs) -> None:
    """Nothing is sent unsigned. The deliveries wait for the encryption key, and this costs no attempt."""
    async with subscriber.listening() as shop, subscriber.listening() as other:
        held = await subscribe(inputs, shop.url)
        await subscribe(inputs, other.url)
        async with inputs.engine.begin() as connection:
            taken_away = update(subscription_secrets).values(key_id="taken-away")
            await connection.execute(taken_away.where(subscription_secrets.c.subscription_id == held.subscription.id))
        await flows_with_one_event(inputs, 2)
        await deliver(inputs)

    assert (len(shop.received), len(other.received)) == (0, 2)
    assert [(row[1], row[2]) for row in sorted(await deliveries(inputs), key=str)].count(("pending", 0)) == 2
