"""Processes forked from one that has imported everything, because importing takes seconds.

They have their own memory and session like any other process. Only their start is cheaper.
Source: multiprocessing's forkserver, docs.python.org/3/library/multiprocessing.html (read 2026-11-26).
"""

import asyncio
import importlib
import multiprocessing
import os
import signal
import sys
import threading
from asyncio import StreamReader, StreamReaderProtocol
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

from devstack.child import LAST_LINES, LINE_LIMIT_BYTES, lines_of

# Imported once, before the fork: the programs under test, the checker and the campaigns.
PRELOADED = (
    "tests.faults.campaigns.entry",
    "tests.faults.campaigns.checker",
    "tests.faults.campaigns.campaign_process",
)


class Forked:
    """A running process. `show` gets its output line by line."""

    def __init__(self, process: ForkServerProcess, output: StreamReader, show: Callable[[str], None]) -> None:
        self.process = process
        self.pid = process.pid or 0
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(output, show))
        asyncio.get_running_loop().add_reader(process.sentinel, self._note_exit)

    @classmethod
    async def start(
        cls, module: str, arguments: Sequence[str], environment: Mapping[str, str], show: Callable[[str], None]
    ) -> "Forked":
        """Run a module's `main` with `environment` added to ours. It is killed when this process ends."""
        forkserver = context()
        ours, theirs = forkserver.Pipe(duplex=False)
        process = forkserver.Process(
            target=_run, args=(module, tuple(arguments), dict(environment), theirs), daemon=True
        )
        process.start()
        theirs.close()
        output = StreamReader(limit=LINE_LIMIT_BYTES)
        pipe = os.fdopen(os.dup(ours.fileno()), "rb")
        ours.close()
        await asyncio.get_running_loop().connect_read_pipe(lambda: StreamReaderProtocol(output), pipe)
        return cls(process, output, show)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._exit.done()

    def last_words(self) -> str:
        """The last lines it wrote, oldest first."""
        return "\n".join(self._last_lines) or "(it wrote nothing)"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.is_running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def wait(self) -> int:
        """Its exit status once it has ended and its output is read. A negative one is the signal that killed it."""
        status = await asyncio.shield(self._exit)
        await asyncio.wait([self._reading])
        return status

    async def end(self, *, within: float) -> None:
        """Send SIGTERM, and SIGKILL if it still runs after `within` seconds."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(within):
                await self.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.wait()

    def _note_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self.process.sentinel)
        self.process.join()
        self._exit.set_result(self.process.exitcode or 0)

    async def _read(self, output: StreamReader, show: Callable[[str], None]) -> None:
        async for line in lines_of(output):
            self._last_lines.append(line)
            show(line)


def context() -> ForkServerContext:
    """The multiprocessing context that makes such processes."""
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(list(PRELOADED))
    return forkserver


def call(module: str, function: str, *arguments: Any) -> Any:
    """Call a function of a module that the caller need not have imported."""
    return getattr(importlib.import_module(module), function)(*arguments)


def end_with_parent() -> None:
    """End this process when its parent has ended in any way."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _run(module: str, arguments: tuple[str, ...], environment: dict[str, str], output: Connection) -> None:
    """Run the program in the forked process."""
    os.setsid()
    end_with_parent()
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    output.close()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # Python has opened them
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    importlib.import_module(module).main()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        connection.wait([parent.sentinel])
        os._exit(1)
