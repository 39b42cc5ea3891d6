"""Secrets as stored: which of them sign when."""

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
    """The secret of this number, made so many minutes after the beginning."""
    return SecretRecord(
        id=UUID(int=number, version=4),
        subscription_id=subscription(of).id,
        key_id="2026",
        nonce=b"n" * 12,
        ciphertext=bytes([number]) * 48,
        created_at=later(number),
        expires_at=expires_at,
    )


async def keep(engine: AsyncEngine, *secrets: SecretRecord) -> None:
    """Keep the secrets."""
    async with database.transaction(engine) as connection:
        for each in secrets:
            await subscription_secret_rows.add(connection, each)


async def live(engine: AsyncEngine, *, minutes: int, of: int = 1) -> list[SecretRecord]:
    """The secrets that sign so many minutes after the beginning."""
    async with database.transaction(engine) as connection:
        return await subscription_secret_rows.live(connection, subscription(of).id, now=later(minutes))


async def test_live_secrets_come_newest_first(engine: AsyncEngine) -> None:
    """Until the moment they end; another subscription's are not among them."""
    secrets = [secret(1, expires_at=later(10)), secret(2, expires_at=later(20)), secret(3)]
    await keep(engine, *secrets, secret(4, of=2))

    assert await live(engine, minutes=9) == [secrets[2], secrets[1], secrets[0]]
    assert await live(engine, minutes=10) == [secrets[2], secrets[1]]
    assert await live(engine, minutes=20) == [secrets[2]]


async def test_there_is_one_newest_secret(engine: AsyncEngine) -> None:
    """Two rotations at once cannot both leave one without an end."""
    await keep(engine, secret(1))

    with pytest.raises(IntegrityError):
        await keep(engine, secret(2))


async def test_retiring_ends_the_newest_and_shortens_nothing_else(engine: AsyncEngine) -> None:
    """What ends earlier still does, what has ended is forgotten, and another subscription's go on."""
    await keep(engine, secret(1, expires_at=later(5)), secret(2, expires_at=later(20)), secret(3), secret(4, of=2))
    async with database.transaction(engine) as connection:
        await subscription_secret_rows.retire(connection, subscription().id, at=later(30), now=later(5))

    rows = await stored.rows(engine, "SELECT id, expires_at FROM subscription_secrets ORDER BY id")
    assert [(row["id"].int & 0xFF, row["expires_at"]) for row in rows] == [(2, later(20)), (3, later(30)), (4, None)]
