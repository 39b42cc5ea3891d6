"""The connection to Postgres: how it is opened, what limits every connection has, what its failures are called."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.errors import DatabaseUnavailableError, SettingsError

POOL_TIMEOUT_SECONDS = 2
CONNECT_TIMEOUT_SECONDS = 5
COMMAND_TIMEOUT_SECONDS = 15

# Limits of the server's own, so that a dead client can hold nothing for long (milliseconds).
_SERVER_SETTINGS = {
    "application_name": "dots-gateway",
    "timezone": "UTC",
    "statement_timeout": "10000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "30000",
}

# SQLSTATE classes that speak of the server and our way to it, not of a statement: connection, authorization, no such
# database, transaction rollback, resources, lock not available, operator intervention, system error.
_PASSING_CLASSES = ("08", "28", "3D", "40", "53", "55", "57", "58")


def parse_url(database_url: str) -> URL:
    """The URL as the asyncpg driver wants it, whichever way Postgres' URL was spelled. Raises SettingsError."""
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        raise SettingsError("DATABASE_URL is not a database URL.") from None
    if url.drivername not in ("postgres", "postgresql", "postgresql+asyncpg"):
        raise SettingsError("DATABASE_URL must begin with postgresql://.")
    query = dict(url.query)
    if "sslmode" in query:  # libpq's name, which hosted databases print; asyncpg's is `ssl`.
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername="postgresql+asyncpg", query=query)


def create_engine(database_url: str, *, pool_size: int = 10) -> AsyncEngine:
    """An engine with bounded waits everywhere; nothing is connected yet. Raises SettingsError."""
    return create_async_engine(
        parse_url(database_url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        pool_pre_ping=False,
        pool_recycle=1800,
        hide_parameters=True,
        connect_args={
            "timeout": CONNECT_TIMEOUT_SECONDS,
            "command_timeout": COMMAND_TIMEOUT_SECONDS,
            "server_settings": _SERVER_SETTINGS,
        },
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction: committed when the block ends, rolled back when it raises.

    Raises DatabaseUnavailableError when Postgres cannot be asked now; a retry helps, and has to reckon with the
    commit having happened.
    """
    with failures_named():
        async with engine.begin() as connection:
            yield connection


@contextmanager
def failures_named() -> Iterator[None]:
    """Turn whatever says "not now" into a DatabaseUnavailableError; what is a bug stays what it is."""
    try:
        yield
    except (OSError, TimeoutError, PoolTimeoutError) as error:
        raise _unavailable(error) from error
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error, InterfaceError | OperationalError) or _is_passing(error):
            raise _unavailable((error.orig and error.orig.__cause__) or error) from error
        raise


def _unavailable(cause: BaseException) -> DatabaseUnavailableError:
    """Our error, with the name of theirs: it tells an operator a wrong password from a server that is away."""
    return DatabaseUnavailableError(f"{DatabaseUnavailableError.__doc__} ({type(cause).__name__})")


def _is_passing(error: DBAPIError) -> bool:
    state: str = getattr(error.orig, "sqlstate", None) or ""
    return state.startswith(_PASSING_CLASSES)
