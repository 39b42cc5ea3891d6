"""The HTTP application: routes, errors, access, and the tasks that live as long as it does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from app.actions.tools import Tools
from app.errors import BodyTooLargeError
from app.web import (
    access,
    contract_routes,
    delivery_routes,
    error_responses,
    event_routes,
    flow_routes,
    health_routes,
    openapi_document,
    stored_webhook_routes,
    subscription_routes,
    webhook_routes,
)
from app.web.gateway import Gateway
from app.web.request_log import RequestLog
from app.web.request_rules import RequestRules
from app.web.webhook_routes import WebhookDoor

BODY_LIMIT_BYTES = 1024 * 1024

_DESCRIPTION = """Create Dots flows, and learn reliably what payees did.

Every call under `/v1` needs `Authorization: Bearer <key>`. Errors are RFC 9457 problem details with a stable `code`.
"""

_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}


class Api(FastAPI):
    """FastAPI, with Dots' webhooks going past it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve webhooks by their own door, and everything else as FastAPI does."""
        if scope["type"] == "http" and scope["path"].startswith(webhook_routes.PREFIX):
            await self.state.webhook_door(scope, receive, send)
        elif scope["type"] == "http" and _announced_bytes(scope) > BODY_LIMIT_BYTES:
            # FastAPI refuses it too, but as plain text that no exception handler gets to see.
            await error_responses.respond(BodyTooLargeError())(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _announced_bytes(scope: Scope) -> int:
    """The length of the body as its header has it; 0 when it is not announced, or not in digits."""
    text = dict(scope["headers"]).get(b"content-length", b"")
    return int(text[:20]) if text.isdigit() else 0


def create_app(gateway: Gateway, *, with_metrics: bool = True) -> FastAPI:
    """The application over a gateway; its lifespan runs the receiver's writer, the hints and the feed's watch."""
    routers = [
        flow_routes.router,
        event_routes.router,
        stored_webhook_routes.router,
        subscription_routes.router,
        delivery_routes.router,
        contract_routes.router,
        health_routes.live_router,
        health_routes.ready_router,
    ]
    if with_metrics:
        routers.append(health_routes.metrics_router)
    access.check(routers)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        runners = (gateway.receiver.run(), gateway.tools.hints.run(), gateway.watch.run())
        tasks = [asyncio.create_task(runner) for runner in runners]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    app = Api(
        title="dots-gateway",
        version="1.1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        max_body_size=BODY_LIMIT_BYTES,
        redirect_slashes=False,
        strict_content_type=False,
        middleware=[
            Middleware(RequestLog, telemetry=gateway.tools.telemetry),
            Middleware(RequestRules, routers=routers),
        ],
        telemetry=_NO_TELEMETRY,
    )
    app.state.gateway, app.state.tools = gateway, gateway.tools
    app.state.webhook_door = WebhookDoor(gateway)
    error_responses.install(app)
    for router in routers:
        app.include_router(router)
    app.openapi = lambda: openapi_document.document(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def create_metrics_app(tools: Tools) -> FastAPI:
    """A small application for a port of its own: /metrics and /livez, for a worker or behind a firewall."""
    routers = [health_routes.metrics_router, health_routes.live_router]
    rules = Middleware(RequestRules, routers=routers)
    app = FastAPI(openapi_url=None, telemetry=_NO_TELEMETRY, middleware=[rules])
    app.state.tools = tools
    error_responses.install(app)
    for router in routers:
        app.include_router(router)
    return app
