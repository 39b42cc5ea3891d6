"""What actions work with, built in one place and handed down."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots.client import DotsClient
from app.errors import UnknownAppError
from app.flows.rules.schedule import PollSchedule
from app.metrics import Telemetry
from app.storage.notifications import Notifications
from app.subscriptions.push.destinations import Destinations
from app.subscriptions.push.http_push import Pusher
from app.subscriptions.push.secret_cipher import SecretCipher


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Everything an action needs from outside: database, Dots, subscribers, clock, chance, and the times it goes by.

    `loop_connections` has a place for each connection that background loops may hold at once.
    """

    engine: AsyncEngine
    loop_connections: asyncio.Semaphore
    notifications: Notifications
    clients: Mapping[str, DotsClient]
    secret_cipher: SecretCipher | None
    destinations: Destinations
    pusher: Pusher
    telemetry: Telemetry
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    new_uuid: Callable[[], UUID]
    lease: timedelta
    delivery_lease: timedelta
    sweeps: PollSchedule
    verdict_polls: PollSchedule
    discover_every: timedelta
    follow_foreign_flows: bool
    complete_passed_over: bool
    dead_after: timedelta
    verdict_overdue_after: timedelta
    answers_kept: timedelta

    def client(self, app: str) -> DotsClient:
        """The way to one Dots app. Raises UnknownAppError."""
        if app not in self.clients:
            raise UnknownAppError
        return self.clients[app]
