"""Runs programs and reads their output: the examples in the READMEs and the JavaScript consumer."""

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

CLIENTS = Path(__file__).parents[2] / "clients"
DEADLINE_SECONDS = 30


class Program:
    """A running program and the lines it has printed."""

    def __init__(self, process: Process) -> None:
        """Use a process whose standard output is a pipe."""
        self._process = process
        self.lines: list[str] = []

    async def line_with(self, part: str) -> str:
        """The next line that contains `part`. AssertionError with all lines if there is none."""
        assert self._process.stdout is not None
        async with asyncio.timeout(DEADLINE_SECONDS):
            while line := (await self._process.stdout.readline()).decode():
                self.lines.append(line.strip())
                if part in line:
                    return line.strip()
        raise AssertionError("\n".join(self.lines))


@asynccontextmanager
async def running(*arguments: str | Path, directory: Path, **environment: str) -> AsyncIterator[Program]:
    """Run a program in a directory with these environment variables. Kills it at the end of the block."""
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
