"""A process that gets a signal while it waits for its database ends immediately."""

import asyncio

import pytest

from app.errors import DatabaseUnavailableError
from app.server import draining
from app.server.draining import Stop


async def test_a_signal_cancels_the_wait() -> None:
    """False tells the process not to serve."""
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


async def test_after_the_work_the_process_serves() -> None:
    """No signal has arrived."""
    assert await draining.before_stop(asyncio.sleep(0), Stop()) is True


async def test_an_error_of_the_work_is_raised() -> None:
    """The process ends with the text of that error."""

    async def fail() -> None:
        raise DatabaseUnavailableError

    with pytest.raises(DatabaseUnavailableError):
        await draining.before_stop(fail(), Stop())
