"""The output of the processes of a test, line by line."""

import asyncio

READY_SECONDS = 30.0


class Logs:
    """Keeps every line with the name of its process. A `Child` calls it as its `Show`."""

    def __init__(self) -> None:
        """Start without lines."""
        self.lines: list[tuple[str, str]] = []
        self._has_new_line = asyncio.Event()

    def __call__(self, name: str, line: str) -> None:
        """Add one line of a process."""
        self.lines.append((name, line))
        self._has_new_line.set()

    def of(self, name: str) -> list[str]:
        """The lines of one process, in order."""
        return [line for process, line in self.lines if process == name]

    def text(self, *names: str) -> str:
        """All lines, or only those of these processes."""
        return "\n".join(line for process, line in self.lines if not names or process in names)

    async def hear(self, name: str, words: str, *, within: float = READY_SECONDS) -> str:
        """Wait for a line of a process that contains these words; the first such line."""
        async with asyncio.timeout(within):
            while True:
                for line in self.of(name):
                    if words in line:
                        return line
                self._has_new_line.clear()
                await self._has_new_line.wait()
