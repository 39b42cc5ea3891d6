"""Waiting until a connection waits for a lock of another one."""

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.stack.waiting import eventually
from tests.storage import stored

WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
)


async def until_waiting(engine: AsyncEngine, *, number: int = 1) -> list[int]:
    """Wait for this number of blocked connections. Returns their process ids."""

    async def look() -> list[int]:
        found = [row["pid"] for row in await stored.rows(engine, WAITING)]
        return found if len(found) >= number else []

    return await eventually(look)
