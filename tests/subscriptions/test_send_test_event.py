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


async def test_test_event_is_an_event_like_any_other(inputs: AllInputs, clock: HandClock) -> None:
    """The official libraries parse and verify it, with the new secret and with the one before."""
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


async def test_test_event_is_tried_once_and_kept_nowhere(inputs: AllInputs) -> None:
    """What came of it is the answer; it counts for no breaker and is in no feed."""
    async with subscriber.listening(lambda _received: (503, {})) as shop:
        made = await subscribe(inputs, shop.url)
        answer = await send_test_event.send_test_event(inputs, made.subscription.id)

    counts = [await stored.count(inputs.engine, table) for table in ("events", "deliveries", "delivery_attempts")]
    assert (answer.status, answer.error, len(shop.received), counts) == (503, "status_503", 1, [0, 0, 0])
    assert await manage_subscriptions.read_subscription(inputs.engine, made.subscription.id) == made.subscription


async def test_paused_subscription_is_tested_too(inputs: AllInputs) -> None:
    """That is when one wants to know whether to resume it."""
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url)
        await manage_subscriptions.pause_subscription(inputs, made.subscription.id)
        answer = await send_test_event.send_test_event(inputs, made.subscription.id)

    assert (answer.error, len(shop.received)) == (None, 1)


async def test_receiver_that_is_away_is_an_answer_and_no_error(inputs: AllInputs) -> None:
    """A code says what was wrong."""
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url)

    answer = await send_test_event.send_test_event(inputs, made.subscription.id)

    assert (answer.status, answer.error) == (None, "unreachable")


async def test_without_encryption_keys_nothing_is_sent(inputs: AllInputs) -> None:
    """Rather nothing than a message without a signature."""
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url)
        with pytest.raises(EncryptionUnavailableError):
            await send_test_event.send_test_event(dataclasses.replace(inputs, secret_cipher=None), made.subscription.id)

    assert shop.received == []


async def test_test_event_of_an_app_names_it(inputs: AllInputs) -> None:
    """Its source is that of the events to come."""
    async with subscriber.listening() as shop:
        made = await subscribe(inputs, shop.url, app="eu")
        await send_test_event.send_test_event(inputs, made.subscription.id)

    assert json.loads(shop.received[0].body)["source"] == "/dots-gateway/eu"
