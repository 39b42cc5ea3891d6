"""The engine for Postgres, and the transactions on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.storage import database_url as database_urls
from app.storage.failures import failures_named
from app.storage.sessions import Sessions

__all__ = [
    "DEFAULT_SCHEMA",
    "Pooler",
    "create_engine",
    "failures_named",
    "separate_engine",
    "sessions_of",
    "transaction",
]

POOL_TIMEOUT_SECONDS = 2
COMMAND_TIMEOUT_SECONDS = 15
DEFAULT_SCHEMA = "public"

# SQLAlchemy keeps execution options that it does not know.
_SESSIONS = "sessions"

Pooler = Literal["none", "session", "transaction"]


def create_engine(
    database_url: str,
    *,
    pool_size: int = 10,
    schema: str = DEFAULT_SCHEMA,
    pooler: Pooler = "none",
    command_timeout_seconds: float | None = COMMAND_TIMEOUT_SECONDS,
) -> AsyncEngine:
    """An engine whose waits are all bounded. It does not connect yet. Raises SettingsError."""
    address = database_urls.parse(database_url)
    is_pooled = pooler == "transaction" or address.is_pooled
    sessions = Sessions(
        address,
        schema=schema,
        has_transaction_pooler=is_pooled,
        command_timeout_seconds=command_timeout_seconds,
    )
    return _engine_over(sessions, pool_size=pool_size)


def separate_engine(engine: AsyncEngine) -> AsyncEngine:
    """An engine with one connection outside the pool of `engine`. A failure of one replaces the sessions of both.

    It does not connect yet.
    """
    return _engine_over(sessions_of(engine), pool_size=1)


def sessions_of(engine: AsyncEngine) -> Sessions:
    """The sessions of an engine of this module."""
    sessions: Sessions = engine.get_execution_options()[_SESSIONS]
    return sessions


def _engine_over(sessions: Sessions, *, pool_size: int) -> AsyncEngine:
    is_pooled = sessions.has_transaction_pooler
    # An unnamed statement lives until the next one in its transaction. A pooler keeps the session for a transaction.
    unnamed = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str} if is_pooled else {}
    engine = create_async_engine(
        "postgresql+asyncpg://",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        pool_recycle=1800,
        hide_parameters=True,
        execution_options={_SESSIONS: sessions},
        connect_args={"async_creator_fn": sessions.open, **unnamed},
    )
    event.listen(engine.sync_engine, "checkout", sessions.begin)
    event.listen(engine.sync_engine, "reset", sessions.end)
    event.listen(engine.sync_engine, "handle_error", sessions.judge)
    return engine


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction. It is committed when the block ends, and rolled back if the block raises an error.

    Raises DatabaseUnavailableError while Postgres is unavailable. A retry helps, but the commit may have happened.
    """
    with failures_named():
        async with engine.begin() as connection:
            yield connection
