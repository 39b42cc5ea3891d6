"""A network on which every address leads to one real socket, so that a dial to any of them would be seen."""

import ssl
from collections.abc import Iterable

import httpcore

from app.processes.wiring import utc_now
from app.subscriptions.push.destinations import Destinations
from app.subscriptions.push.http_push import Pusher
from app.subscriptions.push.resolver import Resolver
from app.subscriptions.push.urls import Endpoint

EVERYTHING = (
    "0.0.0.0/0:1-65535",
    "[::/0]:1-65535",
    ".test:1-65535",
    "localhost:1-65535",
    "metadata.google.internal:1-65535",
)
GOOD = "10.0.0.1"


class RecordingNetwork(httpcore.AsyncNetworkBackend):
    """Dials 127.0.0.1 at the trap's port whatever is asked for, or for some addresses another port, and notes it."""

    def __init__(self, listener_port: int, *, elsewhere: dict[str, int] | None = None) -> None:
        """Lead everything to the trap but the addresses of `elsewhere`."""
        self._listener_port = listener_port
        self._elsewhere = elsewhere or {}
        self._network = httpcore.AnyIOBackend()
        self.dialled: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Dial the trap."""
        del port, local_address, socket_options
        self.dialled.append(host)
        return await self._network.connect_tcp(
            "127.0.0.1", self._elsewhere.get(host, self._listener_port), timeout=timeout
        )


def trapped_pusher(
    network: RecordingNetwork | None,
    *,
    allowed: Iterable[str] = EVERYTHING,
    denied: Iterable[Endpoint] = (),
    resolver: Resolver | None = None,
) -> Pusher:
    """A pusher in a network of traps, or in the real one."""
    return Pusher(
        Destinations(tuple(allowed), denied=tuple(denied)),
        resolver=resolver,
        ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # Loads no certificates, which takes long.
        network=network,
        now=utc_now,
    )
