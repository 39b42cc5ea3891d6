"""Real failures of Postgres: each becomes DatabaseUnavailableError."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import DatabaseUnavailableError
from app.storage import database
from tests.storage import stored
from tests.storage.locks import until_waiting

LOCK = "SELECT pg_advisory_xact_lock({key})"
CUT_ALL_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)

IMPATIENT = {
    "statement": ("SET LOCAL statement_timeout = '20ms'", "SELECT pg_sleep(5)", "QueryCanceledError"),
    "lock": ("SET LOCAL lock_timeout = '20ms'", LOCK.format(key=1), "LockNotAvailableError"),
}


async def execute_within(engine: AsyncEngine, limit: str, statement: str) -> None:
    """Run the statement within the limit."""
    async with database.transaction(engine) as connection:
        await connection.exec_driver_sql(limit)
        await connection.exec_driver_sql(statement)


@pytest.mark.parametrize(("limit", "statement", "name"), IMPATIENT.values(), ids=IMPATIENT.keys())
async def test_limit_that_is_reached_is_unavailable(engine: AsyncEngine, limit: str, statement: str, name: str) -> None:
    """A statement that exceeds its time, or the time to wait for a lock, may succeed later."""
    async with engine.connect() as holder:
        await holder.exec_driver_sql(LOCK.format(key=1))

        with pytest.raises(DatabaseUnavailableError, match=name):
            await execute_within(engine, limit, statement)


async def test_deadlock_costs_one_of_the_two(engine: AsyncEngine) -> None:
    """Postgres cancels one of the transactions, which may be retried. The other one commits."""

    async def lock_both(first: int, second: int, own: asyncio.Event, other: asyncio.Event) -> None:
        async with database.transaction(engine) as connection:
            await connection.exec_driver_sql("SET LOCAL deadlock_timeout = '20ms'")
            await connection.exec_driver_sql(LOCK.format(key=first))
            own.set()
            await other.wait()
            await connection.exec_driver_sql(LOCK.format(key=second))

    events = asyncio.Event(), asyncio.Event()
    endings = await asyncio.gather(
        lock_both(1, 2, events[0], events[1]), lock_both(2, 1, events[1], events[0]), return_exceptions=True
    )

    (failure,) = [ending for ending in endings if ending is not None]
    assert isinstance(failure, DatabaseUnavailableError)
    assert "DeadlockDetectedError" in failure.detail


async def test_connection_cut_in_the_pool_costs_no_transaction(engine: AsyncEngine, database_url: str) -> None:
    """After a restart of Postgres, the pool replaces dead sessions before it hands them out."""
    await stored.count(engine, "feed")
    other = database.create_engine(database_url, pool_size=1)
    await stored.rows(other, CUT_ALL_OTHERS)
    await other.dispose()

    async with database.transaction(engine) as connection:
        answer = await connection.scalar(text("SELECT 1"))

    assert answer == 1


async def test_connection_cut_while_waiting_is_unavailable(engine: AsyncEngine, database_url: str) -> None:
    """The earlier changes of the transaction are rolled back."""

    async def write_and_wait() -> None:
        async with database.transaction(engine) as connection:
            await connection.execute(text("UPDATE feed SET expired_position = 7"))
            await connection.exec_driver_sql(LOCK.format(key=1))

    other = database.create_engine(database_url, pool_size=2)
    async with other.connect() as holder:
        await holder.exec_driver_sql(LOCK.format(key=1))
        waiting = asyncio.create_task(write_and_wait())
        (pid,) = await until_waiting(other)
        await stored.row(other, "SELECT pg_terminate_backend(:pid)", pid=pid)
        with pytest.raises(DatabaseUnavailableError):
            await waiting
    await other.dispose()

    assert await stored.row(engine, "SELECT expired_position FROM feed") == {"expired_position": 0}
