"""The purses of all apps in one process, and the chunks of tokens that are being taken for them."""

import asyncio
from collections.abc import Awaitable, Callable

from app.flows.budget import Budget
from app.flows.purse import Purse


class Purses:
    """One purse for each app and budget."""

    def __init__(self) -> None:
        self._purses: dict[tuple[str, Budget], Purse] = {}
        self._under_way: dict[tuple[str, Budget, float], asyncio.Task[None]] = {}

    def of(self, app: str, budget: Budget) -> Purse:
        """The purse of an app, empty at first."""
        return self._purses.setdefault((app, budget), Purse(budget))

    async def fill(self, app: str, budget: Budget, reserve: float, take_chunk: Callable[[], Awaitable[None]]) -> None:
        """Run `take_chunk`, or wait for the one under way: callers in a crowd share a chunk, and its failure."""
        key = (app, budget, reserve)
        under_way = self._under_way.get(key)
        if under_way is None:
            under_way = self._under_way[key] = asyncio.create_task(_run(take_chunk))
            under_way.add_done_callback(lambda task: self._forget(key, task))
        # Shielded, because a caller that is cancelled must not take the chunk away from the others.
        await asyncio.shield(under_way)

    def _forget(self, key: tuple[str, Budget, float], task: asyncio.Task[None]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # Every caller may have been cancelled; asyncio would call the error unretrieved.


async def _run(take_chunk: Callable[[], Awaitable[None]]) -> None:
    await take_chunk()
