"""The databases of a benchmark: creates them, checks that they are durable, counts their rows and drops them."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from uuid import uuid4

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

# With any of these off, a power failure could lose acknowledged webhooks.
DURABLE_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes")


class NotComparableError(Exception):
    """The run is not comparable; the message says why."""


def database_url(server_url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncConnection]:
    """Yield one connection outside any transaction (`CREATE DATABASE` demands that), closed at the end."""
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


async def durable_version(server_url: str) -> str:
    """Return the server's version, or raise `NotComparableError` when it does not write through to disk."""
    async with connected(server_url) as connection:
        for name in DURABLE_SETTINGS:
            if await connection.scalar(text("SELECT current_setting(:name)"), {"name": name}) != "on":
                raise NotComparableError(f"Postgres runs with {name} off; the bench needs it on")
        return str(await connection.scalar(text("SELECT current_setting('server_version')")))


@asynccontextmanager
async def empty_database(server_url: str, *, purpose: str) -> AsyncIterator[str]:
    """Yield the URL of a fresh database, dropped at the end."""
    name = f"dots_gateway_bench_{purpose}_{uuid4().hex[:8]}"
    async with connected(server_url) as connection:
        await connection.execute(text(f'CREATE DATABASE "{name}"'))
    try:
        yield database_url(server_url, name)
    finally:
        async with connected(server_url) as connection:
            await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


async def settle(url: str) -> None:
    """Run a CHECKPOINT, so that no round pays for the one before it."""
    async with connected(url) as connection:
        await connection.execute(text("CHECKPOINT"))


async def count_stored_once(url: str, *, table: str, prefix: str, acknowledged_ids: Iterable[str]) -> int:
    """Return how many acknowledged ids are rows, each exactly once; otherwise raise `NotComparableError`."""
    query = f"SELECT message_id FROM {table} WHERE starts_with(message_id, :prefix)"  # noqa: S608 -- our own table names
    async with connected(url) as connection:
        stored = Counter((await connection.scalars(text(query), {"prefix": prefix})).all())
    acknowledged = Counter(acknowledged_ids)
    wrong = sum(stored[message_id] != 1 for message_id in acknowledged)
    if wrong or acknowledged.total() != len(acknowledged):
        raise NotComparableError(
            f"{table}: {wrong} of {acknowledged.total()} acknowledged webhooks are not stored exactly once"
        )
    return len(acknowledged)
