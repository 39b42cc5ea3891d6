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
    """What a transaction has written is there afterwards."""
    async with database.transaction(engine) as connection:
        await connection.execute(INSERT_KEY, {"id": "1"})

    assert await stored.count(engine, "api_keys") == 1


async def test_block_that_raises_is_rolled_back(engine: AsyncEngine) -> None:
    """An error leaves nothing, and comes out as it is."""
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
    """What a retry does not help is not called unavailable."""
    with pytest.raises(kind):
        async with database.transaction(engine) as connection:
            await connection.execute(text(statement))


@pytest.mark.parametrize(
    "state", ["08006", "28P01", "3D000", "40001", "40P01", "53300", "55P03", "57014", "57P01", "58030"]
)
async def test_passing_failure_is_unavailable(engine: AsyncEngine, state: str) -> None:
    """What may be over in a moment is one error of ours, whatever Postgres calls it."""
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'Ada Lovelace' USING ERRCODE = '{state}'; END $$"

    with pytest.raises(DatabaseUnavailableError) as caught:
        async with database.transaction(engine) as connection:
            await connection.exec_driver_sql(raising)

    assert "Ada" not in caught.value.detail


async def test_connection_that_is_cut_is_unavailable_and_replaced(engine: AsyncEngine) -> None:
    """One transaction is lost with its connection; the next gets a new one."""
    with pytest.raises(DatabaseUnavailableError):
        async with database.transaction(engine) as connection:
            await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    async with database.transaction(engine) as connection:
        answer = await connection.scalar(text("SELECT 1"))
    assert answer == 1


async def test_server_that_is_away_is_unavailable(unused_tcp_port: int) -> None:
    """No server, no long wait."""
    engine = database.create_engine(f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/none")

    with pytest.raises(DatabaseUnavailableError):
        async with database.transaction(engine):
            pass

    await engine.dispose()


async def test_database_that_is_not_there_is_unavailable(database_url: str) -> None:
    """A database that is still to be made, likewise."""
    engine = database.create_engine(f"{database_url}_gone")

    with pytest.raises(DatabaseUnavailableError):
        async with database.transaction(engine):
            pass

    await engine.dispose()


async def test_exhausted_pool_is_unavailable(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When every connection is in use, nobody waits longer than a moment."""
    monkeypatch.setattr(database, "POOL_TIMEOUT_SECONDS", 0.05)
    engine = database.create_engine(database_url, pool_size=1)

    async with database.transaction(engine):
        with pytest.raises(DatabaseUnavailableError):
            async with database.transaction(engine):
                pass

    await engine.dispose()


async def test_transaction_that_is_cancelled_gives_its_connection_back(database_url: str) -> None:
    """A caller that gives up leaves neither an open transaction nor a lost connection."""
    engine = database.create_engine(database_url, pool_size=1)

    async def dawdle() -> None:
        async with database.transaction(engine) as connection:
            await connection.execute(INSERT_KEY, {"id": "1"})
            await connection.execute(text("SELECT pg_sleep(30)"))

    task = asyncio.create_task(dawdle())
    await asyncio.wait([task], timeout=0.3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert await stored.count(engine, "api_keys") == 0
    await engine.dispose()


async def test_connections_have_limits_of_the_servers_own(engine: AsyncEngine) -> None:
    """A client that dies can hold nothing for long; times are UTC whatever the server thinks."""
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "timezone", "application_name")
    async with database.transaction(engine) as connection:
        limits = [(await connection.exec_driver_sql(f"SHOW {name}")).scalar_one() for name in names]

    assert limits == ["5s", "10s", "30s", "UTC", "dots-gateway"]
