"""Stores for a consumer's cursor in the feed."""

import asyncio
import os
from pathlib import Path
from typing import Protocol


class CursorStore(Protocol):
    """Stores the cursor of one consumer, a short opaque text, for example in a row of your database."""

    async def load(self) -> str | None:
        """The last saved cursor, or None."""
        ...

    async def save(self, cursor: str) -> None:
        """Store the cursor. Return when it is durable."""
        ...


class MemoryCursor:
    """Keeps the cursor in memory, for tests and for consumers that always start from the beginning."""

    def __init__(self, cursor: str | None = None) -> None:
        """Start with this cursor."""
        self.cursor = cursor

    async def load(self) -> str | None:
        """The last saved cursor, or None."""
        return self.cursor

    async def save(self, cursor: str) -> None:
        """Store the cursor."""
        self.cursor = cursor


class FileCursor:
    """Keeps the cursor of one consumer in a file. After a crash the file has a complete saved cursor."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Use this file. Its directory must exist. `save` overwrites `<path>.new`."""
        self._path = Path(path)

    async def load(self) -> str | None:
        """The last saved cursor; None if there is no file."""
        return await asyncio.to_thread(self._read)

    async def save(self, cursor: str) -> None:
        """Replace the cursor."""
        await asyncio.to_thread(self._write, cursor)

    def _read(self) -> str | None:
        try:
            return self._path.read_text(encoding="ascii").strip() or None
        except FileNotFoundError:
            return None

    def _write(self, cursor: str) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        with fresh.open("w", encoding="ascii") as file:
            file.write(f"{cursor}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        # The rename changes the directory, so sync that too.
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
