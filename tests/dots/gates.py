"""Gates without limits, for tests that are not about the budget."""

from collections.abc import Callable
from datetime import datetime, timedelta

from app.dots.budget import Budget, Grant
from app.dots.client import DotsClient
from app.dots.gate import Gate, Permit

AMPLE = Budget(per_second=10_000, burst=100_000)


class OpenLedger:
    """A ledger that grants every call and records nothing."""

    async def take(self, app: str, wanted: int, *, reserve: float, returned: int, is_trial: bool) -> Grant:
        """Grant all."""
        del app, reserve, returned, is_trial
        return Grant(calls=wanted, paused_until=None, refusals=0)

    async def hold_off(self, app: str, *, until: datetime) -> None:
        """Nothing."""

    async def pause(self, app: str, *, until: datetime, earlier: int) -> None:
        """Nothing."""

    async def resume(self, app: str) -> None:
        """Nothing."""


def open_gate(now: Callable[[], datetime], app: str = "default") -> Gate:
    """A gate with a budget that no test can spend."""
    return Gate(app, budget=AMPLE, ledger=OpenLedger(), first_pause=timedelta(minutes=1), now=now)


def permit(client: DotsClient) -> Permit:
    """A permit for one call of this client."""
    return Permit(client.gate, reserve=0)
