"""The inputs of all subjects for a test's own database. A test sets the clock by hand, and jitter is always 0.5."""

import asyncio
import base64
import copy
import secrets
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from app.brokers.inputs import BrokerInputs
from app.dots.app_ids import AppIds
from app.dots.budget import Budget
from app.dots.call_ledger import CallLedger
from app.dots.client import DotsClients
from app.dots.gate import Gate, Ledger
from app.dots.signature import Verifier
from app.feed.inputs import FeedInputs
from app.feed.watch_feed import FeedWatch
from app.flows.inputs import FlowInputs
from app.flows.rules.schedule import SWEEPS, VERDICT_POLLS
from app.metrics import Telemetry
from app.processes import wiring
from app.processes.wiring import Inputs
from app.server.gateway import Gateway
from app.storage.notifications import Notifications
from app.subscriptions.inputs import SubscriptionInputs
from app.subscriptions.push.destinations import Destinations
from app.subscriptions.push.http_push import Pusher
from app.subscriptions.push.secret_cipher import SecretCipher
from app.upkeep.inputs import UpkeepInputs
from app.webhooks.endpoint import WebhookInputs
from app.webhooks.receive_webhook import WebhookReceiver
from tests.dots.fake_dots import NOW
from tests.dots.memory_dots import MemoryDots

LEASE = timedelta(seconds=60)
USUAL_BUDGET = Budget(per_second=100, burst=200)


@dataclass(frozen=True, kw_only=True)
class AllInputs(FlowInputs, SubscriptionInputs, BrokerInputs, FeedInputs, UpkeepInputs):
    """The inputs of all subjects in one object, so that a test can call every action with it."""


@dataclass(kw_only=True)
class HandClock:
    """Time that moves only when a test moves it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def advance(self, by: timedelta) -> None:
        """Move the time forward."""
        self.now += by


def gate_of(app: str, ledger: Ledger, clock: Callable[[], datetime], budget: Budget) -> Gate:
    """Build the gate of one app in one process."""
    return Gate(app, budget=budget, ledger=ledger, first_pause=timedelta(minutes=1), now=clock)


def another_process(inputs: AllInputs, *, budget: Budget = USUAL_BUDGET) -> AllInputs:
    """Build the inputs of another process on the same database. It keeps its own count of the budget it has spent."""
    ledger = CallLedger(inputs.engine, budget=budget, now=inputs.clock)
    clients = DotsClients()
    for app, client in inputs.clients.items():
        clients[app] = copy.copy(client)
        clients[app].gate = gate_of(app, ledger, inputs.clock, budget)
    return replace(inputs, clients=clients)


def inputs_over(engine: AsyncEngine, clock: HandClock, dots: Mapping[str, MemoryDots]) -> AllInputs:
    """Build all inputs. Dots is in memory, and subscribers listen on loopback."""
    ledger = CallLedger(engine, budget=USUAL_BUDGET, now=clock)
    destinations = Destinations(["127.0.0.0/8:1-65535"], denied=[])
    return AllInputs(
        engine=engine,
        loop_connections=asyncio.Semaphore(5),
        notifications=Notifications(engine),
        clients=DotsClients(
            {app: each.client(gate_of(app, ledger, clock, USUAL_BUDGET), clock) for app, each in dots.items()}
        ),
        secret_cipher=SecretCipher([f"test:{base64.b64encode(bytes(32)).decode()}"], random_bytes=secrets.token_bytes),
        destinations=destinations,
        pusher=Pusher(
            destinations,
            timeout=timedelta(seconds=5),
            # Loading the machine's certificates would take longer than most tests.
            ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            now=clock,
        ),
        telemetry=Telemetry(),
        clock=clock,
        jitter=lambda: 0.5,
        new_uuid=uuid4,
        lease=LEASE,
        delivery_lease=LEASE,
        sweeps=SWEEPS,
        verdict_polls=VERDICT_POLLS,
        discover_every=timedelta(minutes=5),
        follow_foreign_flows=True,
        complete_passed_over=False,
        dead_after=timedelta(days=1),
        verdict_overdue_after=timedelta(days=3),
        answers_kept=timedelta(hours=24),
    )


def gateway_over(
    inputs: AllInputs, verifiers: Mapping[str, Verifier], app_ids: Mapping[str, str | None] | None = None
) -> Gateway:
    """Build what the routes of an api process work with."""
    receiver = WebhookReceiver(inputs.engine, inputs.notifications, inputs.telemetry, AppIds(app_ids or {}))
    return Gateway(
        storage=inputs,
        flows=inputs,
        neighbours=wiring.TIMELINE_NEIGHBOURS,
        subscriptions=inputs,
        webhooks=WebhookInputs(
            engine=inputs.engine,
            notifications=inputs.notifications,
            clock=inputs.clock,
            verifiers=verifiers,
            receiver=receiver,
            telemetry=inputs.telemetry,
        ),
        upkeep=inputs,
        watch=FeedWatch(inputs.engine, inputs.notifications),
    )


def process_over(inputs: AllInputs) -> Inputs:
    """Give every subject of a process the same inputs."""
    return Inputs(storage=inputs, feed=inputs, flows=inputs, subscriptions=inputs, brokers=inputs, upkeep=inputs)
