"""Stops a process: waits for running work, then cancels it, and ends the process within a fixed time."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger()

# Their sum is below the 20 s that the documentation promises: time for running work to end, for cancelled work to end,
# and for connections and threads to close.
DRAIN_SECONDS = 16.0
CANCEL_SECONDS = 2.0
CLOSE_SECONDS = 1.5


@dataclass(frozen=True)
class Stop:
    """The first SIGTERM or SIGINT sets `asked`. The second sets `insisted`: the process then waits for nothing."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    insisted: asyncio.Event = field(default_factory=asyncio.Event)


def listen(*, drain_seconds: float) -> Stop:
    """Handle this process's signals from now on.

    The process ends with status 1 if it is still running some seconds after the drain. For example, a thread that
    resolves a name cannot be cancelled.
    """
    stop = Stop()

    def handle() -> None:
        if stop.asked.is_set():
            stop.insisted.set()
            return
        stop.asked.set()
        log.info("draining", at_most_seconds=drain_seconds)
        last_resort = threading.Timer(drain_seconds + CANCEL_SECONDS + CLOSE_SECONDS, _end_now)
        last_resort.daemon = True
        last_resort.start()

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, handle)
    return stop


async def before_stop(work: Awaitable[None], stop: Stop) -> bool:
    """Do this work before the process serves. If a signal arrives meanwhile, cancel the work and return False."""
    working = asyncio.ensure_future(work)
    asking = asyncio.ensure_future(stop.asked.wait())
    await asyncio.wait([working, asking], return_when=asyncio.FIRST_COMPLETED)
    asking.cancel()
    if not working.done():
        working.cancel()
        await asyncio.wait([working])
        return False
    working.result()
    return True


async def drain(tasks: Sequence[asyncio.Task[None]], stop: Stop, *, seconds: float) -> bool:
    """Wait until the tasks have ended, a second signal arrives or `seconds` have passed. Then cancel the rest.

    Returns True if all tasks ended by themselves. Raises what a task raised.
    """
    ending = asyncio.ensure_future(asyncio.wait(tasks))
    insisting = asyncio.ensure_future(stop.insisted.wait())
    await asyncio.wait([ending, insisting], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    insisting.cancel()
    left = [task for task in tasks if not task.done()]
    await cancel(left)
    ending.cancel()
    for task in tasks:
        if task not in left and not task.cancelled():
            task.result()
    return not left


async def cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel the tasks and wait for them, at most CANCEL_SECONDS."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CANCEL_SECONDS)


def _end_now() -> None:
    log.error("the process did not end by itself")
    sys.stdout.flush()
    os._exit(1)
