"""uvicorn as both processes use it: no access log of its own, no signal handlers; logs where it listens."""

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

# Longer than balancers (60 s is usual) and clients keep an idle connection: closed by us at the moment they use it
# again, a request would be lost on the way, and nobody could say whether it had arrived.
KEEP_ALIVE_SECONDS = 75


class Server(uvicorn.Server):
    """A server that leaves signals to its process, which has more to stop than this."""

    def __init__(self, config: uvicorn.Config, listen_address: ListenAddress) -> None:
        """Take the address at once. Raises SettingsError, naming it, when that is not possible."""
        super().__init__(config)
        self._place = listen_address
        self._listeners = listening.bind(listen_address)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on the address taken, until `should_exit` is set. Raises SettingsError."""
        del sockets
        try:
            for listener in self._listeners:
                listener.listen(self.config.backlog)
        except OSError as error:  # Another process has bound it as well, and begun to listen first.
            raise self._place.refused(error) from None
        await super().serve(self._listeners)

    def close(self) -> None:
        """Give the address back without having served."""
        listening.close(self._listeners)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and log the address, which with port 0 only the system knows."""
        await super().startup(sockets)
        for server in self.servers:
            for listener in server.sockets:
                host, port = listener.getsockname()[:2]
                log.info("listening", url=f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


def build(app: ASGIApp, listen_address: ListenAddress, *, drain_seconds: float = DRAIN_SECONDS) -> Server:
    """A server for the application; `serve()` runs it until `should_exit` is set, then drains it.

    Its address is taken from now on. Raises SettingsError.
    """
    return Server(
        uvicorn.Config(
            app,
            http="httptools",
            loop="uvloop",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            # A little sooner than the process, so that requests are cancelled before the tasks that serve them.
            timeout_graceful_shutdown=max(1, int(drain_seconds) - 1),
        ),
        listen_address,
    )


def build_metrics(app: ASGIApp, settings: Settings, *, drain_seconds: float = DRAIN_SECONDS) -> Server:
    """The same for metrics, at METRICS_HOST and METRICS_PORT. Raises SettingsError."""
    listen_address = ListenAddress(
        host=settings.metrics_host,
        port=settings.metrics_port or 0,
        host_setting="METRICS_HOST",
        port_setting="METRICS_PORT",
    )
    return build(app, listen_address, drain_seconds=drain_seconds)
