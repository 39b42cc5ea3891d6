"""The dedicated session: failures that it survives, and the errors for the others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import DatabaseReadOnlyError, DatabaseUnavailableError
from app.storage import database, dedicated_session, sessions
from app.storage.dedicated_session import DedicatedSession
from tests.faults.campaigns import proxy as proxies
from tests.faults.campaigns.proxy import Proxy
from tests.storage import stored
from tests.storage.locks import until_waiting

WRITE = "UPDATE feed SET expired_position = expired_position + CAST($1 AS int)"
POSITION = "SELECT expired_position FROM feed"
IMPATIENT_SECONDS = 0.2


@pytest.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[DedicatedSession]:
    """A session to the test's database."""
    found = DedicatedSession(database.sessions_of(engine))
    yield found
    found.close()


async def position(engine: AsyncEngine) -> int:
    """How many times `WRITE` was committed with 1."""
    return int((await stored.row(engine, POSITION))["expired_position"])


async def cut(engine: AsyncEngine) -> None:
    """End all other sessions, as a restart of Postgres does."""
    await stored.execute(
        engine,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


async def test_a_statement_is_committed_when_it_returns(engine: AsyncEngine, session: DedicatedSession) -> None:
    """Other sessions see it immediately, and the second statement uses the same session."""
    await session.execute(WRITE, 1)
    seen = await position(engine)
    await session.execute(WRITE, 1)

    assert (seen, await position(engine)) == (1, 2)


async def test_a_default_of_the_database_changes_no_statement(engine: AsyncEngine, database_url: str) -> None:
    """A statement outside any BEGIN is read committed too, where a database says serializable."""
    name = urlsplit(database_url).path[1:]
    await stored.execute(engine, f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    session = DedicatedSession(database.sessions_of(engine))
    probe = "SELECT 1 / CAST(current_setting('transaction_isolation') = CAST($1 AS text) AS int)"

    await session.execute(probe, "read committed")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await session.execute(probe, "serializable")

    session.close()


async def test_a_session_that_was_cut_is_replaced(engine: AsyncEngine, session: DedicatedSession) -> None:
    """After a restart of Postgres the next statement goes to a new session and succeeds."""
    await session.execute(WRITE, 1)
    await cut(engine)
    await asyncio.sleep(2 * dedicated_session.TRUSTED_SECONDS)

    await session.execute(WRITE, 1)

    assert await position(engine) == 2


async def test_a_session_cut_in_a_statement_is_unavailable_and_replaced(
    engine: AsyncEngine, session: DedicatedSession
) -> None:
    """The outcome of the statement is unknown, so the caller gets an error and must repeat it."""
    async with engine.connect() as holder:
        await holder.exec_driver_sql("UPDATE feed SET expired_position = expired_position")
        waiting = asyncio.create_task(session.execute(WRITE, 1))
        (pid,) = await until_waiting(engine)
        await stored.execute(engine, f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(DatabaseUnavailableError):
            await waiting

    await session.execute(WRITE, 1)

    assert await position(engine) == 1


async def test_a_server_that_became_read_only_fails_one_statement(engine: AsyncEngine, database_url: str) -> None:
    """The session and those of the pool are replaced. New ones may reach a writable server."""
    name = urlsplit(database_url).path[1:]
    await stored.execute(engine, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    failed_over = database.create_engine(database_url, pool_size=2)
    session = DedicatedSession(database.sessions_of(failed_over))
    await session.execute("SELECT CAST($1 AS int)", 1)
    await stored.count(failed_over, "feed")
    await stored.execute(engine, f"ALTER DATABASE {name} RESET default_transaction_read_only")

    with pytest.raises(DatabaseReadOnlyError):
        await session.execute(WRITE, 1)
    await session.execute(WRITE, 1)
    await stored.execute(failed_over, "UPDATE feed SET expired_position = expired_position + 1")

    session.close()
    await failed_over.dispose()
    assert await position(engine) == 2


@pytest.mark.parametrize(
    ("statement", "argument", "kind"),
    [
        ("SELECT 1 / CAST($1 AS int)", 0, asyncpg.DivisionByZeroError),
        ("SELECT length(CAST($1 AS text))", "\ud800", asyncpg.DataError),
        ("SELECT length(CAST($1 AS text))", "\0", asyncpg.CharacterNotInRepertoireError),
    ],
)
async def test_a_bug_stays_a_bug(
    engine: AsyncEngine, session: DedicatedSession, statement: str, argument: object, kind: type[Exception]
) -> None:
    """A wrong statement is not an outage. The session stays usable."""
    await session.execute(WRITE, 1)
    with pytest.raises(kind):
        await session.execute(statement, argument)

    await session.execute(WRITE, 1)

    assert await position(engine) == 2


async def test_a_lock_that_is_not_given_is_unavailable(engine: AsyncEngine, session: DedicatedSession) -> None:
    """The limit of Postgres ends the wait. Nothing is written, and the session stays."""
    await session.execute("SELECT set_config('lock_timeout', CAST($1 AS text), false)", "50ms")
    async with engine.connect() as holder:
        await holder.exec_driver_sql("UPDATE feed SET expired_position = expired_position")
        with pytest.raises(DatabaseUnavailableError):
            await session.execute(WRITE, 1)

    await session.execute(WRITE, 1)

    assert await position(engine) == 1


@contextlib.asynccontextmanager
async def behind_a_proxy(database_url: str) -> AsyncIterator[tuple[DedicatedSession, Proxy]]:
    """A session whose connection can fall silent."""
    address = urlsplit(database_url)
    async with proxies.listening(Proxy(address.port or 0)) as proxy:
        url = address._replace(netloc=f"{address.username}:{address.password}@127.0.0.1:{proxy.port}").geturl()
        engine = database.create_engine(f"{url}?sslmode=disable")
        session = DedicatedSession(database.sessions_of(engine))
        try:
            yield session, proxy
        finally:
            session.close()


async def test_a_session_that_fell_silent_while_idle_is_replaced(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is checked before the next statement is sent, so that nothing is lost."""
    monkeypatch.setattr(sessions, "BEGIN_TIMEOUT_SECONDS", IMPATIENT_SECONDS)
    async with behind_a_proxy(database_url) as (session, proxy):
        await session.execute(WRITE, 1)
        proxy.silence()
        await asyncio.sleep(2 * dedicated_session.TRUSTED_SECONDS)

        await session.execute(WRITE, 1)

    assert await position(engine) == 2


async def test_a_session_that_falls_silent_in_a_statement_is_given_up_at_the_deadline(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller gets an error and must repeat it. The next statement uses a new session."""
    monkeypatch.setattr(dedicated_session, "STATEMENT_TIMEOUT_SECONDS", IMPATIENT_SECONDS)
    monkeypatch.setattr(dedicated_session, "TRUSTED_SECONDS", 3600.0)
    async with behind_a_proxy(database_url) as (session, proxy):
        await session.execute(WRITE, 1)
        proxy.silence()

        async with asyncio.timeout(10 * IMPATIENT_SECONDS):
            with pytest.raises(DatabaseUnavailableError):
                await session.execute(WRITE, 1)
        await session.execute(WRITE, 1)

    assert await position(engine) == 2
