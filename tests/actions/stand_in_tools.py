"""Tools over a test's own database, with a clock set by hand, and chance that always falls in the middle."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from app.actions.tools import Tools
from app.flows.budget import Budget
from app.flows.schedule import SWEEPS, VERDICT_POLLS
from app.storage.hints import Hints
from app.telemetry import Telemetry
from tests.actions.memory_dots import MemoryDots
from tests.dots.fake_dots import NOW

LEASE = timedelta(seconds=60)


@dataclass(kw_only=True)
class HandClock:
    """Time that moves only when a test moves it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def advance(self, by: timedelta) -> None:
        """Let that much time pass at once."""
        self.now += by


def tools_over(engine: AsyncEngine, clock: HandClock, dots: Mapping[str, MemoryDots]) -> Tools:
    """Everything an action needs; the clients' only resource is the test's own function."""
    return Tools(
        engine=engine,
        hints=Hints(engine),
        clients={app: each.client(app) for app, each in dots.items()},
        telemetry=Telemetry(),
        clock=clock,
        chance=lambda: 0.5,
        new_uuid=uuid4,
        lease=LEASE,
        first_pause=timedelta(minutes=1),
        sweeps=SWEEPS,
        verdict_polls=VERDICT_POLLS,
        budget=Budget(per_second=100, burst=200),
        discover_every=timedelta(minutes=5),
        follow_foreign_flows=True,
        dead_after=timedelta(days=1),
        verdict_overdue_after=timedelta(days=3),
    )
