"""The options and the outcome of a campaign."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of one run. The same seed makes the same random choices."""

    seed: int
    directory: Path
    times: float = 1.0

    def random(self, purpose: str) -> Random:
        """A separate random generator for each purpose, so that they do not affect each other."""
        return Random(f"{self.seed} {purpose}")

    @property
    def is_short(self) -> bool:
        """Whether the run is smaller than a whole one."""
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
    """What a campaign did and its violations. `invariants` are the names of those that were judged."""

    events: int
    faults: int
    invariants: tuple[str, ...]
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A campaign. `summary` is one line for the table."""

    name: str
    summary: str
    run: Callable[[RunOptions], Awaitable[Outcome]]
