"""How many calls Dots may get from us, and what is left to whom when there are few.

Dots documents no limit, so the figures are settings; what is asked for comes before what nobody waits for.
"""

from dataclasses import dataclass


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


def grant(tokens: float, wanted: int, *, reserve: float) -> int:
    """How many of the tokens wanted may be taken."""
    return max(0, min(wanted, int(tokens - reserve)))
