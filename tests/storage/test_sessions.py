"""Sessions and transactions: the same whatever the defaults of the server, the database or the role are."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import DatabaseReadOnlyError
from app.storage import database, sessions
from app.storage.database import Pooler
from tests.faults.campaigns import proxy as proxies
from tests.faults.campaigns.proxy import Interceptor, Proxy
from tests.storage import stored

# Each row is a default that an administrator may have set, and the value in our transactions.
DEFAULTS = {
    "default_transaction_isolation": ("serializable", "transaction_isolation", "read committed"),
    "default_transaction_deferrable": ("on", "transaction_isolation", "read committed"),
    "statement_timeout": ("1ms", "statement_timeout", "10s"),
    "lock_timeout": ("1ms", "lock_timeout", "5s"),
    "idle_in_transaction_session_timeout": ("1h", "idle_in_transaction_session_timeout", "30s"),
    "idle_session_timeout": ("1h", "idle_session_timeout", "0"),
    "jit": ("on", "jit", "off"),
    "timezone": ("Asia/Tokyo", "TimeZone", "UTC"),
    "search_path": ("pg_temp", "search_path", "public"),
    "synchronous_commit": ("off", "synchronous_commit", "on"),
    "application_name": ("other", "application_name", "dots-gateway"),
    "standard_conforming_strings": ("off", "standard_conforming_strings", "on"),
}
IMPATIENT_SECONDS = 0.2


class CountingProxy(Proxy):
    """Counts opened connections."""

    opened = 0

    def intercept(self) -> Interceptor:
        """Count a connection."""
        self.opened += 1
        return super().intercept()


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[CountingProxy]:
    """A proxy in front of the test's database that can fall silent."""
    async with proxies.listening(CountingProxy(urlsplit(database_url).port or 0)) as found:
        yield found


def through(proxy: CountingProxy, database_url: str, *, pool_size: int = 4) -> AsyncEngine:
    """An engine whose sessions go through the proxy."""
    address = urlsplit(database_url)
    url = address._replace(netloc=f"{address.username}:{address.password}@127.0.0.1:{proxy.port}").geturl()
    return database.create_engine(f"{url}?sslmode=disable", pool_size=pool_size)


@pytest.mark.parametrize("pooler", ["none", "transaction"])
@pytest.mark.parametrize("name", DEFAULTS)
async def test_default_of_the_database_changes_no_transaction(
    engine: AsyncEngine, database_url: str, name: str, pooler: Pooler
) -> None:
    """A database with another default gives the same transactions, with or without a transaction pooler."""
    default, shown, expected = DEFAULTS[name]
    database_name = urlsplit(database_url).path[1:]
    await stored.execute(engine, f"ALTER DATABASE {database_name} SET {name} = '{default}'")
    changed = database.create_engine(database_url, pooler=pooler)

    found = [await _show(changed, shown), await _show(changed, shown)]

    await changed.dispose()
    assert found == [expected, expected]


async def _show(engine: AsyncEngine, name: str) -> object:
    async with database.transaction(engine) as connection:
        return await connection.scalar(text(f"SHOW {name}"))


async def test_behind_a_transaction_pooler_nothing_of_a_session_outlives_its_transaction(database_url: str) -> None:
    """The next client of the same session finds no settings and no prepared statements of ours."""
    engine = database.create_engine(database_url, pool_size=1, pooler="transaction")
    async with database.transaction(engine) as connection:
        await connection.execute(text("SELECT count(*) FROM feed WHERE expired_position > :least"), {"least": -1})
        session = await _driver(connection)

    left = await session.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql", timeout=5)
    timeout = await session.fetchval("SELECT current_setting('statement_timeout')", timeout=5)

    await engine.dispose()
    # asyncpg prepares this very look under no name.
    assert left <= 1
    assert timeout == "0"


async def _driver(connection: AsyncConnection) -> sessions.Session:
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, sessions.Session)
    return driver


