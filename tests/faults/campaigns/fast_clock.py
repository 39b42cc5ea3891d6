"""A clock that runs faster than time, the same in every process that is told of it; sleeps and sockets stay real."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

RATE, BASE = "CLOCK_RATE", "CLOCK_BASE"


@dataclass(frozen=True, kw_only=True)
class FastClock:
    """Shows the true time at `base` (seconds since 1970), and runs `rate` times as fast from there."""

    rate: float
    base: float

    def __call__(self) -> datetime:
        """The time it shows."""
        return datetime.fromtimestamp(self.base, UTC) + timedelta(seconds=(time.time() - self.base) * self.rate)

    async def reach(self, moment: datetime) -> None:
        """Return when it shows this time."""
        await asyncio.sleep((moment - self()).total_seconds() / self.rate)

    def environment(self) -> dict[str, str]:
        """What tells a process of it."""
        return {RATE: str(self.rate), BASE: str(self.base)}


def read(environment: Mapping[str, str]) -> Callable[[], datetime] | None:
    """The clock that the environment tells of; None when it tells of none."""
    if RATE not in environment:
        return None
    return FastClock(rate=float(environment[RATE]), base=float(environment[BASE]))
