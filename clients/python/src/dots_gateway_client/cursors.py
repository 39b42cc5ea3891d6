"""Where a consumer keeps how far it has come in the feed."""

import asyncio
import os
from pathlib import Path
from typing import Protocol


class CursorStore(Protocol):
    """One consumer's place in the feed: a short text, opaque. A row of your own database will do."""

    async def load(self) -> str | None:
        """The cursor saved last; None when there is none, which means the start."""
        ...

    async def save(self, cursor: str) -> None:
        """Keep the cursor; return only when it would outlive a crash."""
        ...


class MemoryCursor:
    """A cursor that is gone with the process: for tests, and for readers who always begin anew."""

    def __init__(self, cursor: str | None = None) -> None:
        """Begin at this cursor."""
        self.cursor = cursor

    async def load(self) -> str | None:
        """The cursor."""
        return self.cursor

    async def save(self, cursor: str) -> None:
        """Keep the cursor."""
        self.cursor = cursor


class FileCursor:
    """A cursor in a file of one consumer's own; after a crash at any moment it holds a saved cursor, whole."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Name the file; its directory must exist, and `<path>.new` beside it must be free."""
        self._path = Path(path)

    async def load(self) -> str | None:
        """The cursor saved last; None when there is no file."""
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
        # The replacement is an entry of the directory, which the disk has to hold as well.
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
