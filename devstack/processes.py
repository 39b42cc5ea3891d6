"""Supervises the child processes of `dev` and `demo`: starts them in order and stops them in reverse order."""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import httpx

from devstack.child import Child, Command, Show
from devstack.errors import ChildNotReadyError

READY_POLL_SECONDS = 0.05
READY_REQUEST_SECONDS = 2
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Result = TypeVar("Result")


class Supervisor:
    """The running children; see `supervising`."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._children: list[Child] = []

    async def start(self, command: Command) -> int:
        """Start a child. Returns its process id as soon as its `ready_url` (if any) answers with 2xx.

        Raises ChildEndedError if any child ends before that, ChildNotReadyError at the deadline.
        """
        child = await Child.start(command, self._show)
        self._children.append(child)
        if command.ready_url:
            await self.watch(_until_ready(child, command.ready_url, within=command.ready_within))
        return child.process.pid

    async def watch(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`. If a child ends first, cancels `work` and raises ChildEndedError."""
        task = asyncio.create_task(work)
        ends = {asyncio.create_task(child.ended()) for child in self._children}
        try:
            await asyncio.wait({task, *ends}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise next(end.result() for end in ends if end.done())
        finally:
            for other in (task, *ends):
                other.cancel()
            await asyncio.gather(task, *ends, return_exceptions=True)

    async def stop(self, *, within: timedelta) -> None:
        """Stop the children in reverse order."""
        try:
            while self._children:
                await self._children[-1].end(within=within)
                self._children.pop()
        finally:
            # Children are left only if stopping was interrupted.
            for child in self._children:
                child.kill()


@asynccontextmanager
async def supervising(show: Show, *, stop_within: timedelta = timedelta(seconds=10)) -> AsyncIterator[Supervisor]:
    """A supervisor for an `async with` block. After the block no child runs.

    SIGINT, SIGTERM and SIGHUP cancel the block. When the children have ended, it raises SystemExit with the status that
    a shell expects. Use it in the main thread only.
    """
    supervisor = Supervisor(show)
    received: list[signal.Signals] = []
    try:
        with _cancelled_by_signals(received):
            try:
                yield supervisor
            finally:
                await _finish(supervisor.stop(within=stop_within))
    except asyncio.CancelledError:
        if received:
            raise SystemExit(128 + received[0]) from None
        raise


@contextmanager
def _cancelled_by_signals(received: list[signal.Signals]) -> Iterator[None]:
    """Cancel the current task at the first stop signal. Later signals do not interrupt the stopping."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def cancel(number: signal.Signals) -> None:
        received.append(number)
        if task and len(received) == 1:
            task.cancel()

    # Signals that our parent ignores (nohup, a background job) stay ignored.
    numbers = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    for number in numbers:
        loop.add_signal_handler(number, cancel, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Finish `work`, which is bounded in time, even if the task is cancelled meanwhile."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _until_ready(child: Child, url: str, *, within: timedelta) -> None:
    try:
        async with (
            asyncio.timeout(within.total_seconds()),
            httpx.AsyncClient(trust_env=False, timeout=READY_REQUEST_SECONDS) as client,
        ):
            while not await _answers(client, url):  # noqa: ASYNC110 - another process cannot set our Event
                await asyncio.sleep(READY_POLL_SECONDS)
    except TimeoutError as error:
        seconds = f"{within.total_seconds():g}"
        raise ChildNotReadyError(
            f"{child.name} did not answer {url} within {seconds} s; its last output:\n{child.last_words()}"
        ) from error


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        response = await client.get(url)
    except httpx.TransportError:
        return False
    return response.is_success
