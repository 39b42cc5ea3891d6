"""The command `dots-gateway demo`."""

import os
import subprocess
import sys
from pathlib import Path

from devstack.demo_payees import PAYEES

PROGRAM = Path(sys.executable).parent / "dots-gateway"
LIMIT_SECONDS = 120


def test_demo_walks_five_payees_and_leaves_nothing_running() -> None:
    """The demo exits with 0 only if every event has arrived once and in order."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}

    ended = subprocess.run(
        [PROGRAM, "demo"], env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("✓") == len(PAYEES)
