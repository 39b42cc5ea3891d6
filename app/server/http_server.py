"""Runs uvicorn for the api and the metrics port. It has no access log and leaves signals to the process."""

import contextlib
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp

from app.server import listening
from app.server.draining import DRAIN_SECONDS
from app.server.listening import ListenAddress
from app.settings import Settings

log = structlog.get_logger()

# Longer than load balancers (usually 60 s) and clients keep an idle connection. If we closed it first, a request could
# be lost on the way, and the client could not tell whether it arrived.
KEEP_ALIVE_SECONDS = 75


class Server(uvicorn.Server):
    """A server that leaves signals to its process, which has to stop other tasks too."""

    def __init__(self, config: uvicorn.Config, listen_address: ListenAddress) -> None:
        """Bind the address. Raises SettingsError, which names the address, if that fails."""
        super().__init__(config)
        self._place = listen_address
        self._listeners = listening.bind(listen_address)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on the bound address until `should_exit` is set. Raises SettingsError."""
        del sockets
        try:
            for listener in self._listeners:
                listener.listen(self.config.backlog)
        except OSError as error:  # Another process has bound the same address and listened first.
            raise self._place.refused(error) from None
        await super().serve(self._listeners)

    def close(self) -> None:
        """Release the address of a server that has not served."""
        listening.close(self._listeners)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and log the address. With port 0 the system has chosen the port."""
        await super().startup(sockets)
        for server in self.servers:
            for listener in server.sockets:
                host, port = listener.getsockname()[:2]
                log.info("listening", url=f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


def build(app: ASGIApp, listen_address: ListenAddress, *, drain_seconds: float = DRAIN_SECONDS) -> Server:
    """Build a server and bind its address. `serve()` runs it until `should_exit` is set. Raises SettingsError."""
    return Server(
        uvicorn.Config(
            app,
            http="httptools",
            loop="uvloop",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            # Shorter than the process's drain, so that requests are cancelled before the tasks that serve them.
            timeout_graceful_shutdown=max(1, int(drain_seconds) - 1),
        ),
        listen_address,
    )


def build_metrics(app: ASGIApp, settings: Settings, *, drain_seconds: float = DRAIN_SECONDS) -> Server:
    """Build the server at METRICS_HOST and METRICS_PORT. Raises SettingsError."""
    listen_address = ListenAddress(
        host=settings.metrics_host,
        port=settings.metrics_port or 0,
        host_setting="METRICS_HOST",
        port_setting="METRICS_PORT",
    )
    return build(app, listen_address, drain_seconds=drain_seconds)
