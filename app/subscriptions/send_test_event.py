"""Send a synthetic event to a subscription immediately, to test its receiver."""

from uuid import UUID

from app.errors import SubscriptionNotFoundError
from app.feed import cloudevents
from app.feed.events import EventRecord
from app.settings import DEFAULT_APP
from app.storage import database
from app.subscriptions import manage_secrets, subscription_rows
from app.subscriptions.inputs import SubscriptionInputs
from app.subscriptions.push.answers import Answer
from app.subscriptions.push.http_push import Message
from app.subscriptions.rules import subscriptions
from app.subscriptions.rules.subscriptions import Subscription


async def send_test_event(inputs: SubscriptionInputs, subscription_id: UUID) -> Answer:
    """Send an event of type `dots.subscription.test`, also to a paused subscription. Returns the outcome.

    It is signed like other events, is not in the feed, and is not retried.
    Raises SubscriptionNotFoundError, EncryptionUnavailableError.
    """
    secret_cipher = manage_secrets.required_cipher(inputs)
    async with database.transaction(inputs.engine) as connection:
        subscription = await subscription_rows.find(connection, subscription_id)
        keys = await manage_secrets.live_keys(connection, secret_cipher, subscription_id, now=inputs.clock())
    if subscription is None or not keys:
        raise SubscriptionNotFoundError
    event = _test_event(inputs, subscription)
    message = Message(id=str(event.id), body=cloudevents.encoded(event), sent_at=event.occurred_at, keys=keys)
    return await inputs.pusher.push(subscription.url, message)


def _test_event(inputs: SubscriptionInputs, subscription: Subscription) -> EventRecord:
    return EventRecord(
        id=inputs.new_uuid(),
        app=subscription.app or DEFAULT_APP,
        type=subscriptions.TEST_TYPE,
        subject=subscriptions.subject_of(subscription.id),
        sequence=1,
        occurred_at=inputs.clock(),
        data={"subscription_id": str(subscription.id)},
        position=None,
    )
