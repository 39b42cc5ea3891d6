"""What a campaign is told to do, and what it hands back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """One run of a campaign; the same seed makes the same choices, as far as processes can be made to repeat."""

    seed: int
    directory: Path
    times: float = 1.0

    def random(self, purpose: str) -> Random:
        """Dice of their own for each purpose, so that one cannot disturb the other."""
        return Random(f"{self.seed} {purpose}")

    @property
    def is_short(self) -> bool:
        """Whether it is less than a whole run."""
        return self.times < 1

    @property
    def repeats(self) -> int:
        """How often to repeat a series of faults."""
        return max(1, round(self.times))

    def count(self, full: int, *, least: int) -> int:
        """Multiplies a figure by `times`. Fewer than `least` would not show the bug the campaign is for."""
        return max(least, round(full * self.times))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a campaign did and what was found wrong; `invariants` are the names of those that were judged."""

    events: int
    faults: int
    invariants: tuple[str, ...]
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A named way to break things; `summary` is one line for the table."""

    name: str
    summary: str
    run: Callable[[RunOptions], Awaitable[Outcome]]
