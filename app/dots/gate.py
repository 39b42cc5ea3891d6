"""The one way to calls of a Dots app: every call needs a permit, and permits are had here alone.

The budget is a bucket of tokens, one for all processes: a row that everyone updates. With an update for each call, it
would have thousands of dead versions as soon as a long transaction keeps them alive. So a process takes a chunk of
tokens and spends it from memory. The same row says until when Dots may not be called: because it asked for a pause
(429), or because it refuses the app's credentials.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from app.dots.purse import Purse
from app.errors import DatabaseUnavailableError, DotsCredentialsError, DotsError, DotsThrottledError
from app.flows.budget import Budget, Grant

log = structlog.get_logger()

# Another caller may spend a chunk first. After this many chunks the caller gets nothing and comes back later.
_MOST_CHUNKS = 5
# Somebody may end a pause early. It is believed for so long before the database is asked again.
_BELIEVE_PAUSE = timedelta(seconds=5)
_THROTTLED_PAUSE = timedelta(seconds=5)
_SAME_PAUSE = timedelta(seconds=1)
_NO_TOKEN_WAIT = timedelta(seconds=1)
# While Dots refuses the credentials, each pause is twice the one before, up to so many times the first.
_LONGEST_PAUSE = 15


class Ledger(Protocol):
    """What all processes know of the calls to each app. Every method raises DatabaseUnavailableError."""

    async def take(self, app: str, wanted: int, *, reserve: float, returned: int, is_trial: bool) -> Grant:
        """Take up to `wanted` tokens while there is no pause, leaving `reserve`; `returned` ones go back first.

        A trial of the credentials goes ahead although they were refused before.
        """

    async def hold_off(self, app: str, *, until: datetime) -> None:
        """Nobody calls before then, because Dots asked for it."""

    async def pause(self, app: str, *, until: datetime, earlier: int) -> None:
        """Nobody calls before then, because Dots refuses the credentials, after `earlier` such pauses in a row."""

    async def resume(self, app: str) -> None:
        """Dots accepts the credentials again."""


class Permit:
    """The right to make one call."""

    def __init__(self, gate: "Gate", *, reserve: float, is_trial: bool = False) -> None:
        """Made by a gate only; `reserve` is what was left in the bucket for more urgent calls."""
        self.reserve = reserve
        self.is_spent = False
        self._gate = gate
        self._is_trial = is_trial

    def spend(self, gate: "Gate") -> None:
        """Note that the call is made, at this gate's app; raises DotsError if a pause has begun since."""
        if self.is_spent or gate is not self._gate:
            raise ValueError("A permit is for one call of one app.")
        if gate.is_paused(is_trial=self._is_trial):
            raise gate.refusal()
        self.is_spent = True


