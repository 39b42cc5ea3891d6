"""The commands under test, with test hooks: `python -m tests.faults.campaigns.entry PROGRAM …`.

PROGRAM is `gateway` or `simulator`. With `CRASH_AT` in the environment (see `crash_points`) the process exits there,
immediately and silently, as in a power cut. With `CLOCK_RATE` (see `fast_clock`) its clock runs fast. With
`PLANTED_BUG` it has that bug (see `planted_bugs`). The product itself has no switch for any of them.
"""

import os
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

from app.commands import main as gateway
from app.processes import wiring
from simulator import cli as simulator
from tests.faults.campaigns import crash_points, fast_clock, planted_bugs

_PROGRAMS = {"gateway": gateway.main, "simulator": simulator.main}


def _use(clock: Callable[[], datetime]) -> None:
    """Give both programs this clock."""
    names = vars(simulator)
    build = names["build"]

    def build_with_clock(settings: Any, **how: Any) -> Any:
        return build(settings, **(how | {"clock": clock}))

    names["build"] = build_with_clock
    wiring.utc_now = clock


def main() -> None:
    """Run the program that the first argument names, with the other arguments."""
    program = sys.argv.pop(1)
    if clock := fast_clock.read(os.environ):
        _use(clock)
    # A crash point wraps the bug, so that a process may exit right after the bug's effect.
    planted_bugs.plant(os.environ.get(planted_bugs.VARIABLE))
    if where := os.environ.get(crash_points.VARIABLE):
        crash_points.plant(crash_points.parse(where))
    _PROGRAMS[program]()


if __name__ == "__main__":
    main()
