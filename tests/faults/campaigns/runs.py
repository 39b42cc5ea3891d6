"""Runs campaigns in parallel, each in its own process, because most of them wait for much of their time.

This module imports no campaigns: `campaign_process` does, in those processes.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from tests.faults.campaigns import forked
from tests.faults.campaigns.options import Outcome, RunOptions

CAMPAIGN_PROCESS = "tests.faults.campaigns.campaign_process"


@dataclass(frozen=True, kw_only=True)
class Run:
    """The run of one campaign. `outcome` is None if it could not end, and `broke` says why."""

    name: str
    summary: str
    outcome: Outcome | None
    broke: str
    seconds: float

    @property
    def is_well(self) -> bool:
        """Whether it ended, and all invariants held."""
        return self.outcome is not None and not self.outcome.violations


class UnknownCampaignError(Exception):
    """There is no campaign of that name."""


def run(wanted: Sequence[str], options: RunOptions, *, jobs: int, tell: Callable[[Run], None]) -> list[Run]:
    """Run the campaigns of these names (all if none), `jobs` at a time. Calls `tell` with each as soon as it ends.

    Returns the runs in the order of `campaign_process.CAMPAIGNS`. Raises UnknownCampaignError.
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
