"""Programs that tests start and listen to: the READMEs' examples, and the consumer in JavaScript."""

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

CLIENTS = Path(__file__).parents[2] / "clients"
DEADLINE_SECONDS = 30


class Program:
    """A running program and what it has printed."""

    def __init__(self, process: Process) -> None:
        """Take the process, whose output must be a pipe."""
        self._process = process
        self.lines: list[str] = []

    async def hear(self, part: str) -> str:
        """The next line with this in it. AssertionError with everything printed when there is none."""
        assert self._process.stdout is not None
        async with asyncio.timeout(DEADLINE_SECONDS):
            while line := (await self._process.stdout.readline()).decode():
                self.lines.append(line.strip())
                if part in line:
                    return line.strip()
        raise AssertionError("\n".join(self.lines))


@asynccontextmanager
async def running(*arguments: str | Path, directory: Path, **environment: str) -> AsyncIterator[Program]:
    """A program in a directory, with this in its environment; it is ended at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        cwd=directory,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
