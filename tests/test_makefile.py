import re
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parent.parent


def test_help_lists_every_target() -> None:
    """`make help` prints each target of the Makefile with a description."""
    declared = re.search(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)

    shown = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout  # noqa: S607  # any make on the PATH will do

    assert declared
    assert re.findall(r"^([\w-]+) +\S", shown, re.MULTILINE) == declared[1].split()
