"""Know which keys of open streams have been revoked: one look for all of them, not one a stream."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from app.access import manage_keys

CHECK_SECONDS = 10.0
# A key that could not be looked up for so long counts as revoked: its reader comes back, and is asked for it again.
TRUST_SECONDS = 30.0


class KeyWatch:
    """The keys that open streams were begun with; `look` finds out which of them are still good."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Take what is needed; nothing is read before the first look."""
        self._engine = engine
        self._holders: Counter[str] = Counter()
        self._good_at: dict[str, float] = {}
        self._looked_at = 0.0

    @contextmanager
    def holding(self, key_id: str) -> Iterator[None]:
        """Watch a key that was good just now, until the end of the block."""
        self._holders[key_id] += 1
        self._good_at[key_id] = _now()
        try:
            yield
        finally:
            self._holders[key_id] -= 1
            if not self._holders[key_id]:
                del self._holders[key_id]
                self._good_at.pop(key_id, None)

    def is_good(self, key_id: str) -> bool:
        """Whether a held key was good when it was last looked up, and that is not too long ago."""
        return key_id in self._good_at and _now() - self._good_at[key_id] < TRUST_SECONDS

    async def look(self) -> None:
        """Look all held keys up, unless that was done a moment ago. Raises DatabaseUnavailableError."""
        began = _now()
        held = set(self._holders)
        if not held or began - self._looked_at < CHECK_SECONDS:
            return
        good = await manage_keys.live_among(self._engine, held)
        self._looked_at = began
        for key_id in held & self._good_at.keys():
            if key_id in good:
                self._good_at[key_id] = began
            else:
                del self._good_at[key_id]


def _now() -> float:
    return asyncio.get_running_loop().time()
