"""Builds the inputs of the processes and commands from settings."""

import asyncio
import contextlib
import gc
import os
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypedDict, TypeVar
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app import logs
from app import settings as all_settings
from app.brokers import choice, location
from app.brokers.broker import Broker
from app.brokers.inputs import BrokerInputs
from app.feed.inputs import FeedInputs
from app.flows.inputs import FlowInputs
from app.flows.read_timeline import Neighbours
from app.flows.rules.schedule import SWEEPS, VERDICT_POLLS, PollSchedule
from app.metrics import Telemetry
from app.processes import dots_wiring
from app.settings import Settings
from app.storage import background, database, database_url, start
from app.storage.inputs import StorageInputs
from app.storage.notifications import Notifications
from app.subscriptions import delivery_search
from app.subscriptions.inputs import SubscriptionInputs
from app.subscriptions.push.destinations import Destinations
from app.subscriptions.push.http_push import Pusher
from app.subscriptions.push.secret_cipher import SecretCipher
from app.subscriptions.push.urls import Endpoint
from app.upkeep.inputs import UpkeepInputs
from app.webhooks import webhook_rows

log = structlog.get_logger()

Opened = TypeVar("Opened")
Result = TypeVar("Result")

# A delivery's lease lasts this many times DELIVERY_TIMEOUT_SECONDS.
DELIVERY_LEASES = 3


class _Storage(TypedDict):
    engine: AsyncEngine
    notifications: Notifications
    clock: Callable[[], datetime]


# Webhooks and deliveries for a flow's timeline, which the flows folder may not import.
TIMELINE_NEIGHBOURS = Neighbours(webhooks_about=webhook_rows.about, deliveries_about=delivery_search.about)


def utc_now() -> datetime:
    """Return the machine's time."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The inputs of every subject. They share one engine and one set of clients."""

    storage: StorageInputs
    feed: FeedInputs
    flows: FlowInputs
    subscriptions: SubscriptionInputs
    brokers: BrokerInputs
    upkeep: UpkeepInputs


@contextlib.asynccontextmanager
async def open_inputs(settings: Settings) -> AsyncIterator[Inputs]:
    """Build the inputs of every subject, and close their connections at the end. Raises SettingsError."""
    async with contextlib.AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(settings, pool_size=settings.database_pool_size))
        clients = dots_wiring.clients(settings, engine, now=utc_now)
        for client in clients.values():
            stack.push_async_callback(client.aclose)
        destinations = Destinations(settings.subscribers_allowed, denied=own_endpoints(settings))
        pusher = Pusher(
            destinations,
            now=utc_now,
            timeout=timedelta(seconds=settings.delivery_timeout_seconds),
            connections=settings.deliveries_in_flight,
        )
        stack.push_async_callback(pusher.aclose)
        telemetry = Telemetry()
        notifications = Notifications(engine, can_listen=not has_transaction_pooler(settings))
        storage: _Storage = {"engine": engine, "notifications": notifications, "clock": utc_now}
        yield Inputs(
            storage=StorageInputs(**storage),
            feed=FeedInputs(**storage, telemetry=telemetry),
            flows=FlowInputs(
                **storage,
                loop_connections=asyncio.Semaphore(background.connections_of(settings.database_pool_size)),
                clients=clients,
                telemetry=telemetry,
                jitter=random.random,
                new_uuid=uuid4,
                lease=settings.lease,
                sweeps=_polls(settings.sweep_seconds, SWEEPS),
                verdict_polls=_polls(settings.verdict_poll_seconds, VERDICT_POLLS),
                discover_every=timedelta(seconds=settings.discover_seconds),
                follow_foreign_flows=settings.follow_foreign_flows,
                complete_passed_over=settings.dots_complete_passed_over,
                dead_after=timedelta(hours=settings.dead_after_hours),
                answers_kept=timedelta(hours=settings.idempotency_hours),
            ),
            subscriptions=SubscriptionInputs(
                **storage,
                clients=clients,
                secret_cipher=secret_cipher(settings),
                destinations=destinations,
                pusher=pusher,
                telemetry=telemetry,
                jitter=random.random,
                new_uuid=uuid4,
                delivery_lease=DELIVERY_LEASES * timedelta(seconds=settings.delivery_timeout_seconds),
            ),
            brokers=BrokerInputs(**storage, telemetry=telemetry, new_uuid=uuid4, lease=settings.lease),
            upkeep=UpkeepInputs(
                **storage,
                clients=clients,
                telemetry=telemetry,
                verdict_overdue_after=timedelta(hours=settings.verdict_overdue_hours),
            ),
        )


