"""A process that is asked to end while it still waits for its database ends at once."""

import asyncio

import pytest

from app.errors import DatabaseUnavailableError
from app.server import draining
from app.server.draining import Stop


async def test_waiting_ends_when_the_process_is_asked_to_end() -> None:
    """The wait is cancelled, and the process knows that it must not serve."""
    stop, was_cancelled = Stop(), asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            was_cancelled.set()

    waiting = asyncio.create_task(draining.before_stop(wait(), stop))
    await asyncio.sleep(0)
    stop.asked.set()

    assert await waiting is False
    assert was_cancelled.is_set()


async def test_work_that_is_done_in_time_lets_the_process_serve() -> None:
    """Nobody has asked it to end."""
    assert await draining.before_stop(asyncio.sleep(0), Stop()) is True


async def test_work_that_fails_says_why() -> None:
    """The process ends with that error's line."""

    async def fail() -> None:
        raise DatabaseUnavailableError

    with pytest.raises(DatabaseUnavailableError):
        await draining.before_stop(fail(), Stop())
