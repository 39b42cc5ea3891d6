"""The demo, the first command of the README."""

import os
import subprocess
import sys
from pathlib import Path

import httpx

from devstack import demo
from devstack.demo_payees import PAYEES

PROGRAM = Path(sys.executable).parent / "dots-gateway"
LIMIT_SECONDS = 120


def test_demo_walks_five_payees_and_leaves_nothing_running() -> None:
    """The first command of the README, from nothing: it exits with 0 only if every event has come, once, in order."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}

    ended = subprocess.run(
        [PROGRAM, "demo"], env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("✓") == len(PAYEES)


async def test_a_user_told_of_before_their_flow_is_waited_for() -> None:
    """A user's webhook may be handled first: whose event it is, is known once the flow is known to be claimed."""
    answers = iter([[], [], [{"reference": "payee-1"}]])
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json={"flows": next(answers)}))

    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as gateway:
        assert await demo.reference_of_user(gateway, "user-1") == "payee-1"
