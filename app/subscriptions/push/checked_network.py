"""Connect to subscribers: resolve the name once, check every address, and dial a checked address."""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from datetime import timedelta

import httpcore

from app.subscriptions.push import addresses
from app.subscriptions.push.addresses import Address
from app.subscriptions.push.bounded_stream import BoundedStream
from app.subscriptions.push.destinations import Destinations, Listener
from app.subscriptions.push.resolver import Resolver
from app.subscriptions.push.urls import Endpoint

ANSWER_LIMIT_BYTES = 16 * 1024


class UnresolvableError(Exception):
    """The host has no address, or the addresses of our own database or broker are unknown."""


class UnreachableError(Exception):
    """None of the host's addresses accepts a connection."""


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects httpcore to destinations that the policy allows.

    httpcore knows the host only by its name, and uses the name for TLS and the `Host` header. Only this class sees
    the addresses, and it dials no address that it has not checked.
    """

    def __init__(
        self,
        destinations: Destinations,
        *,
        resolver: Resolver,
        timeout: timedelta,
        network: httpcore.AsyncNetworkBackend,
    ) -> None:
        """Dial through `network`. All addresses of a host together get at most `timeout`."""
        self._destinations = destinations
        self._resolver = resolver
        self._timeout_seconds = timeout.total_seconds()
        self._network = network
        self._own: dict[str, tuple[Address, ...]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect. Raises DestinationRefusedError, UnresolvableError or UnreachableError."""
        del timeout, local_address, socket_options  # The pool never sets them. `push` has the deadline.
        endpoint = Endpoint(host=host, port=port)
        found, own = await asyncio.gather(self._addresses_of(host), self._own_listeners())
        for address in found:
            self._destinations.check_address(endpoint, address, denied=own)
        return BoundedStream(await self._dial(found, port), limit_bytes=ANSWER_LIMIT_BYTES)

    async def _addresses_of(self, host: str) -> tuple[Address, ...]:
        """Return all addresses of a host, each once, in the resolver's order."""
        literal = addresses.read(host)
        if literal is not None:
            return (literal,)
        try:
            texts = await self._resolver(host)
        except (OSError, UnicodeError) as error:
            raise UnresolvableError from error
        return _read_answers(texts)

    async def _own_listeners(self) -> list[Listener]:
        """The current addresses and ports of our own database and broker, if they are configured by name."""
        names = self._destinations.denied_names
        found = await asyncio.gather(*(self._own_addresses(name.host) for name in names))
        return [Listener(address, name.port) for name, own in zip(names, found, strict=True) for address in own]

    async def _own_addresses(self, host: str) -> tuple[Address, ...]:
        """The addresses of our own database or broker, or the previous ones while the name cannot be resolved.

        A name that does not exist has no address to protect, so a broker that was never started does not stop
        deliveries. Raises UnresolvableError if the name has never been resolved: its address could be any.
        """
        try:
            self._own[host] = _read_answers(await self._resolver(host))
        except (OSError, UnicodeError, UnresolvableError) as error:
            is_nowhere = isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME
            if host not in self._own and not is_nowhere:
                raise UnresolvableError from error
        return self._own.get(host, ())

    async def _dial(self, found: Sequence[Address], port: int) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers. Each address gets an equal share of the time."""
        share_seconds = self._timeout_seconds / len(found)
        for address in found:
            try:
                async with asyncio.timeout(share_seconds):
                    return await self._network.connect_tcp(str(address), port)
            except (TimeoutError, httpcore.ConnectError):
                continue
        raise UnreachableError


def _read_answers(texts: Sequence[str]) -> tuple[Address, ...]:
    """Parse the addresses in a resolver's answer. Raises UnresolvableError if there are none or one is invalid."""
    found = tuple(dict.fromkeys(addresses.read(text) for text in texts))
    known = tuple(address for address in found if address is not None)
    if not known or len(known) != len(found):
        raise UnresolvableError
    return known
