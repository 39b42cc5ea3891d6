"""A clock that runs faster than real time, shared by all processes that get it. Sleeps and sockets stay real."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

RATE, BASE = "CLOCK_RATE", "CLOCK_BASE"


@dataclass(frozen=True, kw_only=True)
class FastClock:
    """Shows the real time at `base` (seconds since 1970), and runs `rate` times as fast from there."""

    rate: float
    base: float

    def __call__(self) -> datetime:
        """The time it shows."""
        return datetime.fromtimestamp(self.base, UTC) + timedelta(seconds=(time.time() - self.base) * self.rate)

    async def reach(self, moment: datetime) -> None:
        """Return when it shows this time."""
        await asyncio.sleep((moment - self()).total_seconds() / self.rate)

    def environment(self) -> dict[str, str]:
        """The environment variables that give a process this clock."""
        return {RATE: str(self.rate), BASE: str(self.base)}


def read(environment: Mapping[str, str]) -> Callable[[], datetime] | None:
    """The clock of the environment; None if there is none."""
    if RATE not in environment:
        return None
    return FastClock(rate=float(environment[RATE]), base=float(environment[BASE]))