class Gate:
    """The permits of one app in one process."""

    def __init__(
        self, app: str, *, budget: Budget, ledger: Ledger, first_pause: timedelta, now: Callable[[], datetime]
    ) -> None:
        """Open until the ledger or Dots says otherwise; the ledger is first asked when a permit is wanted."""
        self.app = app
        self.budget = budget
        self._ledger = ledger
        self._first_pause = first_pause
        self._now = now
        self._purse = Purse(budget)
        self._chunks: dict[tuple[float, bool], asyncio.Task[None]] = {}
        self._shut_until: datetime | None = None
        self._believed_until: datetime | None = None
        self._refusals = 0

    async def take(self, wanted: int = 1, *, reserve: float = 0, is_trial: bool = False) -> list[Permit]:
        """Up to `wanted` permits, leaving `reserve` tokens to more urgent calls; none during a pause.

        Raises DatabaseUnavailableError. Call it while no transaction is open: it may need a connection.
        """
        taken = 0
        for _ in range(_MOST_CHUNKS + 1):
            if self.is_paused(is_trial=is_trial):
                break
            taken += self._purse.spend(wanted - taken, reserve=reserve, now=self._now())
            if taken == wanted or not self._purse.is_worth_asking(reserve=reserve, now=self._now()):
                break
            try:
                await self._fill(wanted - taken, reserve=reserve, is_trial=is_trial)
            except BaseException:
                self._purse.put(taken, reserve=reserve, now=self._now())
                raise
        return [Permit(self, reserve=reserve, is_trial=is_trial) for _ in range(taken)]

    async def take_one(self, *, reserve: float = 0, is_trial: bool = False) -> Permit:
        """A permit. Raises DatabaseUnavailableError, or the DotsError of `refusal` when there is none now."""
        permits = await self.take(reserve=reserve, is_trial=is_trial)
        if not permits:
            raise self.refusal()
        return permits[0]

    def give_back(self, permits: Iterable[Permit]) -> None:
        """Permits whose calls were not made are for the next caller in this process, then for all processes."""
        for permit in permits:
            if not permit.is_spent:
                permit.is_spent = True
                self._purse.put(1, reserve=permit.reserve, now=self._now())

    def is_shut(self, *, reserve: float = 0) -> bool:
        """Whether `take` would give nothing now; known without asking the database."""
        return self.is_paused() or self._purse.is_spent(reserve=reserve, now=self._now())

    def refusal(self) -> DotsError:
        """Why there is no permit now, and how long to wait for one."""
        if not self.is_paused() or self._shut_until is None:
            return DotsThrottledError("There are too many calls to Dots now.", retry_after=_NO_TOKEN_WAIT)
        wait = self._shut_until - self._now()
        return DotsCredentialsError(retry_after=wait) if self._refusals else DotsThrottledError(retry_after=wait)

    def is_paused(self, *, is_trial: bool = False) -> bool:
        """Whether Dots may not be called now; a trial of the credentials may, while it is only they that it refused."""
        now = self._now()
        is_believed = self._believed_until is not None and now < self._believed_until
        is_shut = is_believed and self._shut_until is not None and now < self._shut_until
        return is_shut and not (is_trial and self._refusals)

    async def hold_off(self, wait: timedelta | None) -> None:
        """Dots has asked for a pause (429)."""
        until = self._now() + (wait or _THROTTLED_PAUSE)
        if self.is_paused() and self._shut_until and until <= self._shut_until + _SAME_PAUSE:
            return  # Other calls that were under way have been told the same.
        self._shut(until, believed_until=until)
        await self._note(self._ledger.hold_off(self.app, until=until))

    async def pause(self) -> None:
        """Dots has refused the credentials: as often as all calls under way may find it, it is one refusal."""
        if self.is_paused() and self._refusals:
            return
        earlier = self._refusals
        until = self._now() + self._first_pause * min(2 ** min(earlier, 8), _LONGEST_PAUSE)
        self._refusals = earlier + 1
        self._shut(until, believed_until=min(until, self._now() + _BELIEVE_PAUSE))
        log.error("app paused: dots refuses its credentials", app=self.app, until=until.isoformat())
        await self._note(self._ledger.pause(self.app, until=until, earlier=earlier))

    async def resume(self) -> None:
        """Dots has accepted the credentials, which ends the pause it was in because of them."""
        if not self._refusals:
            return
        self._refusals = 0
        self._shut_until = None
        log.info("dots accepts the credentials again", app=self.app)
        await self._note(self._ledger.resume(self.app))

    def _shut(self, until: datetime, *, believed_until: datetime) -> None:
        self._shut_until = max(self._shut_until or until, until)
        self._believed_until = believed_until

    async def _note(self, noting: Awaitable[None]) -> None:
        """Tell all processes, if the database can be reached; this one heeds it anyway."""
        try:
            await noting
        except DatabaseUnavailableError as error:
            log.warning("pause not noted for all processes", app=self.app, error=error.code)

    async def _fill(self, wanted: int, *, reserve: float, is_trial: bool) -> None:
        """Take a chunk, or wait for the one under way: callers in a crowd share a chunk, and its failure."""
        key = (reserve, is_trial)
        under_way = self._chunks.get(key)
        if under_way is None:
            chunk = self._take_chunk(wanted, reserve=reserve, is_trial=is_trial)
            under_way = self._chunks[key] = asyncio.create_task(chunk)
            under_way.add_done_callback(lambda task: self._forget_chunk(key, task))
        # Shielded, because a caller that is cancelled must not take the chunk away from the others.
        await asyncio.shield(under_way)

    def _forget_chunk(self, key: tuple[float, bool], task: asyncio.Task[None]) -> None:
        del self._chunks[key]
        if not task.cancelled():
            task.exception()  # Every caller may have been cancelled; asyncio would call the error unretrieved.

    async def _take_chunk(self, wanted: int, *, reserve: float, is_trial: bool) -> None:
        now = self._now()
        chunk = self.budget.chunk(wanted)
        returned = self._purse.take_stale(now)
        grant = await self._ledger.take(self.app, chunk, reserve=reserve, returned=returned, is_trial=is_trial)
        if not self.is_paused():  # What Dots has said since the chunk was asked for is newer.
            self._refusals = grant.refusals
            self._shut_until = grant.paused_until
            self._believed_until = now + _BELIEVE_PAUSE
        # Fresh from now on: a commit may have taken longer than tokens are kept.
        self._purse.put(grant.calls, reserve=reserve, now=self._now())
        if grant.calls < chunk:
            self._purse.note_empty_bucket(reserve=reserve, now=now)
