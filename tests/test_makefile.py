import os
import re
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parent.parent


def test_help_lists_every_target() -> None:
    """`make help` names each target that the Makefile has, with a sentence beside it."""
    declared = re.search(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)

    shown = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout  # noqa: S607 - whichever make is on the path

    assert declared
    assert re.findall(r"^([\w-]+) +\S", shown, re.MULTILINE) == declared[1].split()


def test_compiled_modules_are_kept_whatever_the_shell_says() -> None:
    """Recipes do not see PYTHONDONTWRITEBYTECODE, with which each of the tests' processes would compile everything."""
    recipe = 'told: ; @echo "[$$PYTHONDONTWRITEBYTECODE]"'
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}

    reported = subprocess.run(
        ["make", "--no-print-directory", f"--eval={recipe}", "told"],  # noqa: S607 - likewise
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert reported == "[]\n"
