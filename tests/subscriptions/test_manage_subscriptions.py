import asyncio
import base64
import dataclasses
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.errors import (
    DatabaseUnavailableError,
    DestinationRefusedError,
    EncryptionUnavailableError,
    GatewayError,
    InvalidFieldsError,
    SubscriptionNotFoundError,
    UnknownAppError,
)
from app.storage import notifications
from app.subscriptions import (
    manage_secrets,
    manage_subscriptions,
    redeliver,
    send_test_event,
    subscription_rows,
)
from app.subscriptions.rules.subscriptions import SubscriptionChange, SubscriptionRequest
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
NOBODY = UUID(int=1)
EVERY_TABLE = ("subscriptions", "subscription_secrets", "delivery_queues", "deliveries", "delivery_attempts")


async def steps_arrive(inputs: AllInputs, count: int, *, after: int = 0) -> None:
    """So many more steps of one flow are completed, and have their deliveries."""
    await feeding.append(inputs.engine, step_events(after + count)[after:], after_sequence=after)
    await sequence(inputs)


async def test_subscription_is_kept_as_it_was_asked_for(inputs: AllInputs, clock: HandClock) -> None:
    """What was made is what is read, and patterns given twice are one."""
    request = SubscriptionRequest(
        url=URL, types=["dots.flow.*", "dots.flow.*", "dots.user.*"], app="eu", description="Orders"
    )

    made = await manage_subscriptions.create_subscription(inputs, request, caller="shop")

    kept = await manage_subscriptions.read_subscription(inputs.engine, made.subscription.id)
    assert kept == made.subscription
    assert (kept.url, kept.types, kept.app, kept.description) == (URL, ("dots.flow.*", "dots.user.*"), "eu", "Orders")
    assert (kept.caller, kept.created_at, kept.with_compliance, kept.is_paused) == ("shop", clock(), False, False)


async def test_secret_is_nowhere_in_the_database(inputs: AllInputs) -> None:
    """Neither as it is written nor as the bytes it stands for."""
    made = await subscribe(inputs, URL)

    (row,) = await stored.rows(inputs.engine, "SELECT * FROM subscription_secrets")
    shown = repr([row, *await stored.rows(inputs.engine, "SELECT * FROM subscriptions")])
    key = base64.b64decode(made.secret.removeprefix("whsec_"))
    assert len(key) == 32
    assert made.secret not in shown
    assert key not in row["ciphertext"]
    assert row["key_id"] == "test"


async def test_without_encryption_keys_there_is_no_subscription(inputs: AllInputs) -> None:
    """Rather none than one whose secret lies about; the message names the setting."""
    with pytest.raises(EncryptionUnavailableError, match="ENCRYPTION_KEYS"):
        await subscribe(dataclasses.replace(inputs, secret_cipher=None), URL)

    assert await stored.count(inputs.engine, "subscriptions") == 0


WRONG: list[tuple[SubscriptionChange, type[GatewayError]]] = [
    ({"url": "http://192.0.2.1/events"}, DestinationRefusedError),
    ({"url": "http://169.254.169.254/latest"}, DestinationRefusedError),
    ({"url": "file:///etc/passwd"}, DestinationRefusedError),
    ({"types": ("dots.flow.finished",)}, InvalidFieldsError),
    ({"types": ()}, InvalidFieldsError),
    ({"types": ("dots.background_check.*",)}, InvalidFieldsError),
    ({"app": "nowhere"}, UnknownAppError),
]


@pytest.mark.parametrize(("wrong", "error"), WRONG)
async def test_what_cannot_be_is_not_made(
    inputs: AllInputs, wrong: SubscriptionChange, error: type[GatewayError]
) -> None:
    """Refused before anything is stored."""
    request: dict[str, Any] = {"url": URL, "types": ("*",), **wrong}

    with pytest.raises(error):
        await manage_subscriptions.create_subscription(inputs, SubscriptionRequest(**request), caller="shop")

    assert await stored.count(inputs.engine, "subscriptions") == 0


