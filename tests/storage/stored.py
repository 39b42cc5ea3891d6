"""Plain SQL for tests, independent of the tested code."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


async def rows(engine: AsyncEngine, statement: str, **values: Any) -> list[dict[str, Any]]:
    """The rows of a query."""
    async with engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(text(statement), values)).mappings()]


async def row(engine: AsyncEngine, statement: str, **values: Any) -> dict[str, Any]:
    """The only row of a query."""
    (found,) = await rows(engine, statement, **values)
    return found


async def count(engine: AsyncEngine, table: str) -> int:
    """How many rows a table has."""
    found = await row(engine, f"SELECT count(*) AS number FROM {table}")  # noqa: S608  # a test's own literal
    return int(found["number"])


async def execute(engine: AsyncEngine, *statements: str, **values: Any) -> None:
    """Execute statements in one transaction."""
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement), values)


async def vacuum(engine: AsyncEngine) -> None:
    """Run VACUUM ANALYZE, outside a transaction."""
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.roll_back()
        await driver.execute("VACUUM ANALYZE", timeout=60)
