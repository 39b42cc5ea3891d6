"""Access checks: the `Host` header of every request, and the token of the control API and the overview."""

import base64
import binascii
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from simulator import loopback
from simulator.settings import Settings

_OPEN_TO_ALL = "/_control/healthz"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """The host names to answer to besides loopback: those of the settings and the one in flow links."""
    named = {name.lower().strip("[]").removesuffix(".") for name in settings.allowed_hosts}
    return frozenset(named | {urlsplit(settings.public_url).hostname or ""}) - {""}


class HostCheck:
    """Rejects requests whose `Host` header does not name the simulator.

    A malicious page can make its own host name resolve to this machine (DNS rebinding). The browser then lets the page
    read and control the simulator. The `Host` header still has the page's name.
    """

    def __init__(self, app: ASGIApp, *, allowed: frozenset[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421."""
        if scope["type"] in ("http", "websocket") and not self._is_allowed(scope):
            refusal = PlainTextResponse(
                "The simulator does not answer to this host name (--allowed-hosts).\n", HTTPStatus.MISDIRECTED_REQUEST
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        given = Headers(scope=scope).getlist("host")
        host = _name(given[0]) if len(given) == 1 else None
        if host is None:
            return False
        # The local address of the connection.
        bound_address = (scope.get("server") or ("",))[0]
        return loopback.is_loopback(host) or host in self._allowed or host == str(bound_address).lower()


def _name(host: str) -> str | None:
    """The name in a `Host` header without port and brackets, or None if the header is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # Reading the port validates it.
    except ValueError:
        return None
    is_plain = parts.netloc == host and "@" not in host
    return parts.hostname.removesuffix(".") if is_plain and parts.hostname else None


def control_guard(settings: Settings) -> Callable[[Request], Awaitable[None]]:
    """A dependency of the routes that control the simulator: requires the token if one is set.

    It always refuses requests from pages of other sites: a browser adds the remembered password to them.
    """

    async def guard(request: Request) -> None:
        if request.method not in _SAFE_METHODS and request.headers.get("sec-fetch-site") == "cross-site":
            raise HTTPException(HTTPStatus.FORBIDDEN, "Pages of other sites may not control the simulator.")
        is_open = settings.control_token is None or request.url.path == _OPEN_TO_ALL
        if not is_open and not _has_token(request.headers.get("authorization"), settings.control_token or ""):
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED,
                "The control token is missing or wrong (--control-token).",
                headers={"www-authenticate": 'Basic realm="dots-simulator"'},
            )

    return guard


def _has_token(authorization: str | None, token: str) -> bool:
    """Whether the header has the token, as a bearer token or as the password of any user."""
    scheme, _, given = (authorization or "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return secrets.compare_digest(given.strip().encode(), token.encode())
