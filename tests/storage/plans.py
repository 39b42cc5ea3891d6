"""The plan of a statement, and how many pages it reads.

Runs the real function, records its statements, and explains each as a prepared statement. The first five executions
get a custom plan, later ones may get a generic plan, so both are checked.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

MODES = ("force_custom_plan", "force_generic_plan")
# The number of their rows does not grow with the traffic.
SMALL_TABLES = frozenset({"api_keys", "apps", "broker_offsets", "feed", "subscription_secrets", "subscriptions"})

Act = Callable[[AsyncConnection], Awaitable[object]]
Statement = tuple[str, Sequence[Any]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How Postgres executed one statement."""

    statement: str
    root: dict[str, Any]

    @property
    def pages(self) -> int:
        """The number of pages that it read."""
        return int(self.root["Shared Hit Blocks"]) + int(self.root["Shared Read Blocks"])

    @property
    def read_as_a_whole(self) -> set[str]:
        """The tables that it scanned sequentially."""
        return {
            node["Relation Name"]
            for node in self._nodes()
            if node["Node Type"] == "Seq Scan" and node["Actual Loops"] > 0
        }

    def _nodes(self) -> Iterator[dict[str, Any]]:
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.get("Plans", ())


@dataclass(frozen=True, kw_only=True)
class PlanCase:
    """A function, and the largest number of pages that each of its statements may read."""

    name: str
    run: Act
    most_pages: int


async def faults(engine: AsyncEngine, case: PlanCase) -> list[str]:
    """The faults of a case's plans: a sequential scan, or too many pages. Changes nothing."""
    found = []
    for mode in MODES:
        for plan in await explain(engine, case.run, mode=mode):
            where = f"{case.name} ({mode}, {' '.join(plan.statement.split())[:80]}…)"
            found += [f"{where}: reads all of {table}" for table in plan.read_as_a_whole - SMALL_TABLES]
            if plan.pages > case.most_pages:
                found.append(f"{where}: reads {plan.pages} pages, not {case.most_pages}")
    return found


async def explain(engine: AsyncEngine, act: Act, *, mode: str = "force_custom_plan") -> list[Plan]:
    """The plan of each statement that `act` sends. Rolls back its changes."""
    async with engine.connect() as connection:
        with _caught(engine) as statements:
            await act(connection)
        await connection.rollback()
    assert statements
    plans = []
    async with engine.connect() as connection:
        await connection.exec_driver_sql(f"SET LOCAL plan_cache_mode = {mode}")
        for statement, values in statements:
            if "set_config" in statement:  # It sets plan_cache_mode itself.
                await connection.exec_driver_sql(statement)
            else:
                plans.append(await _explain(connection, statement, values))
        await connection.rollback()
    return plans


async def pages(engine: AsyncEngine, act: Act) -> int:
    """The number of pages that all statements of `act` read together."""
    return sum(plan.pages for plan in await explain(engine, act))


@asynccontextmanager
async def snapshot_held(engine: AsyncEngine) -> AsyncIterator[None]:
    """Hold a snapshot open, so that Postgres cannot remove dead rows meanwhile."""
    async with engine.connect() as holder:
        await holder.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await holder.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await holder.execute(text("SELECT count(*) FROM feed"))
        yield


async def _explain(connection: AsyncConnection, statement: str, values: Sequence[Any]) -> Plan:
    given = ", ".join(_literal(value) for value in values)
    await connection.exec_driver_sql(f"PREPARE explained AS {statement}")
    execute = f"EXECUTE explained({given})" if values else "EXECUTE explained"
    answer = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {execute}")
    await connection.exec_driver_sql("DEALLOCATE explained")
    return Plan(statement=statement, root=answer.scalar_one()[0]["Plan"])


@contextmanager
def _caught(engine: AsyncEngine) -> Iterator[list[Statement]]:
    """Record the statements that are executed meanwhile, as the driver gets them, with the values of the first row."""
    statements: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, is_many: bool) -> None:  # noqa: FBT001  # SQLAlchemy calls it
        statements.append((statement, values[0] if is_many else values))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


def _literal(value: Any) -> str:
    """The value as an untyped SQL literal, because EXECUTE takes no protocol parameters."""
    if value is None:
        return "NULL"
    quoted = _written(value).replace("'", "''")
    return f"'{quoted}'"


def _written(value: Any) -> str:
    """The value in Postgres' text format."""
    match value:
        case bytes():
            return f"\\x{value.hex()}"
        case list() | tuple():
            elements = ("NULL" if each is None else f'"{_escaped(_written(each))}"' for each in value)
            return f"{{{','.join(elements)}}}"
        case str() | bool() | int() | float() | datetime() | UUID():
            return str(value)
        case _:
            raise TypeError(type(value))


def _escaped(element: str) -> str:
    return element.replace("\\", "\\\\").replace('"', '\\"')
