"""Reads and locks the database of the processes under test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from tests.stack.waiting import eventually


@asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[Any]:
    """A separate connection for the test."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


async def column(database_url: str, query: str, *arguments: object) -> list[Any]:
    """The first column of a query's rows."""
    async with connected(database_url) as connection:
        return [row[0] for row in await connection.fetch(query, *arguments)]


@asynccontextmanager
async def nothing_commits(database_url: str, table: str) -> AsyncIterator[None]:
    """Block writes to a table until the end of the block. A writer waits up to 5 s."""
    async with connected(database_url) as connection, connection.transaction():
        await connection.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        yield


async def somebody_waits(database_url: str) -> None:
    """Wait until a statement waits for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def waits() -> bool:
        return await column(database_url, waiting) != [0]

    await eventually(waits)


async def all_handled(database_url: str) -> None:
    """Wait until no sync row is dirty."""

    async def is_handled() -> bool:
        return await column(database_url, "SELECT count(*) FROM sync_rows WHERE clean_gen < dirty_gen") == [0]

    await eventually(is_handled)


async def everything(database_url: str) -> dict[str, str]:
    """The whole content of the database as text, by `table.column`. Bytes that are not text are escaped."""
    found: dict[str, str] = {}
    async with connected(database_url) as connection:
        for table, name, kind in await connection.fetch(_COLUMNS):
            as_text = f"encode({name}, 'escape')" if kind == "bytea" else f"{name}::text"
            rows = await connection.fetch(f"SELECT {as_text} FROM {table} WHERE {name} IS NOT NULL")  # noqa: S608  # our own names
            found[f"{table}.{name}"] = "\n".join(row[0] for row in rows)
    return found


_COLUMNS = """
    SELECT table_name, quote_ident(column_name), data_type FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> 'dots_gateway_version'
"""
