"""The permits of one app in one process: pauses, trials, and what the gate asks of the ledger."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from app.dots.budget import Budget, Grant
from app.dots.gate import Gate
from app.errors import DatabaseUnavailableError, DotsCredentialsError, DotsThrottledError
from tests.dots.fake_dots import NOW

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@dataclass(kw_only=True)
class World:
    """A clock, and a ledger that grants all calls unless the app is paused."""

    now: datetime = NOW
    paused_until: datetime | None = None
    refusals: int = 0
    asked: int = 0
    wanted: int = 0
    noted: list[str] = field(default_factory=list)
    is_down: bool = False

    def clock(self) -> datetime:
        """Return the time."""
        return self.now

    def gate(self) -> Gate:
        """Return the gate of another process."""
        return Gate("default", budget=Budget(per_second=1, burst=10), ledger=self, first_pause=MINUTE, now=self.clock)

    async def take(self, app: str, wanted: int, *, reserve: float, returned: int, is_trial: bool) -> Grant:
        """Grant all, unless the app is paused."""
        del app, reserve, returned
        self._be_asked()
        self.wanted = wanted
        is_paused = self.paused_until is not None and self.now < self.paused_until
        is_held = is_paused and not (is_trial and self.refusals)
        return Grant(calls=0 if is_held else wanted, paused_until=self.paused_until, refusals=self.refusals)

    async def hold_off(self, app: str, *, until: datetime) -> None:
        """Pause."""
        self._be_asked()
        self.noted.append(f"{app} holds off")
        self.paused_until = until

    async def pause(self, app: str, *, until: datetime, earlier: int) -> None:
        """Pause for the credentials."""
        self._be_asked()
        self.noted.append(f"{app} paused")
        self.paused_until, self.refusals = until, earlier + 1

    async def resume(self, app: str) -> None:
        """End the pause."""
        self._be_asked()
        self.noted.append(f"{app} resumed")
        self.paused_until, self.refusals = None, 0

    def _be_asked(self) -> None:
        self.asked += 1
        if self.is_down:
            raise DatabaseUnavailableError


async def test_pause_that_dots_asked_for_holds_in_all_processes() -> None:
    """Until it ends, no process issues a permit, and each says how long to wait."""
    world = World()
    reported, other = world.gate(), world.gate()
    await reported.take()
    await reported.hold_off(30 * SECOND)
    world.now += 10 * SECOND

    for gate in (reported, other):
        with pytest.raises(DotsThrottledError) as raised:
            await gate.take_one()
        assert raised.value.retry_after == 20 * SECOND
    world.now += 20 * SECOND

    assert await reported.take()
    assert await other.take()


async def test_permit_from_before_a_pause_cannot_be_used() -> None:
    """If Dots asks for a pause, calls of the same batch that have not begun are not made."""
    gate = World().gate()
    first, second = await gate.take(2)
    first.spend(gate)
    await gate.hold_off(30 * SECOND)

    with pytest.raises(DotsThrottledError):
        second.spend(gate)


async def test_pause_is_noted_once_for_all_calls_in_flight() -> None:
    """Calls that are refused together cause one pause."""
    world = World()
    gate = world.gate()
    for _ in range(10):
        await gate.hold_off(30 * SECOND)
    world.now += MINUTE
    for _ in range(10):
        await gate.pause()

    assert world.noted == ["default holds off", "default paused"]


async def test_pause_holds_when_it_cannot_be_noted() -> None:
    """This process pauses even if the database is down."""
    world = World(is_down=True)
    gate = world.gate()
    await gate.hold_off(30 * SECOND)
    world.is_down = False

    assert await gate.take() == []


async def test_pauses_for_bad_credentials_double() -> None:
    """The pauses are 1, 2, 4, 8 and then 15 minutes. They begin at 1 again after Dots accepts the credentials."""
    world = World()
    gate = world.gate()
    waits = []
    for _ in range(6):
        await gate.take()
        await gate.pause()
        waits.append(gate.refusal().retry_after)
        world.now += waits[-1] or MINUTE
    await gate.take()
    await gate.resume()
    await gate.pause()

    assert waits == [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 15 * MINUTE, 15 * MINUTE]
    assert gate.refusal().retry_after == MINUTE


async def test_trial_goes_ahead_while_credentials_are_refused() -> None:
    """A trial may call Dots during the pause, other calls may not."""
    world = World(paused_until=NOW + MINUTE, refusals=1)
    gate = world.gate()

    with pytest.raises(DotsCredentialsError):
        await gate.take_one()
    world.now += SECOND  # An empty bucket is not asked again at once.
    trial = await gate.take_one(is_trial=True)
    trial.spend(gate)
    await gate.resume()

    assert world.noted == ["default resumed"]
    assert await gate.take()


async def test_trial_waits_during_a_pause_that_dots_asked_for() -> None:
    """Such a pause holds for every call."""
    gate = World(paused_until=NOW + MINUTE).gate()

    with pytest.raises(DotsThrottledError):
        await gate.take_one(is_trial=True)


async def test_end_of_a_pause_is_noticed_within_seconds() -> None:
    """If another process ends the pause, this one does so after five seconds."""
    world = World(paused_until=NOW + MINUTE, refusals=1)
    gate = world.gate()
    await gate.take()
    world.paused_until, world.refusals = None, 0
    at_once = await gate.take()
    world.now += 5 * SECOND

    assert at_once == []
    assert await gate.take()


async def test_paused_gate_asks_the_database_only_now_and_then() -> None:
    """A hundred callers during a pause cause one question to the ledger."""
    world = World(paused_until=NOW + MINUTE, refusals=1)
    gate = world.gate()
    for _ in range(100):
        await gate.take()

    assert world.asked == 1
    assert gate.is_shut()


async def test_trial_leaves_no_spare_tokens() -> None:
    """A trial ignores a pause, so further tokens in memory would let other calls ignore it too."""
    world = World(paused_until=NOW + MINUTE, refusals=1)
    gate = Gate("default", budget=Budget(per_second=100, burst=200), ledger=world, first_pause=MINUTE, now=world.clock)
    await gate.take_one(is_trial=True)

    assert world.wanted == 1
