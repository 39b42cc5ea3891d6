"""Proxies in front of Postgres that see clients write and commit. One cuts the connection there, one holds it."""

import asyncio
from random import Random

from tests.faults.campaigns.postgres_wire import Conversation
from tests.faults.campaigns.proxy import Interceptor, Proxy


class CommitCutter(Proxy):
    """Cuts clients off right after they have sent a COMMIT, or a writing statement that is its own transaction.

    Every second such commit still reaches Postgres, the others do not: to the client both look the same.
    """

    def __init__(self, target: int, dice: Random, *, chance: float) -> None:
        super().__init__(target)
        self.cuts_left = 0
        self.cuts_done = 0
        self._dice = dice
        self._chance = chance

    def intercept(self) -> Interceptor:
        """A new interceptor for each connection."""
        return _Cut(self)

    def is_to_cut_now(self) -> bool:
        """Decide at random about one commit."""
        if self.cuts_left == 0 or self._dice.random() >= self._chance:
            return False
        self.cuts_left -= 1
        self.cuts_done += 1
        return True


class _Cut:
    def __init__(self, cutter: CommitCutter) -> None:
        self._cutter = cutter
        self._conversation = Conversation()
        self.is_to_cut = False

    async def passes(self, data: bytes) -> bytes:
        for heard in self._conversation.hear(data):
            if heard.is_writing_commit and self._cutter.is_to_cut_now():
                self.is_to_cut = True
                return data if self._cutter.cuts_done % 2 else b""
        return data


class Holder(Proxy):
    """Once armed, holds the first client that is about to run a statement with `marker` in it.

    `hold` waits until a client is held. `let_end` releases it, and waits for the end of its transaction.
    """

    def __init__(self, target: int, marker: bytes) -> None:
        super().__init__(target)
        self.marker = marker
        self.is_armed = False
        self.holding = asyncio.Event()
        self.ended = asyncio.Event()
        self.may_go = asyncio.Event()

    def intercept(self) -> Interceptor:
        """A new interceptor for each connection."""
        return _Hold(self)

    async def hold(self, *, within: float) -> None:
        """Return when a client is held."""
        async with asyncio.timeout(within):
            await self.holding.wait()

    async def let_end(self, *, within: float) -> None:
        """Release the held client, and return when its transaction has ended."""
        self.may_go.set()
        async with asyncio.timeout(within):
            await self.ended.wait()


class _Hold:
    is_to_cut = False

    def __init__(self, holder: Holder) -> None:
        self._holder = holder
        self._conversation = Conversation()
        self._was_held = False

    async def passes(self, data: bytes) -> bytes:
        holder = self._holder
        for heard in self._conversation.hear(data):
            if holder.is_armed and holder.marker in heard.sql:
                holder.is_armed = False
                self._was_held = True
                holder.holding.set()
                await holder.may_go.wait()
            if self._was_held and heard.is_end:
                holder.ended.set()
        return data
