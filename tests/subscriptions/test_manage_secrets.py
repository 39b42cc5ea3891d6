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
    """Whether the official library verifies the message with this secret."""
    try:
        Webhook(secret).verify(received.body, received.headers)
    except WebhookVerificationError:
        return False
    return True


def keys(*written: str) -> list[bytes]:
    """The keys in these secrets."""
    return [base64.b64decode(secret.removeprefix("whsec_")) for secret in written]


async def live_keys(inputs: AllInputs, subscription_id: UUID) -> list[bytes]:
    """The current signing keys."""
    async with database.transaction(inputs.engine) as connection:
        return await manage_secrets.live_keys(connection, inputs.secret_cipher, subscription_id, now=inputs.clock())


async def test_previous_secret_signs_for_a_day(inputs: AllInputs, clock: HandClock) -> None:
    """Both secrets sign, newest first. After exactly 24 hours only the new one does."""
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
    """Each secret expires a day after it was replaced, also after further rotations."""
    made = await subscribe(inputs, URL)
    second = await manage_secrets.rotate_secret(inputs, made.subscription.id)
    clock.advance(DAY - timedelta(hours=1))
    third = await manage_secrets.rotate_secret(inputs, made.subscription.id)
    clock.advance(timedelta(hours=1))

    assert await live_keys(inputs, made.subscription.id) == keys(third.secret, second.secret)


async def test_messages_carry_a_signature_for_each_secret(inputs: AllInputs, clock: HandClock) -> None:
    """The official library verifies the message with either secret, and with no other."""
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


async def test_rotations_are_limited(inputs: AllInputs, clock: HandClock) -> None:
    """At most four secrets are live. The error says when the next one expires, and then a rotation succeeds."""
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


async def test_secrets_survive_a_change_of_encryption_keys(inputs: AllInputs) -> None:
    """The new first key encrypts from then on. The previous key still decrypts its secrets."""
    made = await subscribe(inputs, URL)
    inputs = dataclasses.replace(
        inputs, secret_cipher=SecretCipher([OTHER_KEY, TEST_KEY], random_bytes=secrets.token_bytes)
    )

    rotated = await manage_secrets.rotate_secret(inputs, made.subscription.id)

    assert await live_keys(inputs, made.subscription.id) == keys(rotated.secret, made.secret)
    rows = await stored.rows(inputs.engine, "SELECT key_id FROM subscription_secrets ORDER BY key_id")
    assert [row["key_id"] for row in rows] == ["other", "test"]


async def test_rotation_repairs_a_missing_encryption_key(inputs: AllInputs) -> None:
    """The newest secret must be decrypted, or the error names the setting. Older ones may be skipped."""
    made = await subscribe(inputs, URL)
    inputs = dataclasses.replace(inputs, secret_cipher=SecretCipher([OTHER_KEY], random_bytes=secrets.token_bytes))

    with pytest.raises(EncryptionUnavailableError, match="ENCRYPTION_KEYS"):
        await live_keys(inputs, made.subscription.id)
    rotated = await manage_secrets.rotate_secret(inputs, made.subscription.id)

    assert await live_keys(inputs, made.subscription.id) == keys(rotated.secret)


async def test_signing_and_rotating_need_encryption_keys(inputs: AllInputs) -> None:
    """Both errors name the setting."""
    made = await subscribe(inputs, URL)
    inputs = dataclasses.replace(inputs, secret_cipher=None)

    with pytest.raises(EncryptionUnavailableError, match="ENCRYPTION_KEYS"):
        await live_keys(inputs, made.subscription.id)
    with pytest.raises(EncryptionUnavailableError, match="ENCRYPTION_KEYS"):
        await manage_secrets.rotate_secret(inputs, made.subscription.id)


async def test_secret_of_another_subscription_is_not_decrypted(inputs: AllInputs) -> None:
    """An attacker who can write rows cannot make one subscription sign with the secret of another."""
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
