"""Transactions of the background loops: never more at once than the pool can serve, and patient while a lease lasts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.backoff import BackoffSchedule
from app.errors import DatabaseUnavailableError
from app.storage import database
from app.storage.inputs import StorageInputs

log = structlog.get_logger()

Result = TypeVar("Result")

_RETRIES = BackoffSchedule(waits=tuple(timedelta(seconds=seconds) for seconds in (0.2, 0.4, 0.8, 1.6, 2)))


@dataclass(frozen=True, kw_only=True)
class BackgroundInputs(StorageInputs):
    """`loop_connections` has a place for each connection that the loops may hold at once; `jitter` is in 0–1."""

    loop_connections: asyncio.Semaphore
    jitter: Callable[[], float]


def connections_of(pool_size: int) -> int:
    """How many connections of a pool the loops may hold at once; the others are for everything else."""
    return max(1, pool_size // 2)


@asynccontextmanager
async def transaction(inputs: BackgroundInputs) -> AsyncIterator[AsyncConnection]:
    """One transaction, begun as soon as the loops have a connection left. Do not begin one inside another.

    Without this, as many transactions as there are refreshes under way would ask the pool for a connection, and it
    would refuse those that it could not serve within its timeout. Raises DatabaseUnavailableError.
    """
    async with inputs.loop_connections, database.transaction(inputs.engine) as connection:
        yield connection


@asynccontextmanager
async def running(work: Coroutine[Any, Any, NoReturn]) -> AsyncIterator[None]:
    """Let work that never ends run until the end of the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def persist(
    inputs: BackgroundInputs, write: Callable[[], Awaitable[Result]], *, until: datetime, what: str
) -> Result:
    """Write, and retry with short waits while Postgres is unavailable, until the lease ends.

    `write` must be conditional on the lease: an attempt that failed may have been committed all the same.
    Raises DatabaseUnavailableError once the lease has ended.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (until - inputs.clock()).total_seconds()
    failures = 0
    while True:
        try:
            return await write()
        except DatabaseUnavailableError as error:
            failures += 1
            wait_seconds = _RETRIES.wait(failures, jitter=inputs.jitter()).total_seconds()
            if loop.time() + wait_seconds >= deadline or inputs.clock() >= until:
                log.error("not stored before its lease ended", what=what, error=str(error))  # noqa: TRY400  # no bug
                raise
            if failures == 1:  # One line for each, not one for each attempt: there may be many.
                log.warning("not stored yet, trying again", what=what, error=str(error))
        await asyncio.sleep(wait_seconds)
