"""`python -m tests.mutants [--only GROUP …]`: change the product a little, thousands of times, and run its tests.

mutmut makes the changes, in a copy, and runs the tests that call the changed function. A change that no test notices
must be explained in `survivors.txt`. Exit status 1 if one is not, if an explanation is stale, or if a score is too low.
The groups of files, their tests and their least scores are in pyproject.toml, `[tool.mutants]`.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import databases

ROOT = Path(__file__).parents[1]
EXPLAINED = ROOT / "tests" / "survivors.txt"
WORK = ROOT / ".mutants"
COPIED = ("app", "clients", "devstack", "docs", "migrations", "simulator", "tests")
MUTMUT = Path(sys.executable).with_name("mutmut")
# What mutmut notes of a mutant: the tests passed, or no test calls the function. Everything else noticed the mutant.
SURVIVED = (0, 33)
# None of these plugins does anything in these tests, and each is loaded again for every mutant.
PYTEST_ARGUMENTS = [
    argument for name in ("cacheprovider", "schemathesis", "anyio", "xdist") for argument in ("-p", f"no:{name}")
]
_NAME = re.compile(r"(?:.*\.)?(\w+)\.x_?(.+)__mutmut_\d+")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Files and their tests, as glob patterns; `least` is the least score in percent."""

    name: str
    files: Sequence[str]
    tests: Sequence[str]
    least: float


@dataclass(frozen=True, kw_only=True)
class Score:
    """How many mutants a group had, and those that no test noticed, each as its line of the list."""

    group: Group
    mutants: int
    survivors: Sequence[str]

    @property
    def percent(self) -> float:
        """The part of the mutants that tests noticed."""
        return 100 * (1 - len(self.survivors) / self.mutants) if self.mutants else 0.0


def read_groups(pyproject: str) -> list[Group]:
    """The groups of `[tool.mutants]`."""
    return [Group(name=name, **values) for name, values in tomllib.loads(pyproject)["tool"]["mutants"].items()]


def read_explained(text: str) -> dict[str, str]:
    """The reason for each survivor. Raises ValueError for a line without one."""
    explained: dict[str, str] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            survivor, mark, reason = line.partition("  # ")
            if not (mark and reason.strip()) or survivor in explained:
                raise ValueError(f"no reason, or there twice: {line}")
            explained[survivor] = reason
    return explained


def describe(name: str, diff: str) -> str:
    """A survivor as a line that stays the same when other functions change: function, old text -> new text."""
    if not (parts := _NAME.fullmatch(name)):
        raise ValueError(name)
    function = f"{parts[1]}.{parts[2].strip('ǁ').replace('ǁ', '.')}"
    old, new = (
        " ".join(line[1:].strip() for line in diff.splitlines() if line.startswith(sign) and line[:3] != 3 * sign)
        for sign in "-+"
    )
    return f"{function}: {old} -> {new}"


def faults(scores: Sequence[Score], explained: Mapping[str, str], *, is_whole: bool) -> Iterator[str]:
    """What is wrong: survivors that are not explained, scores that are too low and, of a whole run, stale lines."""
    survivors = {survivor for score in scores for survivor in score.survivors}
    yield from (f"not explained: {survivor}" for survivor in sorted(survivors - explained.keys()))
    if is_whole:
        yield from (f"stale: {survivor}" for survivor in sorted(explained.keys() - survivors))
    for score in scores:
        if score.percent < score.group.least:
            yield f"{score.group.name}: {score.percent:.1f} % is less than {score.group.least:g} %"


def run(group: Group, environment: Mapping[str, str]) -> Score:
    """Have mutmut work on a copy of the project. Raises RuntimeError when it breaks."""
    place = WORK / group.name
    shutil.rmtree(place, ignore_errors=True)
    for name in COPIED:
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("node_modules"))
    (place / "pyproject.toml").write_text(_configuration(group))
    ended = subprocess.run([MUTMUT, "run"], cwd=place, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(ended.stdout[-2000:])
    results: dict[str, int | None] = {}
    for file in (place / "mutants").rglob("*.meta"):
        results |= json.loads(file.read_text())["exit_code_by_key"]
    survivors = [describe(name, _diff(name, place)) for name, status in results.items() if status in SURVIVED]
    return Score(group=group, mutants=len(results), survivors=survivors)


def _configuration(group: Group) -> str:
    """The project's configuration with mutmut's for the group behind it."""
    tests = sorted(str(path.relative_to(ROOT)) for pattern in group.tests for path in ROOT.glob(pattern))
    values = {
        "source_paths": ["app"],
        "only_mutate": list(group.files),
        "also_copy": [name for name in COPIED if name not in ("app", "tests")],
        "pytest_add_cli_args_test_selection": tests,
        "pytest_add_cli_args": PYTEST_ARGUMENTS,
    }
    # A list of strings is written the same in JSON and in TOML.
    written = "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
    return f"{(ROOT / 'pyproject.toml').read_text()}\n[tool.mutmut]\n{written}\n"


def _diff(name: str, place: Path) -> str:
    return subprocess.run([MUTMUT, "show", name], cwd=place, capture_output=True, text=True, check=True).stdout


@contextmanager
def _database() -> Iterator[dict[str, str]]:
    """One server with one migrated template for all mutants: each test only makes its clone of it."""
    with databases.server(os.environ.get("DATABASE_URL")) as server:
        databases.ensure_template(server)
        yield {"DATABASE_URL": server.url, databases.RUN_VARIABLE: server.run}


def main() -> None:
    """Run the groups, print their scores and what is wrong."""
    groups = read_groups((ROOT / "pyproject.toml").read_text())
    parser = argparse.ArgumentParser(description="Change the product a little, and see whether a test notices.")
    parser.add_argument("--only", action="append", choices=[group.name for group in groups], help="one group")
    only = parser.parse_args().only
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    scores = []
    with _database() as database:
        for group in groups:
            if not only or group.name in only:
                score = run(group, environment | database)
                print(f"{group.name}: {score.percent:.1f} % of {score.mutants} mutants noticed", flush=True)  # noqa: T201
                scores.append(score)
    wrong = list(faults(scores, read_explained(EXPLAINED.read_text()), is_whole=not only))
    print("\n".join(wrong))  # noqa: T201
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