@pytest.mark.parametrize(("wrong", "error"), WRONG)
async def test_what_cannot_be_is_not_made_of_one_that_is(
    inputs: AllInputs, wrong: SubscriptionChange, error: type[GatewayError]
) -> None:
    """A change is checked like a creation, and a refused one leaves everything as it was."""
    before = (await subscribe(inputs, URL)).subscription

    with pytest.raises(error):
        await manage_subscriptions.change_subscription(inputs, before.id, wrong)

    assert await manage_subscriptions.read_subscription(inputs.engine, before.id) == before


async def test_change_touches_only_what_it_names(inputs: AllInputs) -> None:
    """What is left out stays; None takes away."""
    before = (await subscribe(inputs, URL, ["dots.user.*"], app="eu")).subscription

    changed = await manage_subscriptions.change_subscription(
        inputs, before.id, {"types": ("dots.flow.*",), "app": None, "description": "Orders"}
    )

    assert changed == dataclasses.replace(before, types=("dots.flow.*",), app=None, description="Orders")
    assert await manage_subscriptions.read_subscription(inputs.engine, before.id) == changed


async def test_what_waits_goes_to_the_new_url(inputs: AllInputs) -> None:
    """A receiver that has moved gets what its old place did not."""
    made = await subscribe(inputs, URL)
    await steps_arrive(inputs, 2)
    async with subscriber.listening() as moved:
        await manage_subscriptions.change_subscription(inputs, made.subscription.id, {"url": moved.url})
        await deliver(inputs)

    assert [received.about[1] for received in moved.received] == [1, 2]


async def test_paused_deliveries_wait_and_are_sent_in_order_when_resumed(inputs: AllInputs, clock: HandClock) -> None:
    """They are made all the while, so that nothing is missed."""
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


async def test_resuming_does_not_wait_for_the_next_attempt_or_the_breaker(inputs: AllInputs, clock: HandClock) -> None:
    """Whoever resumes says that the receiver is well again."""
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


async def test_pausing_again_keeps_when_and_why(inputs: AllInputs, clock: HandClock) -> None:
    """The reason is what somebody will want to know."""
    made = await subscribe(inputs, URL)
    first = await manage_subscriptions.pause_subscription(inputs, made.subscription.id)
    clock.advance(timedelta(hours=1))

    second = await manage_subscriptions.pause_subscription(inputs, made.subscription.id)

    assert second == first


@pytest.mark.parametrize("at_once", [1, 10_000])
async def test_deleted_subscription_leaves_nothing(
    inputs: AllInputs, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Secrets, deliveries and attempts go with it, in however many batches; others stay."""
    monkeypatch.setattr(manage_subscriptions, "DELETED_AT_ONCE", at_once)
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


async def test_deletion_that_broke_off_is_done_by_deleting_again(
    inputs: AllInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left gets nothing more, and is there to be deleted."""

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


async def test_deleting_while_events_come_and_go_ends_well(inputs: AllInputs) -> None:
    """Sequencing and sending take the same rows in the same order, so that none of them is a deadlock's victim."""
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


@pytest.mark.parametrize(
    "act",
    [
        lambda inputs: manage_subscriptions.read_subscription(inputs.engine, NOBODY),
        lambda inputs: manage_subscriptions.change_subscription(inputs, NOBODY, {}),
        lambda inputs: manage_subscriptions.pause_subscription(inputs, NOBODY),
        lambda inputs: manage_subscriptions.resume_subscription(inputs, NOBODY),
        lambda inputs: manage_subscriptions.delete_subscription(inputs, NOBODY),
        lambda inputs: manage_secrets.rotate_secret(inputs, NOBODY),
        lambda inputs: send_test_event.send_test_event(inputs, NOBODY),
        lambda inputs: redeliver.redeliver_one(inputs, NOBODY, NOBODY),
    ],
)
async def test_unknown_subscription_is_said_to_be_unknown(
    inputs: AllInputs, act: Callable[[AllInputs], Awaitable[object]]
) -> None:
    """By everything that is asked for one."""
    with pytest.raises(SubscriptionNotFoundError):
        await act(inputs)
