"""Backoff schedules: how long to wait after each failure in a row."""

from dataclasses import dataclass
from datetime import timedelta

_JITTER_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class BackoffSchedule:
    """The waits after the first failure, the second and so on. The last one repeats."""

    waits: tuple[timedelta, ...]

    def wait(self, failures: int, *, jitter: float = 0.5, at_least: timedelta | None = None) -> timedelta:
        """How long to wait after `failures` in a row (1 or more).

        `jitter` is a random number from 0 to 1. It makes the wait up to 20 % shorter or longer; 0.5 leaves it as it is.
        The result is never less than `at_least`, such as the receiver's Retry-After.
        """
        wait = self.waits[min(failures, len(self.waits)) - 1]
        jittered = wait * (1 - _JITTER_SHARE + 2 * _JITTER_SHARE * jitter)
        return max(jittered, at_least or timedelta(0))
