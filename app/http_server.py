"""uvicorn as both processes use it: no access log of its own, no signal handlers, said aloud where it listens."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp

log = structlog.get_logger()

DRAIN_SECONDS = 20

# Longer than balancers (60 s is usual) and clients keep an idle connection: closed by us at the moment they use it
# again, a request would be lost on the way, and nobody could say whether it had arrived.
KEEP_ALIVE_SECONDS = 75


class Server(uvicorn.Server):
    """A server that leaves signals to its process, which has more to stop than this."""

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
                log.info("listening", url=f"http://{host}:{port}")


def build(app: ASGIApp, *, host: str, port: int) -> Server:
    """A server for the application; `serve()` runs it until `should_exit` is set, then drains it."""
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http="httptools",
            loop="uvloop",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    return stopping
