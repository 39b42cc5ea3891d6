"""The api process. It serves HTTP. Any number may run."""

import asyncio

import structlog

from app.feed.watch_feed import FeedWatch
from app.processes import dots_wiring, wiring, worker
from app.processes.wiring import Inputs
from app.server import draining, http_server
from app.server.application import create_app, create_metrics_app
from app.server.gateway import Gateway
from app.server.listening import ListenAddress
from app.settings import Settings
from app.webhooks.endpoint import WebhookInputs
from app.webhooks.receive_webhook import WebhookReceiver

log = structlog.get_logger()


async def serve(
    settings: Settings, *, host: str, port: int, with_worker: bool, drain_seconds: float = draining.DRAIN_SECONDS
) -> None:
    """Serve until SIGTERM or SIGINT, then finish running requests for at most `drain_seconds`.

    A second signal ends the process without waiting.

    Raises SettingsError, SchemaVersionError, DatabaseUnavailableError.
    """
    stop = draining.listen(drain_seconds=drain_seconds)
    async with wiring.open_inputs(settings) as inputs:
        gateway = build_gateway(inputs, settings)
        if not await draining.before_stop(wiring.wait_for_database(inputs.storage.engine, settings), stop):
            return
        app = create_app(gateway, with_metrics=settings.metrics_port is None)
        servers = [http_server.build(app, ListenAddress(host=host, port=port), drain_seconds=drain_seconds)]
        if settings.metrics_port is not None:
            metrics_app = create_metrics_app(inputs.upkeep)
            servers.append(http_server.build_metrics(metrics_app, settings, drain_seconds=drain_seconds))
        wiring.freeze_objects()
        running = [asyncio.create_task(server.serve()) for server in servers]
        if with_worker:
            running.append(asyncio.create_task(worker.run_loops(inputs, settings, stop.asked)))
        asked = asyncio.create_task(stop.asked.wait())
        # The first task that ends stops the process. Otherwise it would go on without a server that failed to start.
        await asyncio.wait([*running, asked], return_when=asyncio.FIRST_COMPLETED)
        gateway.watch.close()
        stop.asked.set()
        for server in servers:
            server.should_exit = True
        if not await draining.drain(running, stop, seconds=drain_seconds):
            log.warning("api stopped with unfinished work; its leases expire")
    log.info("api stopped")


def build_gateway(inputs: Inputs, settings: Settings) -> Gateway:
    """Build what the routes work with. Raises SettingsError."""
    storage, telemetry = inputs.storage, inputs.upkeep.telemetry
    return Gateway(
        storage=storage,
        flows=inputs.flows,
        neighbours=wiring.TIMELINE_NEIGHBOURS,
        subscriptions=inputs.subscriptions,
        webhooks=WebhookInputs(
            engine=storage.engine,
            notifications=storage.notifications,
            clock=storage.clock,
            verifiers=dots_wiring.verifiers(settings),
            receiver=WebhookReceiver(storage.engine, storage.notifications, telemetry, dots_wiring.app_ids(settings)),
            telemetry=telemetry,
        ),
        upkeep=inputs.upkeep,
        watch=FeedWatch(storage.engine, storage.notifications),
    )
