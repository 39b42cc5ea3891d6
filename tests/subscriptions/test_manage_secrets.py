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
from app.tools import Tools
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.stand_in_tools import HandClock
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


async def live_keys(tools: Tools, subscription_id: UUID) -> list[bytes]:
    """What is signed with now."""
    async with database.transaction(tools.engine) as connection:
        return await manage_secrets.live_keys(connection, tools.secret_cipher, subscription_id, now=tools.clock())


async def test_old_and_new_secret_both_sign_for_a_day(tools: Tools, clock: HandClock) -> None:
    """Newest first; to the second when the day is over, the old one is done."""
    made = await subscribe(tools, URL)
    subscription_id = made.subscription.id
    clock.advance(timedelta(days=3))

    rotated = await manage_secrets.rotate_secret(tools, subscription_id)

    assert rotated.previous_until == clock() + DAY
    assert await live_keys(tools, subscription_id) == keys(rotated.secret, made.secret)
    clock.advance(DAY - timedelta(seconds=1))
    assert await live_keys(tools, subscription_id) == keys(rotated.secret, made.secret)
    clock.advance(timedelta(seconds=1))
    assert await live_keys(tools, subscription_id) == keys(rotated.secret)


async def test_second_rotation_does_not_prolong_the_first(tools: Tools, clock: HandClock) -> None:
    """Each secret ends a day after it was replaced, whatever comes later."""
    made = await subscribe(tools, URL)
    second = await manage_secrets.rotate_secret(tools, made.subscription.id)
    clock.advance(DAY - timedelta(hours=1))
    third = await manage_secrets.rotate_secret(tools, made.subscription.id)
    clock.advance(timedelta(hours=1))

    assert await live_keys(tools, made.subscription.id) == keys(third.secret, second.secret)


async def test_messages_carry_a_signature_for_each_secret(tools: Tools, clock: HandClock) -> None:
    """A receiver that knows only one of them verifies with the official library, and no other secret does."""
    clock.now = datetime.now(UTC)  # The library's own clock is the machine's.
    async with subscriber.listening() as shop:
        made, other = await subscribe(tools, shop.url), await subscribe(tools, URL)
        rotated = await manage_secrets.rotate_secret(tools, made.subscription.id)
        await feeding.append(tools.engine, step_events(1))
        await sequence(tools)
        await deliver(tools)

    (received,) = shop.received
    assert received.headers["webhook-signature"].count("v1,") == 2
    known = (made.secret, rotated.secret, other.secret)
    assert [is_signed_with(received, secret) for secret in known] == [True, True, False]


async def test_rotation_has_an_end(tools: Tools, clock: HandClock) -> None:
    """Four secrets sign at most; the complaint says when there is room again, and then there is."""
    made = await subscribe(tools, URL)
    for _ in range(3):
        clock.advance(timedelta(hours=1))
        await manage_secrets.rotate_secret(tools, made.subscription.id)
    before = await live_keys(tools, made.subscription.id)

    with pytest.raises(InvalidFieldsError) as caught:
        await manage_secrets.rotate_secret(tools, made.subscription.id)

    (problem,) = caught.value.problems
    assert (problem.field, (clock() + timedelta(hours=22)).isoformat() in problem.message) == ("secret", True)
    assert await live_keys(tools, made.subscription.id) == before
    clock.advance(timedelta(hours=22))
    rotated = await manage_secrets.rotate_secret(tools, made.subscription.id)
    assert await live_keys(tools, made.subscription.id) == [*keys(rotated.secret), *before[:3]]
    assert await stored.count(tools.engine, "subscription_secrets") == 4


async def test_secrets_outlive_a_change_of_encryption_keys(tools: Tools) -> None:
    """A new first key seals from then on; the one before still opens what it has sealed."""
    made = await subscribe(tools, URL)
    tools = dataclasses.replace(
        tools, secret_cipher=SecretCipher([OTHER_KEY, TEST_KEY], random_bytes=secrets.token_bytes)
    )

    rotated = await manage_secrets.rotate_secret(tools, made.subscription.id)

    assert await live_keys(tools, made.subscription.id) == keys(rotated.secret, made.secret)
    rows = await stored.rows(tools.engine, "SELECT key_id FROM subscription_secrets ORDER BY key_id")
    assert [row["key_id"] for row in rows] == ["other", "test"]


async def test_encryption_key_taken_away_is_mended_by_a_rotation(tools: Tools) -> None:
    """The newest secret must be there to sign with; an older one that cannot be opened is done without."""
    made = await subscribe(tools, URL)
    tools = dataclasses.replace(tools, secret_cipher=SecretCipher([OTHER_KEY], random_bytes=secrets.token_bytes))

    with pytest.raises(EncryptionUnavailableError):
        await live_keys(tools, made.subscription.id)
    rotated = await manage_secrets.rotate_secret(tools, made.subscription.id)

    assert await live_keys(tools, made.subscription.id) == keys(rotated.secret)


async def test_without_encryption_keys_nothing_is_signed_or_rotated(tools: Tools) -> None:
    """Both name the setting."""
    made = await subscribe(tools, URL)
    tools = dataclasses.replace(tools, secret_cipher=None)

    with pytest.raises(EncryptionUnavailableError, match="ENCRYPTION_KEYS"):
        await live_keys(tools, made.subscription.id)
    with pytest.raises(EncryptionUnavailableError, match="ENCRYPTION_KEYS"):
        await manage_secrets.rotate_secret(tools, made.subscription.id)


async def test_secret_swapped_for_another_subscriptions_stays_shut(tools: Tools) -> None:
    """Who can write rows cannot make one subscription sign as another."""
    mine, theirs = await subscribe(tools, URL), await subscribe(tools, URL)
    await stored.execute(
        tools.engine,
        "UPDATE subscription_secrets t SET key_id = o.key_id, nonce = o.nonce, ciphertext = o.ciphertext "
        "FROM subscription_secrets o WHERE t.subscription_id = :theirs AND o.subscription_id = :mine",
        theirs=theirs.subscription.id,
        mine=mine.subscription.id,
    )

    with pytest.raises(EncryptionUnavailableError):
        await live_keys(tools, theirs.subscription.id)
