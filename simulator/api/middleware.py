"""Runs before every API route: the call log, credentials, the rate limit and faults."""

from datetime import timedelta

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.api import access, answers
from simulator.knobs import Fault
from simulator.simulation import ApiCall, Simulation

CUT_EXTENSION = "dots_simulator.cut"
"""The name of the ASGI extension with which an application closes the connection without an answer."""

_MINUTE = timedelta(minutes=1)


class ConnectionCutError(Exception):
    """Stands for a cut connection under an in-process transport, which has no connection to cut."""


class ApiMiddleware:
    """ASGI middleware around the API's routes."""

    def __init__(self, routes: ASGIApp, simulation: Simulation) -> None:
        self._routes = routes
        self._simulation = simulation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call and log it."""
        simulation, method, path = self._simulation, str(scope["method"]), str(scope["path"])
        refusal = self._refusal(scope)
        fault = simulation.panel.draw_fault(method, path)
        call = ApiCall(method=method, path=path, at=simulation.clock(), fault=fault.kind if fault else None)
        simulation.api_calls.append(call)

        async def send_and_log(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
            await send(message)

        good = refusal or self._routes
        if fault is None:
            await good(scope, receive, send_and_log)
        else:
            await self._apply_fault(fault, good, scope, receive, send_and_log)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a call that is refused, or None."""
        unknowns = self._simulation.unknowns
        if self._is_over_rate():
            seconds = int(_MINUTE.total_seconds()) if unknowns.rate_limit_retry_after else None
            return answers.rate_limited(unknowns, retry_after_seconds=seconds)
        if not access.is_allowed(Headers(scope=scope).get("authorization"), self._simulation.settings):
            return answers.bad_credentials(unknowns)
        return None

    def _is_over_rate(self) -> bool:
        limit = self._simulation.unknowns.rate_limit_per_minute
        if limit is None:
            return False
        since = self._simulation.clock() - _MINUTE
        answered = [call for call in self._simulation.api_calls if call.at > since and call.status != 429]  # noqa: PLR2004 - HTTP
        return len(answered) >= limit

    async def _apply_fault(self, fault: Fault, good: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Apply a fault to a call that `good` would have answered."""
        kind, unknowns = fault.kind, self._simulation.unknowns
        if kind.startswith("create_then_") or kind == "junk_body":
            await good(scope, receive, _swallow)
        if kind in ("cut", "create_then_cut"):
            await _cut(scope, receive)
        elif kind == "hang":
            await good(scope, receive, self._late(fault.seconds, send))
        elif kind in ("proxy_page", "create_then_proxy_page"):
            await answers.proxy_page(fault.status)(scope, receive, send)
        elif kind == "junk_body":
            await answers.junk()(scope, receive, send)
        elif kind == "rate_limited":
            limited = answers.rate_limited(unknowns, retry_after_seconds=fault.retry_after_seconds)
            await limited(scope, receive, send)
        elif kind == "unauthorized":
            await answers.bad_credentials(unknowns)(scope, receive, send)
        else:
            if kind == "stall":
                await self._simulation.hold(fault.seconds)
            await answers.failed(unknowns, fault)(scope, receive, send)

    def _late(self, seconds: float, send: Send) -> Send:
        """A `send` that delays the answer."""

        async def send_late(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._simulation.hold(seconds)
            await send(message)

        return send_late


async def _swallow(_message: Message) -> None:
    """Discard an answer."""


async def _cut(scope: Scope, receive: Receive) -> None:
    abort = (scope.get("extensions") or {}).get(CUT_EXTENSION)
    if abort is None:
        raise ConnectionCutError(ConnectionCutError.__doc__)
    abort()
    # The server answers 500 if the application returns before the disconnect is processed.
    while (await receive())["type"] != "http.disconnect":
        pass
