"""The only path to a Dots app: every call needs a permit, and only the app's gate issues permits.

The budget is a token bucket that all processes share. It is one database row, and an update for each call would pile up
thousands of dead row versions beside a long transaction. So each process takes a chunk of tokens and spends it from
memory. The same row holds the end of a pause. Dots asks for a pause with a 429, or refuses the app's credentials.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from app.backoff import BackoffSchedule
from app.dots.budget import Budget, Grant
from app.dots.token_cache import TokenCache
from app.errors import DatabaseUnavailableError, DotsCredentialsError, DotsError, DotsThrottledError

log = structlog.get_logger()

# Other callers may spend a chunk first. After this many chunks the caller gets nothing.
_MOST_CHUNKS = 5
# A pause can end early. The gate trusts its memory for this long, then asks the database again.
_BELIEVE_PAUSE = timedelta(seconds=5)
_THROTTLED_PAUSE = timedelta(seconds=5)
_SAME_PAUSE = timedelta(seconds=1)
_NO_TOKEN_WAIT = timedelta(seconds=1)
# Pauses for refused credentials, as multiples of the first one.
_PAUSES = (1, 2, 4, 8, 15)


class Ledger(Protocol):
    """The state of each app that all processes share. Every method raises DatabaseUnavailableError."""

    async def take(self, app: str, wanted: int, *, reserve: float, returned: int, is_trial: bool) -> Grant:
        """Return `returned` tokens, then take up to `wanted`, leaving `reserve`. Grants none during a pause.

        A trial of the credentials ignores a pause for refused credentials.
        """

    async def hold_off(self, app: str, *, until: datetime) -> None:
        """Pause until then, because Dots asked for it."""

    async def pause(self, app: str, *, until: datetime, earlier: int) -> None:
        """Pause until then, because Dots refused the credentials. `earlier` counts the pauses before, in a row."""

    async def resume(self, app: str) -> None:
        """End the pause: Dots accepts the credentials."""


class Permit:
    """The right to make one call."""

    def __init__(self, gate: "Gate", *, reserve: float, is_trial: bool = False) -> None:
        """Only a gate creates permits. `reserve` is what it left in the bucket for more urgent calls."""
        self.reserve = reserve
        self.is_spent = False
        self._gate = gate
        self._is_trial = is_trial

    def spend(self, gate: "Gate") -> None:
        """Mark the permit as used, right before the call. Raises DotsError if a pause has begun since it was issued."""
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
        """Begin with no tokens and no pause. Does not ask the ledger yet."""
        self.app = app
        self.budget = budget
        self._ledger = ledger
        self._pauses = BackoffSchedule(waits=tuple(first_pause * times for times in _PAUSES))
        self._now = now
        self._token_cache = TokenCache(budget)
        self._chunks: dict[tuple[float, bool], asyncio.Task[None]] = {}
        self._shut_until: datetime | None = None
        self._believed_until: datetime | None = None
        self._refusals = 0

    async def take(self, wanted: int = 1, *, reserve: float = 0, is_trial: bool = False) -> list[Permit]:
        """Issue up to `wanted` permits, leaving `reserve` tokens to more urgent calls; none during a pause.

        Raises DatabaseUnavailableError. Call it outside a transaction: it may need a connection.
        """
        taken = 0
        for _ in range(_MOST_CHUNKS + 1):
            if self.is_paused(is_trial=is_trial):
                break
            taken += self._token_cache.spend(wanted - taken, reserve=reserve, now=self._now())
            if taken == wanted or not self._token_cache.is_worth_asking(reserve=reserve, now=self._now()):
                break
            try:
                await self._fill(wanted - taken, reserve=reserve, is_trial=is_trial)
            except BaseException:
                self._token_cache.put(taken, reserve=reserve, now=self._now())
                raise
        return [Permit(self, reserve=reserve, is_trial=is_trial) for _ in range(taken)]

    async def take_one(self, *, is_trial: bool = False) -> Permit:
        """Issue one permit. Raises DatabaseUnavailableError, or the DotsError of `refusal` if there is none."""
        permits = await self.take(is_trial=is_trial)
        if not permits:
            raise self.refusal()
        return permits[0]

    def give_back(self, permits: Iterable[Permit]) -> None:
        """Take back unused permits: for the next caller in this process, later for all processes."""
        for permit in permits:
            if not permit.is_spent:
                permit.is_spent = True
                self._token_cache.put(1, reserve=permit.reserve, now=self._now())

    def is_shut(self, *, reserve: float = 0) -> bool:
        """Whether `take` would issue nothing now, as far as memory tells."""
        return self.is_paused() or self._token_cache.is_spent(reserve=reserve, now=self._now())

    def refusal(self) -> DotsError:
        """The error for a caller without a permit: why there is none, and how long to wait."""
        if not self.is_paused() or self._shut_until is None:
            return DotsThrottledError("There are too many calls to Dots now.", retry_after=_NO_TOKEN_WAIT)
        wait = self._shut_until - self._now()
        return DotsCredentialsError(retry_after=wait) if self._refusals else DotsThrottledError(retry_after=wait)

    def is_paused(self, *, is_trial: bool = False) -> bool:
        """Whether Dots may not be called now. Only a trial may call while the credentials are refused."""
        now = self._now()
        is_believed = self._believed_until is not None and now < self._believed_until
        is_shut = is_believed and self._shut_until is not None and now < self._shut_until
        return is_shut and not (is_trial and self._refusals)

    async def hold_off(self, wait: timedelta | None) -> None:
        """Begin the pause that Dots asked for with a 429; None: Dots did not say how long."""
        until = self._now() + (wait or _THROTTLED_PAUSE)
        if self.is_paused() and self._shut_until and until <= self._shut_until + _SAME_PAUSE:
            return  # Another call in flight got the same answer.
        self._shut(until, believed_until=until)
        await self._note(self._ledger.hold_off(self.app, until=until))

    async def pause(self) -> None:
        """Begin a pause because Dots refused the credentials. Calls in flight that find the same count once."""
        if self.is_paused() and self._refusals:
            return
        earlier = self._refusals
        until = self._now() + self._pauses.wait(earlier + 1)
        self._refusals = earlier + 1
        self._shut(until, believed_until=min(until, self._now() + _BELIEVE_PAUSE))
        log.error("app paused: dots refuses its credentials", app=self.app, until=until.isoformat())
        await self._note(self._ledger.pause(self.app, until=until, earlier=earlier))

    async def resume(self) -> None:
        """End a pause for refused credentials: Dots has accepted them."""
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
        """Share a pause with all processes if the database can be reached. This process heeds it in any case."""
        try:
            await noting
        except DatabaseUnavailableError as error:
            log.warning("pause not shared with other processes", app=self.app, error=error.code)

    async def _fill(self, wanted: int, *, reserve: float, is_trial: bool) -> None:
        """Take a chunk, or wait for the one being taken. Concurrent callers share a chunk and its failure."""
        key = (reserve, is_trial)
        under_way = self._chunks.get(key)
        if under_way is None:
            chunk = self._take_chunk(wanted, reserve=reserve, is_trial=is_trial)
            under_way = self._chunks[key] = asyncio.create_task(chunk)
            under_way.add_done_callback(lambda task: self._forget_chunk(key, task))
        # Shielded: cancelling one caller must not lose the chunk for the others.
        await asyncio.shield(under_way)

    def _forget_chunk(self, key: tuple[float, bool], task: asyncio.Task[None]) -> None:
        del self._chunks[key]
        if not task.cancelled():
            task.exception()  # If every caller was cancelled, asyncio would report the error as never retrieved.

    async def _take_chunk(self, wanted: int, *, reserve: float, is_trial: bool) -> None:
        now = self._now()
        # Spare tokens of a trial could be spent during the pause that the trial ignores.
        chunk = wanted if is_trial else self.budget.chunk(wanted)
        returned = self._token_cache.take_stale(now)
        grant = await self._ledger.take(self.app, chunk, reserve=reserve, returned=returned, is_trial=is_trial)
        if not self.is_paused():  # Otherwise an answer of Dots arrived meanwhile, and is newer than the grant.
            self._refusals = grant.refusals
            self._shut_until = grant.paused_until
            self._believed_until = now + _BELIEVE_PAUSE
        # Fresh from now on: the commit may have taken longer than tokens are kept.
        self._token_cache.put(grant.calls, reserve=reserve, now=self._now())
        if grant.calls < chunk:
            self._token_cache.note_empty_bucket(reserve=reserve, now=now)
