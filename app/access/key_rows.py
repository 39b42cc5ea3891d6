"""The rows of API keys, which hold only hashes, and the audit of reads about background checks."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.tables import api_keys, compliance_reads


@dataclass(frozen=True, kw_only=True)
class KeyRecord:
    """An API key. `name` is its caller; one caller may have several keys."""

    id: str
    name: str
    secret_hash: bytes
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None


async def add(connection: AsyncConnection, key: KeyRecord) -> None:
    """Insert a new key."""
    await connection.execute(
        insert(api_keys).values(
            id=key.id,
            name=key.name,
            secret_hash=key.secret_hash,
            scopes=sorted(key.scopes),
            created_at=key.created_at,
            revoked_at=key.revoked_at,
        )
    )


async def find(connection: AsyncConnection, key_id: str) -> KeyRecord | None:
    """Return the key with this id, revoked or not. None if it is unknown."""
    row = (await connection.execute(select(api_keys).where(api_keys.c.id == key_id))).one_or_none()
    return None if row is None else _record(row)


async def every(connection: AsyncConnection) -> list[KeyRecord]:
    """Return all keys, oldest first."""
    return [_record(row) for row in await connection.execute(select(api_keys).order_by(api_keys.c.created_at))]


async def revoke(connection: AsyncConnection, key_id: str, *, now: datetime) -> bool:
    """Revoke this key. Returns False if it is unknown or already revoked."""
    is_live = (api_keys.c.id == key_id) & api_keys.c.revoked_at.is_(None)
    return (await connection.execute(update(api_keys).where(is_live).values(revoked_at=now))).rowcount == 1


async def add_compliance_read(
    connection: AsyncConnection, *, key_id: str, caller: str, what: str, now: datetime
) -> None:
    """Record that this key read something about a background check."""
    await connection.execute(insert(compliance_reads).values(read_at=now, key_id=key_id, caller=caller, what=what))


def _record(row: object) -> KeyRecord:
    found = row._mapping  # type: ignore[attr-defined]  # noqa: SLF001  # SQLAlchemy's documented name
    return KeyRecord(**{**found, "scopes": frozenset(found["scopes"])})
