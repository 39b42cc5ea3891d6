"""The budget of calls to Dots, and the part of it that is reserved for urgent calls.

Dots documents no limit, so the figures are settings. Creations come first, then requested refreshes, then sweeps.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

# A process takes tokens for this long at once, so that the bucket's row is written a few times a second at most.
_CHUNK_SECONDS = 0.25
_LONGEST_WAIT_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A token bucket. A call costs a token. `per_second` tokens flow in, up to `burst`."""

    per_second: float
    burst: float

    @property
    def reserve_of_refreshes(self) -> float:
        """The tokens that refreshes leave to creations, because a caller waits for those: a tenth."""
        return self.burst * 0.1

    @property
    def reserve_of_sweeps(self) -> float:
        """The tokens that sweeps and listings leave to other calls: half."""
        return self.burst * 0.5

    def chunk(self, wanted: int) -> int:
        """Return how many tokens to take at once if `wanted` are needed now."""
        return max(wanted, int(self.per_second * _CHUNK_SECONDS))

    @property
    def wait(self) -> timedelta:
        """How long to leave an empty bucket alone: until it may have a chunk and at least one token. At most 1 s."""
        return timedelta(seconds=min(max(_CHUNK_SECONDS, 1 / self.per_second), _LONGEST_WAIT_SECONDS))


@dataclass(frozen=True, kw_only=True)
class Grant:
    """The answer of a bucket: `calls` tokens, and the end of the app's last pause.

    `refusals` counts the pauses in a row because Dots refused the app's credentials.
    """

    calls: int
    paused_until: datetime | None
    refusals: int
