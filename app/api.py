"""The api process: HTTP in and out. Any number may run."""

import asyncio

import structlog

from app import assembly, http_server, worker
from app.actions.receive_webhook import WebhookReceiver
from app.actions.tools import Tools
from app.actions.watch_feed import FeedWatch
from app.listening import Place
from app.settings import Settings
from app.web.application import create_app, create_metrics_app
from app.web.gateway import Gateway

log = structlog.get_logger()


async def serve(settings: Settings, *, host: str, port: int, with_worker: bool) -> None:
    """Serve until SIGTERM or SIGINT, then answer what has come in and end.

    Raises SettingsError, SchemaVersionError, DatabaseUnavailableError.
    """
    stopping = http_server.stop_signal()
    async with assembly.open_tools(settings) as tools:
        gateway = build_gateway(tools, settings)
        await assembly.wait_for_database(tools.engine, settings)
        app = create_app(gateway, with_metrics=settings.metrics_port is None)
        servers = [http_server.build(app, Place(host=host, port=port))]
        if settings.metrics_port is not None:
            servers.append(http_server.build_metrics(create_metrics_app(tools), settings))
        running = [asyncio.create_task(server.serve()) for server in servers]
        if with_worker:
            running.append(asyncio.create_task(worker.run_loops(tools, settings, stopping)))
        stop = asyncio.create_task(stopping.wait())
        # Whatever ends first ends the process: a server that could not start must not leave half a process.
        await asyncio.wait([*running, stop], return_when=asyncio.FIRST_COMPLETED)
        gateway.watch.close()
        stopping.set()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*running, stop)
    log.info("api stopped")


def build_gateway(tools: Tools, settings: Settings) -> Gateway:
    """What the routes work with. Raises SettingsError."""
    return Gateway(
        tools=tools,
        verifiers=assembly.verifiers(settings),
        receiver=WebhookReceiver(tools.engine, tools.hints, tools.telemetry),
        watch=FeedWatch(tools.engine, tools.hints),
    )
