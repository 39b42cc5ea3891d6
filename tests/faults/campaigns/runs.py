"""Campaigns run some at a time, each in a process of its own: most of them wait a good part of their time.

This side only asks, and imports nothing of what is asked for: `lane` is what those processes run.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from tests.faults.campaigns import forked
from tests.faults.campaigns.options import Outcome, RunOptions

CAMPAIGN_PROCESS = "tests.faults.campaigns.campaign_process"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One campaign run; `outcome` None: it could not be run to its end, and `broke` says why."""

    name: str
    summary: str
    outcome: Outcome | None
    broke: str
    seconds: float

    @property
    def is_well(self) -> bool:
        """Whether it was run and all held."""
        return self.outcome is not None and not self.outcome.violations


class UnknownCampaignError(Exception):
    """There is no campaign of that name."""


def run(wanted: Sequence[str], options: RunOptions, *, jobs: int, tell: Callable[[Run], None]) -> list[Run]:
    """Run the campaigns of these names (all if none), `jobs` at a time; each is told of as soon as it has ended.

    The runs are in the order of `lane`. Raises UnknownCampaignError.
    """
    with ProcessPoolExecutor(jobs, mp_context=forked.context(), initializer=forked.end_with_parent) as pool:
        names = pool.submit(forked.call, CAMPAIGN_PROCESS, "names").result()
        if unknown := set(wanted) - set(names):
            raise UnknownCampaignError(f"{', '.join(sorted(unknown))}: there are only {', '.join(names)}")
        runs = [
            pool.submit(forked.call, CAMPAIGN_PROCESS, "run", name, options)
            for name in names
            if name in wanted or not wanted
        ]
        for ended in as_completed(runs):
            tell(ended.result())
    return [each.result() for each in runs]
