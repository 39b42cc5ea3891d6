"""What subscriptions' messages are signed with, encrypted; the newest of each has no end, older ones run out."""

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
    """A secret as stored; `key_id` says which of ENCRYPTION_KEYS opens it, `expires_at` is null for the newest."""

    id: UUID
    subscription_id: UUID
    key_id: str
    nonce: bytes
    ciphertext: bytes
    created_at: datetime
    expires_at: datetime | None


_FIELDS = [subscription_secrets.c[name] for name in SecretRecord.__dataclass_fields__]


async def add(connection: AsyncConnection, secret: SecretRecord) -> None:
    """Keep a secret; the one before must have been given an end."""
    values = {name: getattr(secret, name) for name in SecretRecord.__dataclass_fields__}
    await connection.execute(insert(subscription_secrets).values(**values))


async def live(connection: AsyncConnection, subscription_id: UUID, *, now: datetime) -> list[SecretRecord]:
    """The secrets of a subscription that sign now, newest first."""
    return (await live_of_all(connection, [subscription_id], now=now)).get(subscription_id, [])


async def live_of_all(
    connection: AsyncConnection, subscription_ids: Collection[UUID], *, now: datetime
) -> dict[UUID, list[SecretRecord]]:
    """The secrets that sign now for each of these subscriptions that has any, newest first."""
    has_not_ended = or_(subscription_secrets.c.expires_at.is_(None), subscription_secrets.c.expires_at > now)
    is_theirs = subscription_secrets.c.subscription_id == any_(literal(list(subscription_ids), ARRAY(Uuid)))
    query = select(*_FIELDS).where(is_theirs, has_not_ended)
    # The newest is the one without an end; a clock that went back must not put another before it.
    order = (subscription_secrets.c.expires_at.desc().nulls_first(), subscription_secrets.c.created_at.desc())
    found: dict[UUID, list[SecretRecord]] = {}
    for row in await connection.execute(query.order_by(*order)):
        found.setdefault(row.subscription_id, []).append(SecretRecord(**row._mapping))  # noqa: SLF001  # SQLAlchemy's documented name
    return found


async def retire(connection: AsyncConnection, subscription_id: UUID, *, at: datetime, now: datetime) -> None:
    """Let all that are there end `at` the latest, and forget those that have ended."""
    is_its = subscription_secrets.c.subscription_id == subscription_id
    await connection.execute(delete(subscription_secrets).where(is_its, subscription_secrets.c.expires_at <= now))
    # LEAST passes over NULL, so that the newest, which had no end, gets this one.
    ends_at = func.least(subscription_secrets.c.expires_at, at)
    await connection.execute(update(subscription_secrets).where(is_its).values(expires_at=ends_at))
