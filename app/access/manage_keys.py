"""Creates, checks and revokes API keys. A key is shown once; the database has only its hash."""

import hashlib
import hmac
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from app.access import key_rows
from app.access.key_rows import KeyRecord
from app.errors import FieldProblem, InvalidFieldsError, KeyRefusedError
from app.storage import database

SCOPES = (
    "flows:read",
    "flows:write",
    "events:read",
    "compliance:read",
    "subscriptions:admin",
    "ops:admin",
)
_ID_BYTES = 6
_SECRET_BYTES = 32
_KEY = re.compile(r"dgw_([0-9a-f]{12})_([0-9a-f]{64})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}")


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A new key, readable only here."""

    id: str
    key: str


async def create_key(
    engine: AsyncEngine, *, name: str, scopes: Collection[str], now: datetime, random_bytes: Callable[[int], bytes]
) -> NewKey:
    """Create a key for the caller `name`. Raises InvalidFieldsError.

    Keys of the same name act for the same caller: they share its Idempotency-Keys, for example.
    """
    problems = [] if _NAME.fullmatch(name) else [FieldProblem("name", "1 to 63 letters, digits, spaces or . _ -")]
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        problems.append(FieldProblem("scopes", f"must be some of {', '.join(SCOPES)}"))
    if problems:
        raise InvalidFieldsError(problems)
    key_id, secret = random_bytes(_ID_BYTES).hex(), random_bytes(_SECRET_BYTES).hex()
    record = KeyRecord(
        id=key_id,
        name=name,
        secret_hash=_hash(secret),
        scopes=frozenset(scopes),
        created_at=now,
        revoked_at=None,
    )
    async with database.transaction(engine) as connection:
        await key_rows.add(connection, record)
    return NewKey(id=key_id, key=f"dgw_{key_id}_{secret}")


async def check_key(engine: AsyncEngine, key: str) -> KeyRecord:
    """Return the record of this key. Raises the same KeyRefusedError if it is malformed, unknown or revoked."""
    parts = _KEY.fullmatch(key)
    if parts is None:
        raise KeyRefusedError
    key_id, secret = parts.groups()
    async with database.transaction(engine) as connection:
        record = await key_rows.find(connection, key_id)
    if record is None or record.revoked_at or not hmac.compare_digest(record.secret_hash, _hash(secret)):
        raise KeyRefusedError
    return record


async def require_live(engine: AsyncEngine, key_id: str) -> None:
    """Check that a key, which was valid before, has not been revoked. Raises KeyRefusedError."""
    async with database.transaction(engine) as connection:
        record = await key_rows.find(connection, key_id)
    if record is None or record.revoked_at:
        raise KeyRefusedError


async def list_keys(engine: AsyncEngine) -> list[KeyRecord]:
    """Return all keys, oldest first."""
    async with database.transaction(engine) as connection:
        return await key_rows.every(connection)


async def revoke_key(engine: AsyncEngine, key_id: str, *, now: datetime) -> bool:
    """Revoke a key. Returns False if it is unknown or already revoked."""
    async with database.transaction(engine) as connection:
        return await key_rows.revoke(connection, key_id, now=now)


def _hash(secret: str) -> bytes:
    # A slow hash would not add security, because 32 random bytes cannot be guessed.
    return hashlib.sha256(secret.encode()).digest()
