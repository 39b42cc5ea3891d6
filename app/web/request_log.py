"""Logs and measures each request of the API. The webhook endpoint counts webhooks itself."""

import time
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics import Telemetry

log = structlog.get_logger()

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = ("/livez", "/readyz", "/metrics")


class RequestLog:
    """Wraps the application. It records the route's template only, because path and query may identify a payee."""

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry) -> None:
        """Wrap `app`."""
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, then record its status and duration."""
        if scope["type"] != "http" or scope["path"].startswith(_QUIET):
            await self._app(scope, receive, send)
            return
        status = 500
        began = time.perf_counter()

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        finally:
            seconds = time.perf_counter() - began
            route = _template(scope)
            self._telemetry.http.labels(_known(scope["method"]), route, status).observe(seconds)
            log.info(
                "request",
                method=_known(scope["method"]),
                route=route,
                status=status,
                milliseconds=round(seconds * 1000, 1),
            )


def _template(scope: dict[str, Any] | Scope) -> str:
    """Return the route's template, such as `/v1/flows/{flow_id}`, or `other` for an unknown path."""
    template = getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) else "other"


def _known(method: str) -> str:
    """Return the method, or `other` for an unknown one: each label is a time series that never ends."""
    return method if method in _METHODS else "other"
