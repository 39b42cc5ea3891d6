"""Times actions: warms them up until Postgres may use generic plans, then repeats them for a stable median."""

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.errors import GatewayError
from bench.growth_client import UnexpectedStatusError

# Postgres may change to a generic plan with the sixth execution of a prepared statement.
WARM_UP = 12
REPETITIONS = 60
LEAST_REPETITIONS = 3
# Slow actions are repeated less often, so that the whole run stays bounded.
WARM_UP_SECONDS = 10.0
MEASURE_SECONDS = 3.0
LONGEST_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The times of one action on one database; `failure` is the status or error code that ended it."""

    median_milliseconds: float
    fastest_milliseconds: float
    slowest_milliseconds: float
    repetitions: int
    failure: str | None = None

    def __str__(self) -> str:
        shown = f"{self.median_milliseconds:,.1f} ms"
        return shown if self.failure is None else f"{self.failure} after {shown}"


@dataclass(frozen=True, kw_only=True)
class Action:
    """A timed action. `prepare` runs before each repetition and is not timed."""

    act: Callable[[int], Awaitable[object]]
    prepare: Callable[[int], Awaitable[object]] | None = None


async def timed(*actions: Action) -> list[Timing]:
    """Time the actions in turn, so that other work on the machine slows all of them alike.

    Each is called with 0, 1, 2, … and counts after the warm-up. One that fails or takes long is called less often.
    """
    all_repetitions = [_Repetitions(action) for action in actions]
    while unfinished := [each for each in all_repetitions if not each.is_finished]:
        for repetitions in unfinished:
            await repetitions.step()
    return [each.timing() for each in all_repetitions]


class _Repetitions:
    """The repetitions of one action."""

    def __init__(self, action: Action) -> None:
        self._action = action
        self._number = 0
        self._warming_seconds = 0.0
        self._is_warm = False
        self._taken: list[float] = []
        self._failure: str | None = None

    @property
    def is_finished(self) -> bool:
        """Whether it was repeated often enough or for long enough, or has failed."""
        return (
            self._failure is not None
            or len(self._taken) >= REPETITIONS
            or (len(self._taken) >= LEAST_REPETITIONS and sum(self._taken) >= MEASURE_SECONDS)
            or sum(self._taken) >= LONGEST_SECONDS
        )

    async def step(self) -> None:
        """Call the action once more."""
        if self._action.prepare is not None:
            await self._action.prepare(self._number)
        began = time.perf_counter()
        try:
            await self._action.act(self._number)
        except UnexpectedStatusError as error:
            self._failure = str(error)
        except GatewayError as error:
            self._failure = error.code
        took = time.perf_counter() - began
        self._number += 1
        if self._is_warm or self._failure:
            self._taken.append(took)
        else:
            self._warming_seconds += took
            self._is_warm = self._number >= WARM_UP or self._warming_seconds >= WARM_UP_SECONDS

    def timing(self) -> Timing:
        """Summarize the repetitions. After a failure only the failed one counts."""
        taken = self._taken[-1:] if self._failure else self._taken
        return Timing(
            median_milliseconds=statistics.median(taken) * 1000,
            fastest_milliseconds=min(taken) * 1000,
            slowest_milliseconds=max(taken) * 1000,
            repetitions=len(taken),
            failure=self._failure,
        )
