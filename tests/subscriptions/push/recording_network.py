"""A network in which every address leads to one real socket, which records all connections."""

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
    """Dials the trap's port on 127.0.0.1 for every address, and records the address. `elsewhere` has other ports."""

    def __init__(self, listener_port: int, *, elsewhere: dict[str, int] | None = None) -> None:
        """Lead every address to the trap, except those in `elsewhere`."""
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
    """A pusher in this network, or in the real one."""
    return Pusher(
        Destinations(tuple(allowed), denied=tuple(denied)),
        resolver=resolver,
        ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # Loading certificates would be slow.
        network=network,
        now=utc_now,
    )
