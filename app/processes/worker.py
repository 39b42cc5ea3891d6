"""The worker process. Its loops repeat passes until it stops. Any number of workers may run."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from app.backoff import BackoffSchedule
from app.brokers import publish_feed
from app.brokers.broker import Broker
from app.dots import try_credentials
from app.feed import sequence_events
from app.flows import discover_flows, refresh_due, settle_creations
from app.flows.refresh_due import Refresher
from app.processes import wiring
from app.processes.wiring import Inputs
from app.server import application, draining, http_server
from app.settings import Settings
from app.storage import background, notifications
from app.storage.scan_floor import ScanFloor
from app.subscriptions import delivery_rows
from app.subscriptions.deliver_due import Dispatcher
from app.upkeep import purge_expired

log = structlog.get_logger()

POLL_SECONDS = 1.0
DISCOVER_POLL_SECONDS = 5.0
PURGE_SECONDS = 3600.0
SEQUENCE_BATCH = 1000
PUBLISH_BATCH = 500
# The waits after failed passes. They spare a database that is failing.
_RETRIES = BackoffSchedule(waits=tuple(timedelta(seconds=seconds) for seconds in (0.5, 1, 2, 4, 8, 15)))


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A pass. It repeats immediately while it finds work, else at a notification on `channel` or after a while."""

    name: str
    run_pass: Callable[[], Awaitable[int]]
    channel: str | None
    poll_seconds: float


def loops(
    inputs: Inputs, settings: Settings, tasks: asyncio.TaskGroup, refresher: Refresher, broker: Broker | None
) -> list[Loop]:
    """Build all loops of a worker. Work that outlasts a pass becomes one of `tasks`."""
    sequencing_floor = ScanFloor()

    async def refresh() -> int:
        return await refresher.begin_due(tasks)

    async def sequence() -> int:
        return await sequence_events.sequence_events(
            inputs.feed, delivery_rows, limit=SEQUENCE_BATCH, scan_floor=sequencing_floor
        )

    async def purge() -> int:
        return await purge_expired.purge_expired(inputs.upkeep, purge_expired.Retention.of(settings))

    async def discover() -> int:
        await discover_flows.discover_flows(inputs.flows)
        return await settle_creations.settle_creations(inputs.flows)

    refreshing = Loop(name="refresh", run_pass=refresh, channel=notifications.DUE, poll_seconds=POLL_SECONDS)
    finder = Loop(name="discover", run_pass=discover, channel=None, poll_seconds=DISCOVER_POLL_SECONDS)
    sequencer = Loop(name="sequence", run_pass=sequence, channel=notifications.APPENDED, poll_seconds=POLL_SECONDS)
    purger = Loop(name="purge", run_pass=purge, channel=None, poll_seconds=PURGE_SECONDS)
    dispatcher = Dispatcher(
        inputs.subscriptions, tasks, in_flight=settings.deliveries_in_flight, at_once=settings.deliveries_at_once
    )
    sender = Loop(
        name="deliver", run_pass=dispatcher.deliver_due, channel=notifications.DELIVERABLE, poll_seconds=POLL_SECONDS
    )
    return [refreshing, finder, sequencer, sender, *_publishers(inputs, broker), purger]


def _publishers(inputs: Inputs, broker: Broker | None) -> list[Loop]:
    if broker is None:
        return []

    async def publish() -> int:
        return await publish_feed.publish_feed(inputs.brokers, broker, limit=PUBLISH_BATCH)

    return [Loop(name="publish", run_pass=publish, channel=notifications.FEED, poll_seconds=POLL_SECONDS)]


async def run_loops(inputs: Inputs, settings: Settings, stopping: asyncio.Event) -> None:
    """Run every loop until `stopping` is set, and finish running passes."""
    refresher = Refresher(
        inputs.flows, in_flight=settings.refreshes_in_flight, gather_seconds=refresh_due.GATHER_SECONDS
    )
    async with (
        wiring.open_broker(settings) as broker,
        background.running(refresher.run()),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(
            try_credentials.try_credentials(inputs.storage.engine, inputs.flows.clients, now=wiring.utc_now())
        )
        for loop in loops(inputs, settings, tasks, refresher, broker):
            tasks.create_task(repeat(inputs, loop, stopping))


async def repeat(inputs: Inputs, loop: Loop, stopping: asyncio.Event) -> None:
    """Repeat one loop's pass. If a pass raises, log the error and repeat it later; its rows are still due."""
    failures = 0
    while not stopping.is_set():
        notification = asyncio.Event() if loop.channel is None else inputs.storage.notifications.next(loop.channel)
        try:
            did = await loop.run_pass()
        except Exception as error:  # noqa: BLE001  # No error of a pass may end its loop.
            inputs.upkeep.telemetry.failed_passes.labels(loop.name).inc()
            failures += 1
            seconds = _RETRIES.wait(failures, jitter=inputs.flows.jitter()).total_seconds()
            log.warning("pass failed", loop=loop.name, error=type(error).__name__, retry_in_seconds=round(seconds, 1))
            await _either(stopping, asyncio.Event(), at_most_seconds=seconds)
            continue
        failures = 0
        if not did:
            await _either(stopping, notification, at_most_seconds=loop.poll_seconds)


async def _either(first: asyncio.Event, second: asyncio.Event, *, at_most_seconds: float) -> None:
    waits = [asyncio.create_task(event.wait()) for event in (first, second)]
    try:
        await asyncio.wait(waits, timeout=at_most_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def work(settings: Settings, *, drain_seconds: float = draining.DRAIN_SECONDS) -> None:
    """Run the loops until SIGTERM or SIGINT, then finish running work for at most `drain_seconds`.

    A second signal ends the process without waiting.

    Raises SettingsError, SchemaVersionError, DatabaseUnavailableError.
    """
    stop = draining.listen(drain_seconds=drain_seconds)
    async with wiring.open_inputs(settings) as inputs:
        if not await draining.before_stop(wiring.wait_for_database(inputs.storage.engine, settings), stop):
            return
        wiring.freeze_objects()
        log.info("worker started", apps=sorted(inputs.flows.clients))
        running_beside: list[asyncio.Task[None]] = [asyncio.create_task(inputs.storage.notifications.run())]
        if settings.metrics_port is not None:
            metrics_app = application.create_metrics_app(inputs.upkeep)
            server = http_server.build_metrics(metrics_app, settings, drain_seconds=drain_seconds)
            running_beside.append(asyncio.create_task(server.serve()))
        running = asyncio.create_task(run_loops(inputs, settings, stop.asked))
        asked = asyncio.create_task(stop.asked.wait())
        try:
            await asyncio.wait([running, asked], return_when=asyncio.FIRST_COMPLETED)
            if not await draining.drain([running], stop, seconds=drain_seconds):
                log.warning("worker stopped with unfinished work; its leases expire")
        finally:
            asked.cancel()
            await draining.cancel([*running_beside, running])
    log.info("worker stopped")
