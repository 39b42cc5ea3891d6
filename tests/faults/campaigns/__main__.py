"""`python -m tests.faults.campaigns --seed N [--only NAME …] [--times 0.1|10]`: run campaigns, print a table.

Exit status: 0 all invariants hold, 1 some do not, 2 wrong use or a campaign that could not be run.
"""

import argparse
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.campaigns import runs
from tests.faults.campaigns.options import RunOptions
from tests.faults.campaigns.runs import Run, UnknownCampaignError

_SHOWN = 8

console = Console(soft_wrap=True)


def tell(ran: Run) -> None:
    """Print how a campaign ended."""
    console.print(f"[bold]{ran.name}[/bold]: {ran.summary}")
    for line in ran.outcome.violations[:_SHOWN] if ran.outcome else [ran.broke]:
        console.print(f"  {line}", markup=False, highlight=False)
    console.print(f"  {'held' if ran.is_well else 'BROKEN'} in {ran.seconds:.0f} s")


def table(ended: list[Run], seed: int) -> Table:
    """The table of campaigns and their results."""
    drawn = Table("campaign", "events", "faults", "invariants", "seconds", "verdict", title=f"Seed {seed}")
    for ran in ended:
        outcome = ran.outcome
        drawn.add_row(
            ran.name,
            str(outcome.events) if outcome else "",
            str(outcome.faults) if outcome else "",
            " ".join(outcome.invariants) if outcome else "",
            f"{ran.seconds:.0f}",
            "held" if ran.is_well else (f"{len(outcome.violations)} VIOLATIONS" if outcome else "NOT RUN"),
        )
    return drawn


@contextmanager
def _directory(kept: Path | None) -> Iterator[Path]:
    """A directory for logs and data that embedded Postgres may enter. A named one is kept, another is deleted."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="dots-gateway-faults-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def main() -> None:
    """Run the campaigns that the arguments name."""
    parser = argparse.ArgumentParser(description="Inject faults, and check that nothing is lost or doubled.")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run's choices; made up and printed if absent")
    parser.add_argument("--only", action="append", default=[], help="one campaign; may be given several times")
    parser.add_argument("--times", type=float, default=1.0, help="multiply the figures: 10 for a soak, 0.1 for a look")
    parser.add_argument("--jobs", type=int, default=2, help="how many at the same time")
    parser.add_argument("--keep", type=Path, help="keep logs and data in this directory")
    arguments = parser.parse_args()
    seed = secrets.randbelow(10**6) if arguments.seed is None else arguments.seed
    console.print(f"Seed {seed}")
    with _directory(arguments.keep) as directory:
        options = RunOptions(seed=seed, directory=directory, times=arguments.times)
        try:
            ended = runs.run(arguments.only, options, jobs=arguments.jobs, tell=tell)
        except UnknownCampaignError as error:
            parser.error(str(error))
    console.print(table(ended, seed))
    if any(ran.outcome is None for ran in ended):
        sys.exit(2)
    sys.exit(0 if all(ran.is_well for ran in ended) else 1)


if __name__ == "__main__":
    main()
