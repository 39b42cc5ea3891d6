import base64
import dataclasses
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.errors import EncryptionUnavailableError, InvalidFieldsError
from app.storage import database
from app.subscriptions import manage_secrets
from app.subscriptions.push.secret_cipher import SecretCipher
from tests.all_inputs import AllInputs, HandClock
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.storage import stored
from tests.subscriptions import subscriber
from tests.subscriptions.subscriber import Received
from tests.subscriptions.subscribing import deliver, sequence, subscribe

URL = "http://127.0.0.1:9/events"
DAY = timedelta(hours=24)
OTHER_KEY = f"other:{base64.b64encode(bytes(range(32))).decode()}"
TEST_KEY = f"test:{base64.b64encode(bytes(32)).decode()}"


def is_signed_with(received: Received, secret: str) -> bool:
    """Whether the official library, given only this secret, takes the message."""
    try:
        Webhook(secret).verify(received.body, received.headers)
    except WebhookVerificationError:
        return False
    return True


def keys(*written: str) -> list[bytes]:
    """What is inside these secrets."""
    return [base64.b64decode(secret.removeprefix("whsec_")) for secret in written]


async def live_keys(inputs: AllInputs, subscription_id: UUID) -> list[bytes]:
    """What is signed with now."""
    async with database.transaction(inputs.engine) as connection:
        return await manage_secrets.live_keys(connection, inputs.secret_cipher, subscription_id, now=inputs.clock())


async def test_old_and_new_secret_both_sign_for_a_day(inputs: AllInputs, clock: HandClock) -> None:
    """Newest first; to the second when the day is over, the old one is done."""
    made = await subscribe(inputs, URL)
    subscription_id = made.subscription.id
    clock.advance(timedelta(days=3))

    rotated = await manage_secrets.rotate_secret(inputs, subscription_id)

    assert rotated.previous_until == clock() + DAY
    assert await live_keys(inputs, subscription_id) == keys(rotated.secret, made.secret)
    clock.advance(DAY - timedelta(seconds=1))
    assert await live_keys(inputs, subscription_id) == keys(rotated.secret, made.secret)
    clock.advance(timedelta(seconds=1))
    assert await live_keys(inputs, subscription_id) == keys(rotated.secret)


async def test_second_rotation_does_not_prolong_the_first(inputs: AllInputs, clock: HandClock) -> None:
    """Each secret ends a day after it was replaced, whatever comes later."""
    made = await subscribe(inputs, URL)
    second = await manage_secrets.rotate_secret(inputs, made.subscription.id)
    clock.advance(DAY - timedelta(hours=1))
    third = await manage_secrets.rotate_secret(inputs, made.subscription.id)
    clock.advance(timedelta(hours=1))

    assert await live_keys(inputs, made.subscription.id) == keys(third.secret, second.secret)


async def test_messages_carry_a_signature_for_each_secret(inputs: AllInputs, clock: HandClock) -> None:
    """A receiver that knows only one of them verifies with the official library, and no other secret does."""
    clock.now = datetime.now(UTC)  # The library's own clock is the machine's.
    async with subscriber.listening() as shop:
        made, other = await subscribe(inputs, shop.url), await subscribe(inputs, URL)
        rotated = await manage_secrets.rotate_secret(inputs, made.subscription.id)
        await feeding.append(inputs.engine, step_events(1))
        await sequence(inputs)
        await deliver(inputs)

    (received,) = shop.received
    assert received.headers["webhook-signature"].count("v1,") == 2
    known = (made.secret, rotated.secret, other.secret)
    assert [is_signed_with(received, secret) for secret in known] == [True, True, False]


async def test_rotation_has_an_end(inputs: AllInputs, clock: HandClock) -> None:
    """Four secrets sign at most; the complaint says when there is room again, and then there is."""
    made = await subscribe(inputs, URL)
    for _ in range(3):
        clock.advance(timedelta(hours=1))
        await manage_secrets.rotate_secret(inputs, made.subscription.id)
    before = await live_keys(inputs, made.subscription.id)

    with pytest.raises(InvalidFieldsError) as caught:
        await manage_secrets.rotate_secret(inputs, made.subscription.id)

    (problem,) = caught.value.problems
    assert (problem.field, (clock() + timedelta(hours=22)).isoformat() in problem.message) == ("secret", True)
    assert await live_keys(inputs, made.subscription.id) == before
    clock.advance(timedelta(hours=22))
    rotated = await manage_secrets.rotate_secret(inputs, made.subscription.id)
    assert await live_keys(inputs, made.subscription.id) == [*keys(rotated.secret), *before[:3]]
    assert await stored.count(inputs.engine, "subscription_secrets") == 4


async def test_secrets_outlive_a_change_of_encryption_keys(inputs: AllInputs) -> None:
    """A new first key seals from then on; the one before still opens what it has sealed."""
    made = await subscribe(inputs, URL)
    inputs = dataclasses.replace(
        inputs, secret_cipher=SecretCipher([OTHER_KEY, TEST_KEY], random_bytes=secrets.token_bytes)
    )

    rotated = await manage_secrets.rotate_secret(inputs, made.subscription.id)

    assert await live_keys(inputs, made.subscription.id) == keys(rotated.secret, made.secret)
    rows = await stored.rows(inputs.engine, "SELECT key_id FROM subscription_secrets ORDER BY key_id")
    assert [row["key_id"] for row in rows] == ["other", "test"]


async def test_encryption_key_taken_away_is_mended_by_a_rotation(inputs: AllInputs) -> None:
    """The newest secret must be there to sign with; an older one that cannot be opened is done without."""
    made = await subscribe(inputs, URL)
    inputs = dataclasses.replace(inputs, secret_cipher=SecretCipher([OTHER_KEY], random_bytes=secrets.token_bytes))

    with pytest.raises(EncryptionUnavailableError):
        await live_keys(inputs, made.subscription.id)
    rotated = await manage_secrets.rotate_secret(inputs, made.subscription.id)

    assert await live_keys(inputs, made.subscription.id) == keys(rotated.secret)


async def test_without_encryption_keys_nothing_is_signed_or_rotated(inputs: AllInputs) -> None:
    """Both name the setting."""
    made = await subscribe(inputs, URL)
    inputs = dataclasses.replace(inputs, secret_cipher=None)

    with pytest.raises(EncryptionUnavailableError, match="ENCRYPTION_KEYS"):
        await live_keys(inputs, made.subscription.id)
    with pytest.raises(EncryptionUnavailableError, match="ENCRYPTION_KEYS"):
        await manage_secrets.rotate_secret(inputs, made.subscription.id)


async def test_secret_swapped_for_another_subscriptions_stays_shut(inputs: AllInputs) -> None:
    """Who can write rows cannot make one subscription sign as another."""
    mine, theirs = await subscribe(inputs, URL), await subscribe(inputs, URL)
    await stored.execute(
        inputs.engine,
        "UPDATE subscription_secrets t SET key_id = o.key_id, nonce = o.nonce, ciphertext = o.ciphertext "
        "FROM subscription_secrets o WHERE t.subscription_id = :theirs AND o.subscription_id = :mine",
        theirs=theirs.subscription.id,
        mine=mine.subscription.id,
    )

    with pytest.raises(EncryptionUnavailableError):
        await live_keys(inputs, theirs.subscription.id)
