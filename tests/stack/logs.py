"""What the processes of a test have said, line by line."""

import asyncio

READY_SECONDS = 30.0


class Logs:
    """Keeps every line with the name of who wrote it; give it to a child as its `Show`."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.lines: list[tuple[str, str]] = []
        self._something_new = asyncio.Event()

    def __call__(self, name: str, line: str) -> None:
        """Take one line of a process."""
        self.lines.append((name, line))
        self._something_new.set()

    def of(self, name: str) -> list[str]:
        """The lines of one process, in order."""
        return [line for speaker, line in self.lines if speaker == name]

    def text(self, *names: str) -> str:
        """Everything that was said, or only what these processes said."""
        return "\n".join(line for speaker, line in self.lines if not names or speaker in names)

    async def hear(self, name: str, words: str, *, within: float = READY_SECONDS) -> str:
        """The first line of a process that contains these words, as soon as there is one."""
        async with asyncio.timeout(within):
            while True:
                for line in self.of(name):
                    if words in line:
                        return line
                self._something_new.clear()
                await self._something_new.wait()
