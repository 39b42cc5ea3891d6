"""Make the secrets that subscriptions' messages are signed with, replace them, and open them to sign."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import EncryptionUnavailableError, FieldProblem, InvalidFieldsError, SubscriptionNotFoundError
from app.storage import database
from app.subscriptions import subscription_rows, subscription_secret_rows
from app.subscriptions.inputs import SubscriptionInputs
from app.subscriptions.push.secret_cipher import EncryptedSecret, SecretCipher
from app.subscriptions.rules import subscriptions
from app.subscriptions.subscription_secret_rows import SecretRecord


@dataclass(frozen=True, kw_only=True)
class RotatedSecret:
    """A new secret, readable only here, and until when the one before signs beside it."""

    secret: str
    previous_until: datetime


def required_cipher(inputs: SubscriptionInputs) -> SecretCipher:
    """Where secrets are sealed and opened. Raises EncryptionUnavailableError when there is none."""
    if inputs.secret_cipher is None:
        raise EncryptionUnavailableError("No secret can be kept; set ENCRYPTION_KEYS.")
    return inputs.secret_cipher


async def add_secret(connection: AsyncConnection, inputs: SubscriptionInputs, subscription_id: UUID) -> str:
    """Make a secret, keep it sealed, and return it as receivers are given it. Raises EncryptionUnavailableError."""
    secret_cipher = required_cipher(inputs)
    key = secret_cipher.new_secret(subscriptions.SECRET_BYTES)
    encrypted = secret_cipher.encrypt(key, bound_to=subscriptions.subject_of(subscription_id))
    record = SecretRecord(
        id=inputs.new_uuid(),
        subscription_id=subscription_id,
        key_id=encrypted.key_id,
        nonce=encrypted.nonce,
        ciphertext=encrypted.ciphertext,
        created_at=inputs.clock(),
        expires_at=None,
    )
    await subscription_secret_rows.add(connection, record)
    return subscriptions.write_secret(key)


async def rotate_secret(inputs: SubscriptionInputs, subscription_id: UUID) -> RotatedSecret:
    """Sign with a new secret from now on, and with the ones before too, for 24 hours.

    Raises SubscriptionNotFoundError, EncryptionUnavailableError, InvalidFieldsError (too many sign already).
    """
    required_cipher(inputs)
    now = inputs.clock()
    previous_until = now + subscriptions.ROTATION
    async with database.transaction(inputs.engine) as connection:
        if await subscription_rows.find(connection, subscription_id, lock=True) is None:
            raise SubscriptionNotFoundError
        live = await subscription_secret_rows.live(connection, subscription_id, now=now)
        if len(live) >= subscriptions.LIVE_SECRETS_LIMIT:
            raise InvalidFieldsError([_too_many(live)])
        await subscription_secret_rows.retire(connection, subscription_id, at=previous_until, now=now)
        secret = await add_secret(connection, inputs, subscription_id)
    return RotatedSecret(secret=secret, previous_until=previous_until)


async def live_keys(
    connection: AsyncConnection, secret_cipher: SecretCipher | None, subscription_id: UUID, *, now: datetime
) -> list[bytes]:
    """What to sign with now, newest first; empty when the subscription has gone.

    An older secret whose encryption key was taken away is left out; the newest raises EncryptionUnavailableError.
    """
    return open_all(secret_cipher, await subscription_secret_rows.live(connection, subscription_id, now=now))


def open_all(secret_cipher: SecretCipher | None, records: Sequence[SecretRecord]) -> list[bytes]:
    """The keys in a subscription's live secrets, newest first; see `live_keys`. Raises EncryptionUnavailableError."""
    keys: list[bytes] = []
    for record in records:
        try:
            keys.append(_open(secret_cipher, record))
        except EncryptionUnavailableError:
            if not keys:
                raise
    return keys


def _open(secret_cipher: SecretCipher | None, record: SecretRecord) -> bytes:
    if secret_cipher is None:
        raise EncryptionUnavailableError
    encrypted = EncryptedSecret(key_id=record.key_id, nonce=record.nonce, ciphertext=record.ciphertext)
    return secret_cipher.decrypt(encrypted, bound_to=subscriptions.subject_of(record.subscription_id))


def _too_many(live: list[SecretRecord]) -> FieldProblem:
    free_at = min(record.expires_at for record in live if record.expires_at)
    return FieldProblem(
        "secret",
        f"{len(live)} secrets sign already, which is as many as there may be; "
        f"the earliest ends at {free_at.isoformat(timespec='seconds')}",
    )
