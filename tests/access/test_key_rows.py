"""The rows of API keys, and the audit of reads about background checks."""

import dataclasses

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


async def test_keys_are_listed_oldest_first(engine: AsyncEngine) -> None:
    """The list has revoked keys and several keys of one caller, each as it was inserted."""
    keys = [
        dataclasses.replace(KEY, id="c", created_at=later(1)),
        dataclasses.replace(KEY, id="a", created_at=later(2), revoked_at=later(3)),
        dataclasses.replace(KEY, id="b", created_at=later(3), scopes=frozenset()),
    ]

    async with database.transaction(engine) as connection:
        for key in (keys[2], keys[0], keys[1]):
            await key_rows.add(connection, key)
        assert await key_rows.every(connection) == keys
        assert await key_rows.find(connection, "b") == keys[2]
        assert await key_rows.find(connection, "B") is None


async def test_each_read_of_a_verdict_is_recorded(engine: AsyncEngine) -> None:
    """The record says who read what and when, with which key. Repeated reads are separate records."""
    async with database.transaction(engine) as connection:
        for _ in range(2):
            await key_rows.add_compliance_read(connection, key_id=KEY.id, caller="shop", what="user/user-1", now=NOW)

    line = {"read_at": NOW, "key_id": KEY.id, "caller": "shop", "what": "user/user-1"}
    assert await stored.rows(engine, "SELECT read_at, key_id, caller, what FROM compliance_reads") == [line, line]
