"""The tokens that a process has taken from an app's bucket and not spent yet, kept in memory."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.dots.budget import Budget

# Tokens kept for longer would let a process exceed the budget after a pause.
KEEP = timedelta(seconds=1)


@dataclass(kw_only=True)
class _Pocket:
    tokens: int
    since: datetime

    def is_fresh(self, now: datetime) -> bool:
        return self.since <= now < self.since + KEEP


class TokenCache:
    """The tokens of one app, sorted by the reserve that was left in the bucket when they were taken.

    Sweeps leave more in the bucket than refreshes, and refreshes more than creations. Each may spend what was taken
    under its own reserve or a greater one, so that the reserves hold in memory as they do in the bucket.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._pockets: dict[float, _Pocket] = {}
        self._empty_since: dict[float, datetime] = {}

    def spend(self, wanted: int, *, reserve: float, now: datetime) -> int:
        """Take out up to `wanted` fresh tokens. Returns how many."""
        spent = 0
        for kept_back in sorted(self._pockets):
            pocket = self._pockets[kept_back]
            if kept_back >= reserve and pocket.is_fresh(now):
                part = min(pocket.tokens, wanted - spent)
                pocket.tokens -= part
                spent += part
        return spent

    def put(self, tokens: int, *, reserve: float, now: datetime) -> None:
        """Put tokens in. They count as old as those that are there, so that none is kept twice as long."""
        if not tokens:
            return
        pocket = self._pockets.get(reserve)
        if pocket is None or not pocket.tokens or not pocket.is_fresh(now):
            self._pockets[reserve] = _Pocket(tokens=tokens, since=now)
        else:
            pocket.tokens += tokens

    def take_stale(self, now: datetime) -> int:
        """Remove the tokens that are too old to spend. Returns how many go back into the bucket."""
        stale = [kept_back for kept_back, pocket in self._pockets.items() if not pocket.is_fresh(now)]
        return sum(self._pockets.pop(kept_back).tokens for kept_back in stale)

    def note_empty_bucket(self, *, reserve: float, now: datetime) -> None:
        """Note that the bucket has granted less than was wanted under this reserve."""
        self._empty_since[reserve] = now

    def is_worth_asking(self, *, reserve: float, now: datetime) -> bool:
        """Whether the bucket may have tokens again under this reserve."""
        since = self._empty_since.get(reserve)
        return since is None or not since <= now < since + self._budget.wait

    def is_spent(self, *, reserve: float, now: datetime) -> bool:
        """Whether no token can be had now, neither here nor from the bucket."""
        has_tokens = any(
            kept_back >= reserve and pocket.tokens and pocket.is_fresh(now)
            for kept_back, pocket in self._pockets.items()
        )
        return not has_tokens and not self.is_worth_asking(reserve=reserve, now=now)
