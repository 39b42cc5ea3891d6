"""API keys as stored, and the trail of who has read verdicts."""

import dataclasses

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.access import key_rows
from app.access.key_rows import KeyRecord
from app.storage import database
from tests.dots.fake_dots import NOW
from tests.flows.intents import later
from tests.storage import stored

KEY = KeyRecord(
    id="0123456789ab",
    name="shop",
    secret_hash=bytes(range(32)),
    scopes=frozenset({"flows:read", "events:read"}),
    created_at=NOW,
    revoked_at=None,
)


async def add(engine: AsyncEngine, *keys: KeyRecord) -> None:
    """Keep the keys."""
    async with database.transaction(engine) as connection:
        for key in keys:
            await key_rows.add(connection, key)


async def find(engine: AsyncEngine, key_id: str) -> KeyRecord | None:
    """The key."""
    async with database.transaction(engine) as connection:
        return await key_rows.find(connection, key_id)


async def revoke(engine: AsyncEngine, key_id: str, *, minutes: int) -> bool:
    """Revoke the key so many minutes after the beginning."""
    async with database.transaction(engine) as connection:
        return await key_rows.revoke(connection, key_id, now=later(minutes))


async def test_key_is_read_as_it_was_kept(engine: AsyncEngine) -> None:
    """By its id and no other."""
    await add(engine, KEY)

    assert await find(engine, KEY.id) == KEY
    assert await find(engine, "0123456789AB") is None


async def test_key_id_is_used_once(engine: AsyncEngine) -> None:
    """A second key of the same id does not take the first one's place."""
    await add(engine, KEY)

    with pytest.raises(IntegrityError, match="api_keys_pkey"):
        await add(engine, dataclasses.replace(KEY, secret_hash=b"x" * 32))

    assert await find(engine, KEY.id) == KEY


async def test_keys_are_listed_oldest_first(engine: AsyncEngine) -> None:
    """Revoked ones too, and several of one caller."""
    keys = [
        dataclasses.replace(KEY, id="c", created_at=later(1)),
        dataclasses.replace(KEY, id="a", created_at=later(2), revoked_at=later(3)),
        dataclasses.replace(KEY, id="b", created_at=later(3), scopes=frozenset()),
    ]
    await add(engine, keys[2], keys[0], keys[1])

    async with database.transaction(engine) as connection:
        assert await key_rows.every(connection) == keys


async def test_key_is_revoked_once(engine: AsyncEngine) -> None:
    """The first time is what stays; a key that is not there cannot be revoked, and no other one is."""
    other = dataclasses.replace(KEY, id="other")
    await add(engine, KEY, other)

    answers = [
        await revoke(engine, KEY.id, minutes=1),
        await revoke(engine, KEY.id, minutes=2),
        await revoke(engine, "unknown", minutes=3),
    ]

    assert answers == [True, False, False]
    assert await find(engine, KEY.id) == dataclasses.replace(KEY, revoked_at=later(1))
    assert await find(engine, "other") == other


async def test_every_read_of_a_verdict_leaves_a_line(engine: AsyncEngine) -> None:
    """Who, with which key, when, and what; the same read twice is two reads."""
    async with database.transaction(engine) as connection:
        for _ in range(2):
            await key_rows.add_compliance_read(connection, key_id=KEY.id, caller="shop", what="user/user-1", now=NOW)

    line = {"read_at": NOW, "key_id": KEY.id, "caller": "shop", "what": "user/user-1"}
    assert await stored.rows(engine, "SELECT read_at, key_id, caller, what FROM compliance_reads") == [line, line]
