"""Create, rotate and decrypt the secrets that sign a subscription's messages."""

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
    """A new secret, readable only here, and the time until which the previous one also signs."""

    secret: str
    previous_until: datetime


def required_cipher(inputs: SubscriptionInputs) -> SecretCipher:
    """The cipher of secrets. Raises EncryptionUnavailableError if none is configured."""
    if inputs.secret_cipher is None:
        raise EncryptionUnavailableError("Secrets cannot be stored without ENCRYPTION_KEYS. Set ENCRYPTION_KEYS.")
    return inputs.secret_cipher


async def add_secret(connection: AsyncConnection, inputs: SubscriptionInputs, subscription_id: UUID) -> str:
    """Create a secret, store it encrypted, and return it in `whsec_` form. Raises EncryptionUnavailableError."""
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
    """Sign with a new secret from now on. The previous secrets also sign for 24 hours.

    Raises SubscriptionNotFoundError, EncryptionUnavailableError, InvalidFieldsError (too many secrets are live).
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
    """The current signing keys, newest first. Empty if the subscription was deleted.

    Skips an older secret that cannot be decrypted. Raises EncryptionUnavailableError if the newest cannot be.
    """
    return decrypt_all(secret_cipher, await subscription_secret_rows.live(connection, subscription_id, now=now))


def decrypt_all(secret_cipher: SecretCipher | None, records: Sequence[SecretRecord]) -> list[bytes]:
    """Decrypt a subscription's live secrets, newest first, as in `live_keys`. Raises EncryptionUnavailableError."""
    keys: list[bytes] = []
    for record in records:
        try:
            keys.append(_decrypt(secret_cipher, record))
        except EncryptionUnavailableError:
            if not keys:
                raise
    return keys


def _decrypt(secret_cipher: SecretCipher | None, record: SecretRecord) -> bytes:
    if secret_cipher is None:
        raise EncryptionUnavailableError
    encrypted = EncryptedSecret(key_id=record.key_id, nonce=record.nonce, ciphertext=record.ciphertext)
    return secret_cipher.decrypt(encrypted, bound_to=subscriptions.subject_of(record.subscription_id))


def _too_many(live: list[SecretRecord]) -> FieldProblem:
    free_at = min(record.expires_at for record in live if record.expires_at)
    return FieldProblem(
        "secret",
        f"the subscription has {len(live)} live secrets, the maximum; "
        f"the next one expires at {free_at.isoformat(timespec='seconds')}",
    )
