"""One line and one measurement a request of the API; webhooks are counted at their own door."""

import time
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics import Telemetry

log = structlog.get_logger()

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = ("/livez", "/readyz", "/metrics")


class RequestLog:
    """Wraps the application; sees the route's template, never the path or query, which may say who a payee is."""

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry) -> None:
        """Wrap `app`."""
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, then note how it went."""
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
    """The route as written (`/v1/flows/{flow_id}`), or `other` for paths that are none of ours."""
    template = getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) else "other"


def _known(method: str) -> str:
    """The method, or `other`: anybody may send one of their own, and each would be a time series for ever."""
    return method if method in _METHODS else "other"
