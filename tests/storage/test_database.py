import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import DatabaseUnavailableError
from app.storage import database
from tests.storage import stored

INSERT_KEY = text("INSERT INTO api_keys (id, name, secret_hash, scopes, created_at) VALUES (:id, 'a', '', '{}', now())")


async def test_block_that_ends_is_committed(engine: AsyncEngine) -> None:
    """The changes of a transaction are stored when its block ends."""
    async with database.transaction(engine) as connection:
        await connection.execute(INSERT_KEY, {"id": "1"})

    assert await stored.count(engine, "api_keys") == 1


async def test_block_that_raises_is_rolled_back(engine: AsyncEngine) -> None:
    """An error undoes the changes and propagates unchanged."""
    with pytest.raises(LookupError):  # noqa: PT012  # the block is the transaction
        async with database.transaction(engine) as connection:
            await connection.execute(INSERT_KEY, {"id": "1"})
            raise LookupError

    assert await stored.count(engine, "api_keys") == 0


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT * FROM nowhere", ProgrammingError),
        ("INSERT INTO feed (epoch) VALUES (gen_random_uuid())", IntegrityError),
    ],
)
async def test_bug_stays_a_bug(engine: AsyncEngine, statement: str, kind: type[Exception]) -> None:
    """An error that a retry cannot help is not reported as unavailable."""
    with pytest.raises(kind):
        async with database.transaction(engine) as connection:
            await connection.execute(text(statement))


@pytest.mark.parametrize("state", ["08006", "28P01", "40001", "57014"])
async def test_passing_failure_is_unavailable(engine: AsyncEngine, state: str) -> None:
    """Temporary failures become DatabaseUnavailableError, without the message of Postgres."""
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'Ada Lovelace' USING ERRCODE = '{state}'; END $$"

    with pytest.raises(DatabaseUnavailableError) as caught:
        async with database.transaction(engine) as connection:
            await connection.exec_driver_sql(raising)

    assert "Ada" not in caught.value.detail


async def test_missing_server_or_database_is_unavailable(database_url: str, unused_tcp_port: int) -> None:
    """The transaction fails without a long wait."""
    for url in (f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/none", f"{database_url}_gone"):
        engine = database.create_engine(url)

        with pytest.raises(DatabaseUnavailableError):
            async with database.transaction(engine):
                pass

        await engine.dispose()


async def test_exhausted_pool_is_unavailable(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all connections are in use, a transaction fails after the pool's timeout."""
    monkeypatch.setattr(database, "POOL_TIMEOUT_SECONDS", 0.05)
    engine = database.create_engine(database_url, pool_size=1)

    async with database.transaction(engine):
        with pytest.raises(DatabaseUnavailableError):
            async with database.transaction(engine):
                pass

    await engine.dispose()


async def test_transaction_that_is_cancelled_gives_its_connection_back(database_url: str) -> None:
    """A cancelled caller leaves no open transaction and no lost connection."""
    engine = database.create_engine(database_url, pool_size=1)

    async def insert_and_sleep() -> None:
        async with database.transaction(engine) as connection:
            await connection.execute(INSERT_KEY, {"id": "1"})
            await connection.execute(text("SELECT pg_sleep(30)"))

    task = asyncio.create_task(insert_and_sleep())
    await asyncio.wait([task], timeout=0.3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert await stored.count(engine, "api_keys") == 0
    await engine.dispose()


async def test_connections_have_server_side_limits(engine: AsyncEngine) -> None:
    """The server ends the statements and transactions of a dead client. Times are UTC."""
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "timezone", "application_name")
    async with database.transaction(engine) as connection:
        limits = [(await connection.exec_driver_sql(f"SHOW {name}")).scalar_one() for name in names]

    assert limits == ["5s", "10s", "30s", "UTC", "dots-gateway"]
