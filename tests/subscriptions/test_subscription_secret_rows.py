"""Rows of secrets, and the time during which each is live."""

from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage import database
from app.subscriptions import subscription_secret_rows
from app.subscriptions.subscription_secret_rows import SecretRecord
from tests.flows.intents import later
from tests.storage import stored
from tests.subscriptions.subscribed import add, subscription


@pytest.fixture
async def engine(engine: AsyncEngine) -> AsyncEngine:
    """A database with two subscriptions."""
    await add(engine, subscription(), subscription(2))
    return engine


def secret(number: int, *, of: int = 1, expires_at: datetime | None = None) -> SecretRecord:
    """The secret of this number, created this many minutes after the start."""
    return SecretRecord(
        id=UUID(int=number, version=4),
        subscription_id=subscription(of).id,
        key_id="2026",
        nonce=b"n" * 12,
        ciphertext=bytes([number]) * 48,
        created_at=later(number),
        expires_at=expires_at,
    )


async def add_secrets(engine: AsyncEngine, *secrets: SecretRecord) -> None:
    """Insert the secrets."""
    async with database.transaction(engine) as connection:
        for each in secrets:
            await subscription_secret_rows.add(connection, each)


async def live(engine: AsyncEngine, *, minutes: int, of: int = 1) -> list[SecretRecord]:
    """The secrets that are live this many minutes after the start."""
    async with database.transaction(engine) as connection:
        return await subscription_secret_rows.live(connection, subscription(of).id, now=later(minutes))


async def test_live_secrets_come_newest_first(engine: AsyncEngine) -> None:
    """A secret is live before `expires_at`. Secrets of other subscriptions are left out."""
    secrets = [secret(1, expires_at=later(10)), secret(2, expires_at=later(20)), secret(3)]
    await add_secrets(engine, *secrets, secret(4, of=2))

    assert await live(engine, minutes=9) == [secrets[2], secrets[1], secrets[0]]
    assert await live(engine, minutes=10) == [secrets[2], secrets[1]]
    assert await live(engine, minutes=20) == [secrets[2]]


async def test_only_one_secret_has_no_expiry(engine: AsyncEngine) -> None:
    """Two concurrent rotations cannot both add a newest secret."""
    await add_secrets(engine, secret(1))

    with pytest.raises(IntegrityError):
        await add_secrets(engine, secret(2))


async def test_retiring_expires_only_the_newest(engine: AsyncEngine) -> None:
    """Earlier expiries stay, expired secrets are deleted, and other subscriptions are unchanged."""
    await add_secrets(
        engine, secret(1, expires_at=later(5)), secret(2, expires_at=later(20)), secret(3), secret(4, of=2)
    )
    async with database.transaction(engine) as connection:
        await subscription_secret_rows.retire(connection, subscription().id, at=later(30), now=later(5))

    rows = await stored.rows(engine, "SELECT id, expires_at FROM subscription_secrets ORDER BY id")
    assert [(row["id"].int & 0xFF, row["expires_at"]) for row in rows] == [(2, later(20)), (3, later(30)), (4, None)]
