"""Builds the HTTP application from all routes, and runs its background tasks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from app.access import scopes
from app.errors import BodyTooLargeError
from app.feed import routes as event_routes
from app.flows import routes as flow_routes
from app.server import contract_routes, health_routes, openapi
from app.server.gateway import Gateway
from app.subscriptions import delivery_routes
from app.subscriptions import routes as subscription_routes
from app.upkeep.inputs import UpkeepInputs
from app.web import problems
from app.web.request_log import RequestLog
from app.web.request_rules import RequestRules
from app.webhooks import endpoint
from app.webhooks import routes as stored_webhook_routes
from app.webhooks.endpoint import WebhookEndpoint

BODY_LIMIT_BYTES = 1024 * 1024

_DESCRIPTION = """Create Dots flows, and learn reliably what payees did.

Every call under `/v1` needs `Authorization: Bearer <key>`. Errors are RFC 9457 problem details with a stable `code`.
Times are RFC 3339 in UTC.
"""

_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}


class Api(FastAPI):
    """FastAPI, except that Dots' webhooks bypass it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass webhooks to their own endpoint, and all other requests to FastAPI."""
        if scope["type"] == "http" and scope["path"].startswith(endpoint.PREFIX):
            await self.state.webhook_endpoint(scope, receive, send)
        elif scope["type"] == "http" and _announced_bytes(scope) > BODY_LIMIT_BYTES:
            # FastAPI would refuse it with plain text, which no exception handler can change.
            await problems.respond(BodyTooLargeError())(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _announced_bytes(scope: Scope) -> int:
    """Return the Content-Length, or 0 if it is absent or not a number."""
    text = dict(scope["headers"]).get(b"content-length", b"")
    return int(text[:20]) if text.isdigit() else 0


def create_app(gateway: Gateway, *, with_metrics: bool = True) -> FastAPI:
    """Build the application. Its lifespan runs the webhook receiver, the notifications and the feed watch."""
    routers = [
        flow_routes.router,
        event_routes.router,
        stored_webhook_routes.router,
        subscription_routes.router,
        delivery_routes.router,
        flow_routes.users_router,
        contract_routes.router,
        health_routes.live_router,
        health_routes.ready_router,
    ]
    if with_metrics:
        routers.append(health_routes.metrics_router)
    scopes.check(routers)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        background_tasks = (gateway.webhooks.receiver.run(), gateway.storage.notifications.run(), gateway.watch.run())
        tasks = [asyncio.create_task(background_task) for background_task in background_tasks]
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
            Middleware(RequestLog, telemetry=gateway.upkeep.telemetry),
            Middleware(RequestRules, routers=routers),
        ],
        telemetry=_NO_TELEMETRY,
    )
    app.state.given = gateway.by_type()
    app.state.webhook_endpoint = WebhookEndpoint(gateway.webhooks)
    problems.install(app)
    for router in routers:
        app.include_router(router)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def create_metrics_app(upkeep: UpkeepInputs) -> FastAPI:
    """Build a small application with /metrics and /livez only, for METRICS_PORT."""
    routers = [health_routes.metrics_router, health_routes.live_router]
    rules = Middleware(RequestRules, routers=routers)
    app = FastAPI(openapi_url=None, telemetry=_NO_TELEMETRY, middleware=[rules])
    app.state.given = {UpkeepInputs: upkeep}
    problems.install(app)
    for router in routers:
        app.include_router(router)
    return app
