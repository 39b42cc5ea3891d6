"""The plans of the statements that some code sends, and the buffers that they touch."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

Act = Callable[[AsyncConnection], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How Postgres has carried out one statement."""

    statement: str
    root: dict[str, Any]

    @property
    def buffers(self) -> int:
        """The pages of shared memory that it looked at."""
        return int(self.root["Shared Hit Blocks"]) + int(self.root["Shared Read Blocks"])

    @property
    def scanned_whole(self) -> set[str]:
        """The tables that it read from end to end, and really did."""
        return {
            node["Relation Name"]
            for node in self.nodes()
            if node["Node Type"] == "Seq Scan" and node["Actual Loops"] > 0
        }

    @property
    def indexes(self) -> set[str]:
        """The indexes that it used."""
        return {node["Index Name"] for node in self.nodes() if "Index Name" in node}

    def nodes(self) -> Iterator[dict[str, Any]]:
        """Every node of the plan."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.get("Plans", ())


async def explain(engine: AsyncEngine, act: Act) -> list[Plan]:
    """The plan of each statement that `act` sends; whatever it changes is rolled back."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
        sent.append((statement, parameters))

    async with engine.connect() as connection:
        event.listen(engine.sync_engine, "before_cursor_execute", note)
        try:
            await act(connection)
        finally:
            event.remove(engine.sync_engine, "before_cursor_execute", note)
        await connection.rollback()
        return [await _explain(connection, statement, parameters) for statement, parameters in sent]


async def buffers(engine: AsyncEngine, act: Act) -> int:
    """The pages that all statements of `act` look at together."""
    return sum(plan.buffers for plan in await explain(engine, act))


async def _explain(connection: AsyncConnection, statement: str, parameters: Any) -> Plan:
    found = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
    answer = found.scalar_one()
    plan = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
    return Plan(statement=statement, root=plan)


@asynccontextmanager
async def snapshot_held(engine: AsyncEngine) -> AsyncIterator[None]:
    """While it lasts, no version of a row that was there at its beginning or comes later can be cleaned up."""
    async with engine.connect() as holder:
        await holder.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await holder.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await holder.execute(text("SELECT count(*) FROM feed"))
        yield
