"""`python -m tests.faults.campaigns --seed N [--only NAME …] [--times 10] [--small]`: run campaigns, print a table.

Exit status: 0 all invariants hold, 1 some do not, 2 wrong use or a campaign that could not be run.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app import logs
from tests.faults.campaigns import registry
from tests.faults.campaigns.order import Campaign, Order, Outcome

# Longer than any campaign takes on a machine that is busy with others; what is left then hangs.
LIMIT_SECONDS = 240.0
_SHOWN = 8

console = Console(soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One campaign run; `outcome` None: it could not be run to its end."""

    campaign: Campaign
    outcome: Outcome | None
    seconds: float

    @property
    def is_well(self) -> bool:
        """Whether it was run and all held."""
        return self.outcome is not None and not self.outcome.violations


def run(campaign: Campaign, order: Order) -> Run:
    """Run one campaign in bounded time, and say what it found."""
    console.print(f"[bold]{campaign.name}[/bold]: {campaign.summary}")
    began = time.monotonic()
    outcome = None
    try:
        outcome = asyncio.run(_bounded(campaign, order))
    except Exception:  # noqa: BLE001  # Whatever a campaign dies of, the others are run, and this one is reported.
        console.print(traceback.format_exc(), markup=False, highlight=False)
    ran = Run(campaign=campaign, outcome=outcome, seconds=time.monotonic() - began)
    for violation in outcome.violations[:_SHOWN] if outcome else []:
        console.print(f"  {violation}", markup=False, highlight=False)
    console.print(f"  {'held' if ran.is_well else 'BROKEN'} in {ran.seconds:.0f} s")
    return ran


async def _bounded(campaign: Campaign, order: Order) -> Outcome:
    async with asyncio.timeout(LIMIT_SECONDS * order.times):
        return await campaign.run(order)


def table(runs: list[Run], seed: int) -> Table:
    """What was run and what came of it."""
    drawn = Table("campaign", "events", "faults", "invariants", "seconds", "verdict", title=f"Seed {seed}")
    for ran in runs:
        outcome = ran.outcome
        drawn.add_row(
            ran.campaign.name,
            str(outcome.events) if outcome else "",
            str(outcome.faults) if outcome else "",
            " ".join(outcome.invariants) if outcome else "",
            f"{ran.seconds:.0f}",
            "held" if ran.is_well else (f"{len(outcome.violations)} VIOLATIONS" if outcome else "NOT RUN"),
        )
    return drawn


@contextmanager
def _directory(kept: Path | None) -> Iterator[Path]:
    """A place for logs and data that the account of embedded Postgres may enter; kept when it is named."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="dots-gateway-faults-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def main() -> None:
    """Run what was asked for."""
    names = [campaign.name for campaign in registry.CAMPAIGNS]
    parser = argparse.ArgumentParser(description="Break everything, and check that nothing is lost or doubled.")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run's choices; made up and printed if absent")
    parser.add_argument("--only", action="append", choices=names, help="one campaign; may be given several times")
    parser.add_argument("--times", type=int, default=1, help="multiply the figures, for a soak")
    parser.add_argument("--small", action="store_true", help="the small figures that find planted bugs")
    parser.add_argument("--keep", type=Path, help="keep logs and data in this directory")
    arguments = parser.parse_args()
    seed = secrets.randbelow(10**6) if arguments.seed is None else arguments.seed
    wanted = [each for each in registry.CAMPAIGNS if arguments.only is None or each.name in arguments.only]
    # Campaigns within this process would have the product's log lines between their own.
    logs.configure(log_format="json", log_level="critical")
    console.print(f"Seed {seed}")
    with _directory(arguments.keep) as directory:
        runs = []
        for campaign in wanted:
            room = directory / campaign.name
            room.mkdir(exist_ok=True)
            order = Order(seed=seed, directory=room, times=arguments.times, is_small=arguments.small)
            runs.append(run(campaign, order))
    console.print(table(runs, seed))
    if any(ran.outcome is None for ran in runs):
        sys.exit(2)
    sys.exit(0 if all(ran.is_well for ran in runs) else 1)


if __name__ == "__main__":
    main()
