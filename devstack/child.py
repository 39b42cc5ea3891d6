"""One child process: starts it, reads its output line by line, and ends it in bounded time."""

import asyncio
import os
import signal
from asyncio import StreamReader
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TextIO

from devstack.errors import ChildEndedError
from devstack.parent_death import signalled_on_parent_death

LAST_LINES = 15
LINE_LIMIT_BYTES = 1024 * 1024
REST_OF_OUTPUT_SECONDS = 2

# Called with the name of a child and one line that it wrote.
Show = Callable[[str, str], None]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command. `arguments` start with the program; `environment` extends ours.

    The child is ready when `ready_url` answers with 2xx, which it must do within `ready_within`.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_url: str | None = None
    ready_within: timedelta = timedelta(seconds=20)


def prefixed(stream: TextIO) -> Show:
    """Prints each line to `stream`, after the name of the child that wrote it."""

    def show(name: str, line: str) -> None:
        print(f"{name:>9} | {line}", file=stream, flush=True)

    return show


def filed(directory: Path) -> Show:
    """Writes lines to `<name>.log` in `directory`, one file for each child. The first line replaces an older file."""
    opened: set[str] = set()

    def show(name: str, line: str) -> None:
        with (directory / f"{name}.log").open("a" if name in opened else "w") as file:
            file.write(f"{line}\n")
        opened.add(name)

    return show


class Child:
    """A running child process."""

    def __init__(self, command: Command, process: Process, show: Show) -> None:
        self.name = command.name
        self.process = process
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._reading = asyncio.create_task(self._read(show))

    @classmethod
    async def start(cls, command: Command, show: Show) -> "Child":
        """Starts the command in its own session, so that Ctrl-C in a terminal reaches only us and we end it in order.

        On Linux the kernel kills it when the calling thread ends for any reason.
        """
        process = await asyncio.create_subprocess_exec(
            *command.arguments,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            limit=LINE_LIMIT_BYTES,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **command.environment},
            start_new_session=True,
            preexec_fn=signalled_on_parent_death(signal.SIGKILL),
        )
        return cls(command, process, show)

    def last_words(self) -> str:
        """The last lines that it wrote, oldest first."""
        return "\n".join(self._last_lines) or "(no output)"

    async def ended(self) -> ChildEndedError:
        """Waits until it ends. Returns an error with its status and its last output."""
        status = await self.process.wait()
        await self._finish_reading()
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return ChildEndedError(f"{self.name} {how}; its last output:\n{self.last_words()}")

    async def end(self, *, within: timedelta) -> None:
        """Asks it to end, and kills it if it still runs after `within`."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self.process.wait()
        except TimeoutError:
            self.kill()
            await self.process.wait()
        await self._finish_reading()

    def kill(self) -> None:
        """Kills it and its process group, if it still runs."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def _finish_reading(self) -> None:
        # A grandchild may keep the pipe open for ever.
        _, unfinished = await asyncio.wait([self._reading], timeout=REST_OF_OUTPUT_SECONDS)
        for task in unfinished:
            task.cancel()

    async def _read(self, show: Show) -> None:
        if self.process.stdout is not None:
            async for line in lines_of(self.process.stdout):
                self._last_lines.append(line)
                show(self.name, line)


async def lines_of(output: StreamReader) -> AsyncIterator[str]:
    """The lines that a process writes until it closes its output."""
    while not output.at_eof():
        try:
            line = await output.readline()
        except ValueError:
            line = b"(a line that is too long to show)"
        if line:
            yield line.decode(errors="replace").rstrip()
