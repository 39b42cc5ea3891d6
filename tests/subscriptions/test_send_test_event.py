import dataclasses
import json
from datetime import UTC, datetime

import pytest
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook

from app.errors import EncryptionUnavailableError
from app.subscriptions import manage_secrets, manage_subscriptions, send_test_event
from tests.all_inputs import AllInputs, HandClock
from tests.storage import stored
from tests.subscriptions import subscriber
from tests.subscriptions.subscribing import subscribe


async def test_test_event_is_a_signed_cloudevent(inputs: AllInputs, clock: HandClock) -> None:
    """The official libraries parse it, and verify it with the new and the previous secret."""
    clock.now = datetime.now(UTC)  # The library's own clock is the machine's.
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url)
        rotated = await manage_secrets.rotate_secret(inputs, made.subscription.id)
        answer = await send_test_event.send_test_event(inputs, made.subscription.id)

    (received,) = shop.received
    verified = [Webhook(secret).verify(received.body, received.headers) for secret in (made.secret, rotated.secret)]
    event = JSONFormat().read(None, received.body)
    assert (answer.status, answer.error) == (204, None)
    assert verified == [received.event, received.event]
    assert event.get_type() == "dots.subscription.test"
    assert event.get_subject() == f"subscription/{made.subscription.id}"
    assert event.get_id() == received.headers["webhook-id"]
    assert event.get_data() == {"subscription_id": str(made.subscription.id)}


async def test_test_event_is_sent_once_and_not_stored(inputs: AllInputs) -> None:
    """The outcome is returned. It does not count for the breaker, and the event is not in the feed."""
    async with subscriber.listening(lambda _received: (503, {})) as shop:
        made = await subscribe(inputs, shop.url)
        answer = await send_test_event.send_test_event(inputs, made.subscription.id)

    counts = [await stored.count(inputs.engine, table) for table in ("events", "deliveries", "delivery_attempts")]
    assert (answer.status, answer.error, len(shop.received), counts) == (503, "status_503", 1, [0, 0, 0])
    assert await manage_subscriptions.read_subscription(inputs.engine, made.subscription.id) == made.subscription


async def test_unreachable_receiver_is_an_outcome(inputs: AllInputs) -> None:
    """The outcome has an error code."""
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url)

    answer = await send_test_event.send_test_event(inputs, made.subscription.id)

    assert (answer.status, answer.error) == (None, "unreachable")


async def test_test_event_needs_encryption_keys(inputs: AllInputs) -> None:
    """Without keys no unsigned message is sent."""
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url)
        with pytest.raises(EncryptionUnavailableError):
            await send_test_event.send_test_event(dataclasses.replace(inputs, secret_cipher=None), made.subscription.id)

    assert shop.received == []


async def test_paused_subscription_can_be_tested(inputs: AllInputs) -> None:
    """An operator tests a subscription before resuming it. The source names the subscription's app."""
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url, app="eu")
        await manage_subscriptions.pause_subscription(inputs, made.subscription.id)
        answer = await send_test_event.send_test_event(inputs, made.subscription.id)

    assert answer.error is None
    assert json.loads(shop.received[0].body)["source"] == "/dots-gateway/eu"