async def test_commit_after_a_failed_statement_raises(engine: AsyncEngine) -> None:
    """If the caller swallowed an error, Postgres rolls back instead of committing, and the commit raises an error."""
    with pytest.raises(Exception, match="cannot be committed"):  # noqa: PT012  # the block is the transaction
        async with database.transaction(engine) as connection:
            await connection.execute(text("UPDATE feed SET expired_position = 7"))
            with contextlib.suppress(DBAPIError):
                await connection.execute(text("SELECT 1 / 0"))

    assert await stored.row(engine, "SELECT expired_position FROM feed") == {"expired_position": 0}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for the answer of a session is short."""
    monkeypatch.setattr(sessions, "BEGIN_TIMEOUT_SECONDS", IMPATIENT_SECONDS)


@pytest.mark.usefixtures("impatient")
async def test_sessions_that_fell_silent_fail_no_transaction(proxy: CountingProxy, database_url: str) -> None:
    """The first transaction detects it, and all sessions are replaced. The others take no longer than usual."""
    engine = through(proxy, database_url)
    await asyncio.gather(*(stored.row(engine, "SELECT pg_sleep(0.1)::text AS slept") for _ in range(4)))
    proxy.silence()

    began_at = time.monotonic()
    for _ in range(8):
        assert await stored.count(engine, "feed") == 1
    took = time.monotonic() - began_at

    await engine.dispose()
    assert proxy.opened == 8
    assert took < 4 * IMPATIENT_SECONDS


@pytest.mark.usefixtures("impatient")
async def test_sessions_that_fell_silent_fail_none_of_many_at_once(proxy: CountingProxy, database_url: str) -> None:
    """Each request gets a silent session first, and then a new one."""
    engine = through(proxy, database_url)
    await asyncio.gather(*(stored.row(engine, "SELECT pg_sleep(0.1)::text AS slept") for _ in range(4)))
    proxy.silence()

    answers = await asyncio.gather(*(stored_in_transaction(engine) for _ in range(8)))

    await engine.dispose()
    assert answers == [1] * 8


async def test_transaction_that_did_nothing_leaves_nothing_open(engine: AsyncEngine, database_url: str) -> None:
    """A session that was checked out and returned unused is not idle in a transaction."""
    idle = "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() AND state = :state"
    async with database.transaction(engine):
        pass
    other = database.create_engine(database_url, pool_size=1)

    found = await stored.row(other, idle, state="idle in transaction")

    await other.dispose()
    assert found == {"count": 0}


async def stored_in_transaction(engine: AsyncEngine) -> int:
    """The number of rows of the feed, read in a transaction of the service."""
    async with database.transaction(engine) as connection:
        return int((await connection.execute(text("SELECT count(*) FROM feed"))).scalar_one())


async def test_server_that_became_read_only_fails_one_transaction(engine: AsyncEngine, database_url: str) -> None:
    """Read-only sessions are replaced, so that a new one may reach a writable server."""
    name = urlsplit(database_url).path[1:]
    await stored.execute(engine, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    failed_over = database.create_engine(database_url, pool_size=2)
    await stored_in_transaction(failed_over)
    await stored.execute(engine, f"ALTER DATABASE {name} RESET default_transaction_read_only")

    with pytest.raises(DatabaseReadOnlyError):
        await _write(failed_over)
    await _write(failed_over)

    await failed_over.dispose()
    assert await stored.row(engine, "SELECT expired_position FROM feed") == {"expired_position": 1}


async def _write(engine: AsyncEngine) -> None:
    async with database.transaction(engine) as connection:
        await connection.execute(text("UPDATE feed SET expired_position = expired_position + 1"))


async def test_connection_has_keepalive(engine: AsyncEngine) -> None:
    """TCP keepalive detects a dead peer while a statement waits for its answer."""
    async with database.transaction(engine) as connection:
        await connection.execute(text("SELECT 1"))
        session = await _driver(connection)
        found = session._transport.get_extra_info("socket")

        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5000


async def test_session_with_an_internal_driver_error_is_replaced(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asyncpg raises an error of another class if the server dies in the middle of an answer. The request succeeds."""
    assert await stored_in_transaction(engine) == 1
    begin, lost = sessions.Session.begin, iter([asyncpg.InternalClientError("got result for unknown protocol state")])

    async def begin_or_break(session: sessions.Session) -> None:
        if error := next(lost, None):
            raise error
        await begin(session)

    monkeypatch.setattr(sessions.Session, "begin", begin_or_break)

    assert await stored_in_transaction(engine) == 1
