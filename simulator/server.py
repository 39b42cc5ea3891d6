"""Serves the application with uvicorn: opens the socket, announces the address, stops within two seconds."""

import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from simulator import loopback
from simulator.api.middleware import CUT_EXTENSION

_KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep idle connections, so that the server never closes one that a client reuses."""

_GRACE_SECONDS = 1
"""How long requests in flight may continue after SIGTERM. Then they are cancelled."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one.

    Raises:
        OSError: the address is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def url_of(listener: socket.socket) -> str:
    """The address of a listening socket as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_on_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can connect to a listening socket."""
    return loopback.is_loopback(listener.getsockname()[0])


def serve(app: ASGIApp, listener: socket.socket, *, announce: Callable[[], None], stop: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT. Calls `announce` when the server accepts connections, `stop` when it stops."""
    config = uvicorn.Config(
        app,
        http=CuttableProtocol,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    # uvicorn raises the signal again after it stops. These handlers ignore it, so that the exit status is 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    _Server(config, announce, stop).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Calls `announce` after the start, and `stop` before it waits for requests in flight."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None], stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stop()
        await super().shutdown(sockets)


class CuttableProtocol(HttpToolsProtocol):
    """HTTP/1.1 with an ASGI extension that closes the connection without an answer."""

    def on_message_begin(self) -> None:
        """Add the extension to the scope of each request."""
        super().on_message_begin()
        scope: Any = self.scope
        scope["extensions"] = {**scope.get("extensions", {}), CUT_EXTENSION: self.transport.abort}
