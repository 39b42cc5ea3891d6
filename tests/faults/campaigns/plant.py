"""`python -m tests.faults.campaigns.plant [--seed N] [--only CAMPAIGN …] [--bug TEXT]`: catch planted bugs.

Each bug of `planted_bugs` runs in the processes of its campaign, at a tenth of its size. It must be caught by an
invariant that it breaks. Exit status 1 if one is not caught. `make campaigns` shows that all hold without a bug.
"""

import argparse
import os
import re
import secrets
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from rich.console import Console
from rich.table import Table

from tests.faults.campaigns import planted_bugs
from tests.faults.campaigns.planted_bugs import PLANTED_BUGS, PlantedBug

COMMAND = (sys.executable, "-m", "tests.faults.campaigns")
LIMIT_SECONDS = 300.0
# A race may not happen in one short run.
TRIES = 2
VIOLATED = 1
_NAMED = re.compile(r"^  (I\d+): (.*)", re.MULTILINE)

console = Console(soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A bug and its campaign: what the campaign reported as broken in the last try."""

    bug: PlantedBug
    tries: int
    named: dict[str, str]
    is_caught: bool
    seconds: float

    @property
    def verdict(self) -> str:
        """Whether the bug was caught, in words."""
        return "caught" if self.is_caught else "NOT CAUGHT"


def try_out(bug: PlantedBug, seed: int) -> Trial:
    """Run the bug's campaign. When the bug is not caught, run it with the next seed too."""
    began = time.monotonic()
    for tries in range(1, TRIES + 1):
        status, said = run(bug, seed + tries - 1)
        named = dict(reversed(_NAMED.findall(said)))  # of each, what was named first
        is_caught = status == VIOLATED and bool(named.keys() & set(bug.breaks))
        if is_caught:
            break
        console.print(said[-6000:], markup=False, highlight=False)
    trial = Trial(bug=bug, tries=tries, named=named, is_caught=is_caught, seconds=time.monotonic() - began)
    console.print(f"{bug.name}: {trial.verdict} by {bug.campaign}")
    for invariant, violation in named.items():
        console.print(f"  {invariant}: {violation[:160]}", markup=False, highlight=False)
    return trial


def run(bug: PlantedBug, seed: int) -> tuple[int | None, str]:
    """Run a short campaign with the bug in it. Returns the exit status (None: it hung) and the output."""
    try:
        ended = subprocess.run(
            [*COMMAND, "--only", bug.campaign, "--times", "0.1", "--seed", str(seed)],
            env={**os.environ, planted_bugs.VARIABLE: bug.name},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        return None, str(error)
    return ended.returncode, ended.stdout + ended.stderr


def table(trials: list[Trial]) -> Table:
    """The table of planted bugs, and what caught them."""
    drawn = Table("planted", "campaign", "tries", "seconds", "caught by", "verdict", title="Planted bugs")
    for trial in trials:
        bug, caught_by = trial.bug, " ".join(sorted(trial.named))
        drawn.add_row(bug.name, bug.campaign, str(trial.tries), f"{trial.seconds:.0f}", caught_by, trial.verdict)
    return drawn


def main() -> None:
    """Try out all bugs, or those that the arguments name."""
    parser = argparse.ArgumentParser(description="Show that the campaigns catch planted bugs.")
    parser.add_argument("--seed", type=int, default=None, help="of the campaigns; made up and printed if absent")
    parser.add_argument("--only", action="append", help="one campaign; may be given several times")
    parser.add_argument("--bug", help="only bugs with this in their name")
    parser.add_argument("--jobs", type=int, default=2, help="how many at the same time")
    arguments = parser.parse_args()
    seed = secrets.randbelow(10**6) if arguments.seed is None else arguments.seed
    console.print(f"Seed {seed}")
    bugs = [bug for bug in PLANTED_BUGS if not arguments.only or bug.campaign in arguments.only]
    bugs = [bug for bug in bugs if not arguments.bug or arguments.bug in bug.name]
    # Trials mostly wait: for processes to start and leases to end.
    with ThreadPoolExecutor(max_workers=arguments.jobs) as executor:
        trials = list(executor.map(partial(try_out, seed=seed), bugs))
    console.print(table(trials))
    sys.exit(0 if all(trial.is_caught for trial in trials) else 1)


if __name__ == "__main__":
    main()
