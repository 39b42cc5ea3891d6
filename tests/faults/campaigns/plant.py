"""`python -m tests.faults.campaigns.plant [--seed N] [--only CAMPAIGN …]`: show that the campaigns catch planted bugs.

Each bug is put into a copy of the source, and its campaign is run there, small. Every patch must apply, and every bug
must be caught by the invariant it breaks. That the campaigns hold where nothing is planted is shown by running them,
as `make faults` does before; `--controls` shows it for the small ones in a copy too. Exit status 1 when one of that is
not so.
"""

import argparse
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.campaigns import planted_bugs, planted_delivery_bugs, planted_session_bugs
from tests.faults.campaigns.defects import Patch, PlantedBug

PLANTED_BUGS = (
    *planted_bugs.PLANTED_BUGS,
    *planted_delivery_bugs.PLANTED_BUGS,
    *planted_session_bugs.PLANTED_BUGS,
)
ROOT = Path(__file__).parents[3]
FOLDERS = ("app", "migrations", "simulator", "tests")
LIMIT_SECONDS = 300.0
# What happens only when two things meet may not happen in one short run.
TRIES = 2
HELD, VIOLATED = 0, 1
NOTHING = "(nothing planted)"
_NAMED = re.compile(r"^  (I\d+): (.*)", re.MULTILINE)

console = Console(soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A campaign over a copy: what it named as broken when it was last tried, and how it ended."""

    what: str
    campaign: str
    tries: int
    named: dict[str, str]
    is_as_wanted: bool
    seconds: float

    @property
    def verdict(self) -> str:
        """In a word."""
        good, bad = ("held", "BROKEN") if self.what == NOTHING else ("caught", "NOT CAUGHT")
        return good if self.is_as_wanted else bad


@contextmanager
def copied(patches: Sequence[Patch] = ()) -> Iterator[Path]:
    """A copy of the source with the patches in it."""
    with tempfile.TemporaryDirectory(prefix="dots-gateway-planted-") as name:
        copy = Path(name)
        for folder in FOLDERS:
            # With what is compiled already: otherwise every process of every trial would compile the whole tree.
            shutil.copytree(ROOT / folder, copy / folder)
        for patch in patches:
            apply(copy, patch)
        yield copy


def apply(copy: Path, patch: Patch) -> None:
    """Change the file; ValueError when what is to be changed does not stand there exactly once."""
    file = copy / patch.file
    text = file.read_text()
    if text.count(patch.old) != 1:
        raise ValueError(f"{patch.file} holds {text.count(patch.old)} times what is to become {patch.new!r}")
    file.write_text(text.replace(patch.old, patch.new))


def try_out(campaign: str, seed: int, *, bug: PlantedBug | None) -> Trial:
    """Run a campaign over a copy, with a bug in it or without; what is not caught at first, with the next seed too."""
    began = time.monotonic()
    for tries in range(1, (TRIES if bug else 1) + 1):
        status, said = run_copy(campaign, seed + tries - 1, bug.patches if bug else ())
        named = dict(reversed(_NAMED.findall(said)))  # of each, what was named first
        is_caught = bug is not None and status == VIOLATED and bool(named.keys() & set(bug.breaks))
        is_as_wanted = is_caught if bug else status == HELD
        if is_as_wanted:
            break
        console.print(said[-6000:], markup=False, highlight=False)
    trial = Trial(
        what=bug.name if bug else NOTHING,
        campaign=campaign,
        tries=tries,
        named=named,
        is_as_wanted=is_as_wanted,
        seconds=time.monotonic() - began,
    )
    console.print(f"{trial.what}: {trial.verdict} by {campaign}")
    for invariant, violation in named.items():
        console.print(f"  {invariant}: {violation[:160]}", markup=False, highlight=False)
    return trial


def run_copy(campaign: str, seed: int, patches: Sequence[Patch]) -> tuple[int | None, str]:
    """Run a small campaign over a copy with the patches in it; its exit status and what it said."""
    try:
        with copied(patches) as copy:
            return run(campaign, seed, copy)
    except (ValueError, subprocess.TimeoutExpired) as error:
        return None, str(error)


def run(campaign: str, seed: int, copy: Path) -> tuple[int, str]:
    """Run a small campaign of a copy; its exit status and what it said."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.campaigns", "--only", campaign, "--small", "--seed", str(seed)],
        cwd=copy,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    return ended.returncode, ended.stdout + ended.stderr


def table(trials: list[Trial]) -> Table:
    """What was planted, and by what it was caught."""
    drawn = Table("planted", "campaign", "tries", "seconds", "caught by", "verdict", title="Planted bugs")
    for trial in trials:
        caught_by = " ".join(sorted(trial.named))
        drawn.add_row(trial.what, trial.campaign, str(trial.tries), f"{trial.seconds:.0f}", caught_by, trial.verdict)
    return drawn


def main() -> None:
    """Try all of them out, or those for some campaigns."""
    parser = argparse.ArgumentParser(description="Show that the campaigns catch planted bugs.")
    parser.add_argument("--seed", type=int, default=None, help="of the campaigns; made up and printed if absent")
    parser.add_argument("--only", action="append", help="one campaign; may be given several times")
    parser.add_argument("--bug", help="only bugs with this in their name")
    parser.add_argument("--controls", action="store_true", help="run the same campaigns with nothing planted too")
    parser.add_argument("--jobs", type=int, default=2, help="how many at the same time")
    arguments = parser.parse_args()
    seed = secrets.randbelow(10**6) if arguments.seed is None else arguments.seed
    console.print(f"Seed {seed}")
    bugs = [bug for bug in PLANTED_BUGS if not arguments.only or bug.campaign in arguments.only]
    bugs = [bug for bug in bugs if not arguments.bug or arguments.bug in bug.name]
    campaigns = dict.fromkeys(bug.campaign for bug in bugs) if arguments.controls else ()
    wanted: list[tuple[str, PlantedBug | None]] = [(campaign, None) for campaign in campaigns]
    wanted += [(bug.campaign, bug) for bug in bugs]
    # Every trial waits a good part of its time, for processes to start and leases to end.
    with ThreadPoolExecutor(max_workers=arguments.jobs) as executor:
        trials = list(executor.map(lambda each: try_out(each[0], seed, bug=each[1]), wanted))
    console.print(table(trials))
    sys.exit(0 if all(trial.is_as_wanted for trial in trials) else 1)


if __name__ == "__main__":
    main()
