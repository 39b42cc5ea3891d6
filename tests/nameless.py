"""Starts a process as containers do: its user id has no name, and it cannot read its HOME."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

# As root the process gets a user id without a name. It keeps the right to read any file, because the interpreter may
# be in a directory that only root can read. This right does not open the HOME that it gets.
_SETPRIV = [
    "setpriv",
    "--reuid=54321",
    "--regid=54321",
    "--clear-groups",
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search",
]
_HOME_OF_ANOTHER = "/proc/1/root/home"


def started(command: list[str], directory: Path, environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start the command with this environment and an unreadable HOME, which may be created in `directory`."""
    prefix = _SETPRIV if _can_become_nameless() else []
    home = Path(_HOME_OF_ANOTHER) if prefix else directory / "home"
    if not prefix:
        home.mkdir(mode=0o000, exist_ok=True)
    return subprocess.Popen(
        [*prefix, *command],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _can_become_nameless() -> bool:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    return subprocess.run([*_SETPRIV, "true"], capture_output=True, check=False).returncode == 0
