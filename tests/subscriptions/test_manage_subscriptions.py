import asyncio
import base64
from datetime import timedelta

import pytest

from app.errors import (
    DatabaseUnavailableError,
    DestinationRefusedError,
    GatewayError,
    InvalidFieldsError,
    UnknownAppError,
)
from app.storage import notifications
from app.subscriptions import (
    manage_subscriptions,
    subscription_rows,
)
from app.subscriptions.rules.subscriptions import SubscriptionChange
from tests.all_inputs import AllInputs, HandClock
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.storage import stored
from tests.subscriptions import subscriber
from tests.subscriptions.subscribing import (
    deliver,
    deliveries,
    sequence,
    subscribe,
)

URL = "http://127.0.0.1:9/events"
EVERY_TABLE = ("subscriptions", "subscription_secrets", "delivery_queues", "deliveries", "delivery_attempts")


async def steps_arrive(inputs: AllInputs, count: int, *, after: int = 0) -> None:
    """Append `count` more completed steps of one flow, and create their deliveries."""
    await feeding.append(inputs.engine, step_events(after + count)[after:], after_sequence=after)
    await sequence(inputs)


async def test_secret_is_stored_encrypted(inputs: AllInputs) -> None:
    """The database holds neither the written secret nor its bytes."""
    made = await subscribe(inputs, URL)

    (row,) = await stored.rows(inputs.engine, "SELECT * FROM subscription_secrets")
    shown = repr([row, *await stored.rows(inputs.engine, "SELECT * FROM subscriptions")])
    key = base64.b64decode(made.secret.removeprefix("whsec_"))
    assert len(key) == 32
    assert made.secret not in shown
    assert key not in row["ciphertext"]
    assert row["key_id"] == "test"


INVALID: list[tuple[SubscriptionChange, type[GatewayError]]] = [
    ({"url": "http://192.0.2.1/events"}, DestinationRefusedError),
    ({"url": "http://169.254.169.254/latest"}, DestinationRefusedError),
    ({"url": "file:///etc/passwd"}, DestinationRefusedError),
    ({"types": ("dots.flow.finished",)}, InvalidFieldsError),
    ({"types": ()}, InvalidFieldsError),
    ({"types": ("dots.background_check.*",)}, InvalidFieldsError),
    ({"app": "nowhere"}, UnknownAppError),
]


async def test_invalid_change_is_refused(inputs: AllInputs) -> None:
    """A refused change leaves the subscription unchanged."""
    before = (await subscribe(inputs, URL)).subscription

    for change, error in INVALID:
        with pytest.raises(error):
            await manage_subscriptions.change_subscription(inputs, before.id, change)

    assert await manage_subscriptions.read_subscription(inputs.engine, before.id) == before


async def test_pending_deliveries_go_to_the_new_url(inputs: AllInputs) -> None:
    """After a change of URL, the new receiver gets the pending deliveries."""
    made = await subscribe(inputs, URL)
    await steps_arrive(inputs, 2)
    async with subscriber.listening() as moved:
        await manage_subscriptions.change_subscription(inputs, made.subscription.id, {"url": moved.url})
        await deliver(inputs)

    assert [received.about[1] for received in moved.received] == [1, 2]


async def test_resumed_subscription_gets_waiting_deliveries_in_order(inputs: AllInputs, clock: HandClock) -> None:
    """Deliveries are created during the pause, so none is missed."""
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url)
        paused = await manage_subscriptions.pause_subscription(inputs, made.subscription.id)
        await steps_arrive(inputs, 2)
        clock.advance(timedelta(days=1))
        await steps_arrive(inputs, 1, after=2)
        await deliver(inputs)
        received_while_paused = len(shop.received)
        notification = inputs.notifications.next(notifications.DELIVERABLE)
        resumed = await manage_subscriptions.resume_subscription(inputs, made.subscription.id)
        await deliver(inputs)

    assert (paused.paused_by, received_while_paused, resumed.is_paused) == ("caller", 0, False)
    assert [received.about[1] for received in shop.received] == [1, 2, 3]
    assert notification.is_set()


async def test_resuming_retries_immediately(inputs: AllInputs, clock: HandClock) -> None:
    """Resuming skips the wait for the next attempt and closes the breaker."""
    is_down = True
    async with subscriber.listening(lambda _received: (500 if is_down else 204, {})) as shop:
        made = await subscribe(inputs, shop.url)
        await steps_arrive(inputs, 1)
        await deliver(inputs)
        await stored.execute(
            inputs.engine,
            "UPDATE subscriptions SET opened_at = :now, held_until = :later",
            now=clock(),
            later=clock() + timedelta(hours=1),
        )
        is_down = False
        resumed = await manage_subscriptions.resume_subscription(inputs, made.subscription.id)
        await deliver(inputs)

    assert await deliveries(inputs) == [(1, "delivered", 1, None)]
    assert (resumed.failing_since, resumed.opened_at, resumed.held_until) == (None, None, None)
    assert resumed.closed_at == clock()


async def test_deleted_subscription_leaves_no_rows(inputs: AllInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deletion in batches also deletes secrets, deliveries and attempts. Other subscriptions keep theirs."""
    monkeypatch.setattr(manage_subscriptions, "DELETED_AT_ONCE", 1)
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url)
        other = await subscribe(inputs, shop.url)
        await steps_arrive(inputs, 1)
        await deliver(inputs)
    await steps_arrive(inputs, 1, after=1)
    await manage_subscriptions.delete_subscription(inputs, made.subscription.id)

    left = {table: await stored.count(inputs.engine, table) for table in EVERY_TABLE}
    listed = await manage_subscriptions.list_subscriptions(inputs.engine, before=None, limit=10)
    assert listed == [other.subscription]
    assert left == {
        "subscriptions": 1,
        "subscription_secrets": 1,
        "delivery_queues": 1,
        "deliveries": 2,
        "delivery_attempts": 1,
    }


async def test_interrupted_deletion_can_be_repeated(inputs: AllInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-deleted subscription gets no further deliveries, and can be deleted again."""

    async def break_off(*_arguments: object, **_more: object) -> int:
        raise DatabaseUnavailableError

    made = await subscribe(inputs, URL)
    await steps_arrive(inputs, 1)
    with monkeypatch.context() as patch:
        patch.setattr(subscription_rows, "delete_deliveries", break_off)
        with pytest.raises(DatabaseUnavailableError):
            await manage_subscriptions.delete_subscription(inputs, made.subscription.id)
    await steps_arrive(inputs, 1, after=1)
    (left,) = await manage_subscriptions.list_subscriptions(inputs.engine, before=None, limit=10)
    made_since = await stored.count(inputs.engine, "deliveries") - 1

    await manage_subscriptions.delete_subscription(inputs, made.subscription.id)

    assert (left.types, left.is_paused, made_since) == ((), True, 0)
    assert [await stored.count(inputs.engine, table) for table in EVERY_TABLE] == [0] * 5


async def test_deletion_does_not_deadlock(inputs: AllInputs) -> None:
    """Sequencing, sending and deleting lock rows in the same order."""
    async with subscriber.listening() as shop:
        made = [await subscribe(inputs, shop.url) for _ in range(5)]
        for number in range(20):
            await feeding.append(inputs.engine, step_events(2, flow_id=f"flow-{number}"))
        await asyncio.gather(
            sequence(inputs),
            deliver(inputs),
            *(manage_subscriptions.delete_subscription(inputs, each.subscription.id) for each in made[1:]),
        )
        await deliver(inputs)

    assert {row[1] for row in await deliveries(inputs)} == {"delivered"}
    assert len(await deliveries(inputs)) == 40
