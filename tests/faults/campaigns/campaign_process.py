"""Runs campaigns, one after the other, in a process of `runs`."""

import asyncio
import os
import time
import traceback
from dataclasses import replace

from app import logs
from tests.faults.campaigns import (
    ambiguous_creates,
    broken_broker,
    crashes,
    late_creations,
    lost_sessions,
    outage,
    planted_bugs,
    signatures,
    state_machine,
    stopped_worker,
    storm_campaigns,
    writers,
)
from tests.faults.campaigns.options import Campaign, Outcome, RunOptions
from tests.faults.campaigns.runs import Run

# The longest of a short run come first, so that none of them is left over when the others have ended.
CAMPAIGNS: tuple[Campaign, ...] = (
    state_machine.CAMPAIGN,
    broken_broker.CAMPAIGN,
    ambiguous_creates.CAMPAIGN,
    *storm_campaigns.CAMPAIGNS,
    *signatures.CAMPAIGNS,
    *lost_sessions.CAMPAIGNS,
    stopped_worker.CAMPAIGN,
    outage.CAMPAIGN,
    late_creations.CAMPAIGN,
    writers.CAMPAIGN,
    crashes.CAMPAIGN,
)

# Longer than any campaign takes on a busy machine. One that takes longer hangs.
LIMIT_SECONDS = 600.0


def names() -> list[str]:
    """The names of all campaigns, in the order in which they start."""
    return [campaign.name for campaign in CAMPAIGNS]


def run(name: str, options: RunOptions) -> Run:
    """Run one campaign, in bounded time and in its own directory."""
    campaign = next(each for each in CAMPAIGNS if each.name == name)
    # Some campaigns run the product in this process. Its log lines must not mix with their output.
    logs.configure(log_format="json", log_level="critical")
    planted_bugs.plant(os.environ.get(planted_bugs.VARIABLE))
    folder = options.directory / name
    folder.mkdir(exist_ok=True)
    began = time.monotonic()
    outcome, broke = None, ""
    try:
        outcome = asyncio.run(_bounded(campaign, replace(options, directory=folder)))
    except Exception:  # noqa: BLE001  # An error in one campaign is reported, and the others still run.
        broke = traceback.format_exc()
    seconds = time.monotonic() - began
    return Run(name=name, summary=campaign.summary, outcome=outcome, broke=broke, seconds=seconds)


async def _bounded(campaign: Campaign, options: RunOptions) -> Outcome:
    async with asyncio.timeout(LIMIT_SECONDS * options.repeats):
        return await campaign.run(options)
