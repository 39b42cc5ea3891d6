"""The encrypted secrets of subscriptions. The newest does not expire, older ones do."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Uuid, any_, delete, func, insert, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from app.subscriptions.tables import subscription_secrets


@dataclass(frozen=True, kw_only=True)
class SecretRecord:
    """A stored secret. `key_id` names its key in ENCRYPTION_KEYS. `expires_at` is None for the newest."""

    id: UUID
    subscription_id: UUID
    key_id: str
    nonce: bytes
    ciphertext: bytes
    created_at: datetime
    expires_at: datetime | None


_FIELDS = [subscription_secrets.c[name] for name in SecretRecord.__dataclass_fields__]


async def add(connection: AsyncConnection, secret: SecretRecord) -> None:
    """Insert a secret. The previous one must already have an `expires_at`."""
    values = {name: getattr(secret, name) for name in SecretRecord.__dataclass_fields__}
    await connection.execute(insert(subscription_secrets).values(**values))


async def live(connection: AsyncConnection, subscription_id: UUID, *, now: datetime) -> list[SecretRecord]:
    """The live secrets of a subscription, newest first."""
    return (await live_of_all(connection, [subscription_id], now=now)).get(subscription_id, [])


async def live_of_all(
    connection: AsyncConnection, subscription_ids: Collection[UUID], *, now: datetime
) -> dict[UUID, list[SecretRecord]]:
    """The live secrets of each of these subscriptions, newest first. Subscriptions without any are absent."""
    has_not_ended = or_(subscription_secrets.c.expires_at.is_(None), subscription_secrets.c.expires_at > now)
    is_theirs = subscription_secrets.c.subscription_id == any_(literal(list(subscription_ids), ARRAY(Uuid)))
    query = select(*_FIELDS).where(is_theirs, has_not_ended)
    # The newest has no `expires_at`. Its creation time may be earlier if the clock was set back.
    order = (subscription_secrets.c.expires_at.desc().nulls_first(), subscription_secrets.c.created_at.desc())
    found: dict[UUID, list[SecretRecord]] = {}
    for row in await connection.execute(query.order_by(*order)):
        found.setdefault(row.subscription_id, []).append(SecretRecord(**row._mapping))  # noqa: SLF001  # SQLAlchemy's documented name
    return found


async def retire(connection: AsyncConnection, subscription_id: UUID, *, at: datetime, now: datetime) -> None:
    """Let every secret expire at `at` or earlier, and delete expired ones."""
    is_its = subscription_secrets.c.subscription_id == subscription_id
    await connection.execute(delete(subscription_secrets).where(is_its, subscription_secrets.c.expires_at <= now))
    # LEAST ignores NULL, so the newest secret also expires at `at`.
    ends_at = func.least(subscription_secrets.c.expires_at, at)
    await connection.execute(update(subscription_secrets).where(is_its).values(expires_at=ends_at))
