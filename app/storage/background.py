"""Transactions of the background loops. Limits how many run at once, and retries writes while their lease lasts."""

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
    """`loop_connections` limits how many connections the loops hold at once; `jitter` returns numbers from 0 to 1."""

    loop_connections: asyncio.Semaphore
    jitter: Callable[[], float]


def connections_of(pool_size: int) -> int:
    """How many connections of a pool the loops may hold at once. The others are for requests."""
    return max(1, pool_size // 2)


@asynccontextmanager
async def transaction(inputs: BackgroundInputs) -> AsyncIterator[AsyncConnection]:
    """One transaction, which waits until the loops have a free connection. Do not nest these transactions.

    Without the limit, all running refreshes would request connections from the pool, which refuses requests that it
    cannot serve within its timeout. Raises DatabaseUnavailableError.
    """
    async with inputs.loop_connections, database.transaction(inputs.engine) as connection:
        yield connection


@asynccontextmanager
async def running(work: Coroutine[Any, Any, NoReturn]) -> AsyncIterator[None]:
    """Run endless work until the end of the block."""
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

    `write` must be conditional on the lease, because a failed attempt may have been committed.
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
            if failures == 1:  # Only the first failure is logged, because there may be many attempts.
                log.warning("not stored yet, trying again", what=what, error=str(error))
        await asyncio.sleep(wait_seconds)