def freeze_objects() -> None:
    """Exempt all existing objects from garbage collection. Call this once, before the process starts its work.

    A process creates about 150,000 objects at the start, such as modules, routes and schemas, and keeps them. Without
    this, each full collection would visit all of them, which stops the event loop for about 80 ms.
    """
    gc.collect()
    gc.freeze()


@contextlib.asynccontextmanager
async def open_engine(settings: Settings, *, pool_size: int = 1) -> AsyncIterator[AsyncEngine]:
    """Open an engine for DATABASE_URL. It connects at the first use. Raises SettingsError."""
    engine = database.create_engine(
        settings.required_database_url,
        pool_size=pool_size,
        schema=settings.database_schema,
        pooler=settings.database_pooler,
    )
    try:
        yield engine
    finally:
        await engine.dispose()


def has_transaction_pooler(settings: Settings) -> bool:
    """Whether a pooler may give each transaction another session. Raises SettingsError."""
    return settings.database_pooler == "transaction" or database_url.parse(settings.required_database_url).is_pooled


async def wait_for_database(engine: AsyncEngine, settings: Settings, *, needs_schema: bool = True) -> None:
    """Wait until the database can be used, because it may start at the same time as this process.

    Raises DatabaseUnavailableError after DATABASE_WAIT_SECONDS, SchemaVersionError, SchemaTakenError.
    """
    wait = timedelta(seconds=settings.database_wait_seconds)
    await start.require_ready(engine, settings.required_database_url, wait=wait, needs_schema=needs_schema)


def run_with_inputs(act: Callable[[Inputs], Awaitable[Result]]) -> Result:
    """Run one terminal command that needs more than the database. Raises what `_run` raises."""
    return _run(open_inputs, act)


def run_with_engine(act: Callable[[AsyncEngine], Awaitable[Result]]) -> Result:
    """Run one terminal command that needs DATABASE_URL only. Raises what `_run` raises."""
    return _run(open_engine, act)


def _run(
    open_: Callable[[Settings], AbstractAsyncContextManager[Opened]], act: Callable[[Opened], Awaitable[Result]]
) -> Result:
    """Read the settings, check the schema without waiting for the database, open the inputs, and act.

    Raises SettingsError, DatabaseUnavailableError, SchemaVersionError, SchemaTakenError, and what `act` raises.
    """

    async def run() -> Result:
        settings = read_settings(os.environ)
        async with open_engine(settings) as engine:
            await start.require_ready(engine, settings.required_database_url, wait=timedelta())
        async with open_(settings) as opened:
            return await act(opened)

    return asyncio.run(run())


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings, set up the logs, and warn of unknown DOTS_ variables. Raises SettingsError."""
    settings = all_settings.read(environ)
    logs.configure(log_format=settings.log_format, log_level=settings.log_level)
    for name in all_settings.unknown_names(environ):
        log.warning("unknown setting", name=name, did_you_mean=all_settings.nearest_name(name))
    return settings


def secret_cipher(settings: Settings) -> SecretCipher | None:
    """Build the cipher of subscription secrets. None if ENCRYPTION_KEYS is not set. Raises SettingsError."""
    if settings.encryption_keys is None:
        return None
    return SecretCipher([key.get_secret_value() for key in settings.encryption_keys], random_bytes=secrets.token_bytes)


def own_endpoints(settings: Settings) -> list[Endpoint]:
    """Return the endpoints of the database and the broker. No subscription may use them. Raises SettingsError."""
    address = database_url.parse(settings.required_database_url)
    own = [Endpoint(host=host, port=port) for host, port in address.endpoints]
    if settings.event_broker_url is not None:
        broker = location.parse(settings.event_broker_url.get_secret_value())
        own += [Endpoint(host=host, port=port) for host, port in broker.endpoints]
    return own


@contextlib.asynccontextmanager
async def open_broker(settings: Settings) -> AsyncIterator[Broker | None]:
    """Yield the broker at EVENT_BROKER_URL, or None. It connects at the first use. Raises SettingsError."""
    if settings.event_broker_url is None:
        yield None
        return
    broker = choice.build(settings.event_broker_url.get_secret_value())
    try:
        yield broker
    finally:
        await broker.aclose()


def _polls(seconds: list[int], usual: PollSchedule) -> PollSchedule:
    return PollSchedule(ages=tuple(timedelta(seconds=each) for each in seconds), every=usual.every, until=usual.until)
