"""Tools over a test's own database, with a clock set by hand, and chance that always falls in the middle."""

import asyncio
import base64
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from app.actions.purses import Purses
from app.actions.tools import Tools
from app.flows.budget import Budget
from app.flows.schedule import SWEEPS, VERDICT_POLLS
from app.outbound.destinations import Destinations
from app.outbound.http_push import Pusher
from app.outbound.vault import Vault
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
    """Everything an action needs; Dots is the test's own function, subscribers are on loopback."""
    destinations = Destinations(["127.0.0.0/8:1-65535"], denied=[])
    return Tools(
        engine=engine,
        loop_connections=asyncio.Semaphore(5),
        purses=Purses(),
        hints=Hints(engine),
        clients={app: each.client(app) for app, each in dots.items()},
        vault=Vault([f"test:{base64.b64encode(bytes(32)).decode()}"], random_bytes=secrets.token_bytes),
        destinations=destinations,
        pusher=Pusher(
            destinations,
            timeout=timedelta(seconds=5),
            # The machine's certificates would take longer to load than most tests last.
            ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            now=clock,
        ),
        telemetry=Telemetry(),
        clock=clock,
        chance=lambda: 0.5,
        new_uuid=uuid4,
        lease=LEASE,
        delivery_lease=LEASE,
        first_pause=timedelta(minutes=1),
        sweeps=SWEEPS,
        verdict_polls=VERDICT_POLLS,
        budget=Budget(per_second=100, burst=200),
        discover_every=timedelta(minutes=5),
        follow_foreign_flows=True,
        dead_after=timedelta(days=1),
        verdict_overdue_after=timedelta(days=3),
    )
