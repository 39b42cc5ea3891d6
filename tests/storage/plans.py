"""What Postgres does for a statement: its plan, and how many pages it reads.

The real function runs, its statements are caught, and each is prepared and explained: once planned for its values, as
the first five executions are, and once for any values, as the later ones may be.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

MODES = ("force_custom_plan", "force_generic_plan")
# These have as many rows as there are apps, subscriptions, brokers or people.
SMALL_TABLES = frozenset({"api_keys", "apps", "broker_cursors", "feed", "subscription_secrets", "subscriptions"})

Statement = tuple[str, Sequence[Any]]


@dataclass(frozen=True, kw_only=True)
class PlanCase:
    """A function of storage, and how many pages each of its statements may read at most."""

    name: str
    run: Callable[[AsyncConnection], Awaitable[object]]
    most_pages: int


async def faults(engine: AsyncEngine, case: PlanCase) -> list[str]:
    """What is wrong with the plans of a case: a table read as a whole, or too many pages. Changes nothing."""
    async with engine.connect() as connection:
        with _caught(engine) as statements:
            await case.run(connection)
        await connection.rollback()
    assert statements, f"{case.name}: no statement"
    return [fault for mode in MODES for fault in await _faults_of(engine, case, statements, mode)]


async def _faults_of(engine: AsyncEngine, case: PlanCase, statements: list[Statement], mode: str) -> list[str]:
    found = []
    async with engine.connect() as connection:
        await connection.exec_driver_sql(f"SET LOCAL plan_cache_mode = {mode}")
        for number, (statement, values) in enumerate(statements):
            if "set_config" in statement:  # The function plans for its values whatever the mode.
                await connection.exec_driver_sql(statement)
                continue
            plan = await _explain(connection, f"case_{number}", statement, values)
            pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            where = f"{case.name} ({mode}, {' '.join(statement.split())[:80]}…)"
            found += [f"{where}: reads all of {table}" for table in _read_as_a_whole(plan)]
            if pages > case.most_pages:
                found.append(f"{where}: reads {pages} pages, not {case.most_pages}")
        await connection.rollback()
    return found


async def _explain(connection: AsyncConnection, name: str, statement: str, values: Sequence[Any]) -> dict[str, Any]:
    given = ", ".join(_literal(value) for value in values)
    await connection.exec_driver_sql(f"PREPARE {name} AS {statement}")
    execute = f"EXECUTE {name}({given})" if values else f"EXECUTE {name}"
    explained = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {execute}")
    await connection.exec_driver_sql(f"DEALLOCATE {name}")
    plan: dict[str, Any] = explained.scalar_one()[0]["Plan"]
    return plan


@contextmanager
def _caught(engine: AsyncEngine) -> Iterator[list[Statement]]:
    """The statements that are executed meanwhile, as the driver gets them; of many rows at once, the first."""
    statements: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, is_many: bool) -> None:  # noqa: FBT001  # SQLAlchemy calls it
        statements.append((statement, values[0] if is_many else values))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


def _read_as_a_whole(plan: dict[str, Any]) -> Iterator[str]:
    if plan["Node Type"] == "Seq Scan" and plan["Actual Loops"] and plan["Relation Name"] not in SMALL_TABLES:
        yield plan["Relation Name"]
    for child in plan.get("Plans", []):
        yield from _read_as_a_whole(child)


def _literal(value: Any) -> str:
    """The value as SQL of no type; EXECUTE takes no parameters of the protocol."""
    if value is None:
        return "NULL"
    quoted = _written(value).replace("'", "''")
    return f"'{quoted}'"


def _written(value: Any) -> str:
    """The value as Postgres reads it."""
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
