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

# SQLAlchemy keeps options that it does not know, for its users.
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
    """An engine with bounded waits everywhere; nothing is connected yet. Raises SettingsError."""
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
    """An engine with one connection that the pool of `engine` does not count. What one learns of the server, both know.

    Nothing is connected yet.
    """
    return _engine_over(sessions_of(engine), pool_size=1)


def sessions_of(engine: AsyncEngine) -> Sessions:
    """What opens the sessions of an engine that was made here."""
    sessions: Sessions = engine.get_execution_options()[_SESSIONS]
    return sessions


def _engine_over(sessions: Sessions, *, pool_size: int) -> AsyncEngine:
    is_pooled = sessions.has_transaction_pooler
    # A statement without a name lives until the next one: within a transaction, which a pooler keeps on one session.
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
    """One transaction: committed when the block ends, rolled back when it raises.

    Raises DatabaseUnavailableError when Postgres cannot be asked now; a retry helps, and has to reckon with the
    commit having happened.
    """
    with failures_named():
        async with engine.begin() as connection:
            yield connection
