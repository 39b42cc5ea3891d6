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
    times: int = 1
    is_small: bool = False

    def random(self, purpose: str) -> Random:
        """Dice of their own for each purpose, so that one cannot disturb the other."""
        return Random(f"{self.seed} {purpose}")

    def count(self, full: int, *, small: int) -> int:
        """How many of something: the full figure, multiplied for a soak, or the small one."""
        return small if self.is_small else full * self.times


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
