"""How many calls we may make to Dots, and which calls go first when few are left.

Dots documents no limit, so the figures are settings. Creations and webhooks come before sweeps.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

# A process takes tokens for this long at once, so that the bucket's row is written a few times a second at most.
_CHUNK_SECONDS = 0.25
_LONGEST_WAIT_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A bucket of tokens, one a call: filled by `per_second`, never beyond `burst`."""

    per_second: float
    burst: float

    @property
    def reserve_of_refreshes(self) -> float:
        """What refreshes leave to creations, for which a caller is waiting: a tenth."""
        return self.burst * 0.1

    @property
    def reserve_of_sweeps(self) -> float:
        """What sweeps and listings leave to everything else: half."""
        return self.burst * 0.5

    def chunk(self, wanted: int) -> int:
        """How many tokens to take at once when `wanted` are needed now."""
        return max(wanted, int(self.per_second * _CHUNK_SECONDS))

    @property
    def wait(self) -> timedelta:
        """How long to leave an empty bucket alone: until a chunk or at least a token is back, a second at most."""
        return timedelta(seconds=min(max(_CHUNK_SECONDS, 1 / self.per_second), _LONGEST_WAIT_SECONDS))


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a bucket gives: `calls` tokens, none before `paused_until`.

    `refusals` counts the pauses in a row that were because Dots refused the app's credentials.
    """

    calls: int
    paused_until: datetime | None
    refusals: int
