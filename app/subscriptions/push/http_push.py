"""Send one signed event to one URL, within a deadline. `destinations` decides which URLs are allowed.

It uses httpcore without httpx, because httpx would use proxies from the environment, decompress bodies and add
headers.
Source: https://www.encode.io/httpcore/network-backends/ (read 2026-11-23).
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import metadata

import httpcore

from app.errors import DestinationRefusedError
from app.subscriptions.push import answers, signing
from app.subscriptions.push.answers import Answer, Failure
from app.subscriptions.push.bounded_stream import AnswerTooLongError
from app.subscriptions.push.checked_network import CheckedNetwork, UnreachableError, UnresolvableError
from app.subscriptions.push.destinations import Destinations
from app.subscriptions.push.resolver import Resolver, SystemResolver
from app.subscriptions.push.urls import Destination

_FIFTEEN_SECONDS = timedelta(seconds=15)

# Common servers close an idle connection after five seconds, and a request at that moment would fail. So connections
# close earlier. Each new connection resolves the name again.
_IDLE_SECONDS = 3

# In this order: a TimeoutError and an SSLError are also OSErrors.
_FAILURES: tuple[tuple[type[Exception], Failure], ...] = (
    (DestinationRefusedError, Failure.REFUSED_DESTINATION),
    (UnresolvableError, Failure.UNRESOLVABLE),
    (UnreachableError, Failure.UNREACHABLE),
    (TimeoutError, Failure.TIMED_OUT),
    (httpcore.TimeoutException, Failure.TIMED_OUT),
    (httpcore.ConnectError, Failure.TLS_FAILED),  # The connection itself fails as UnreachableError.
    (ssl.SSLError, Failure.TLS_FAILED),
    (AnswerTooLongError, Failure.PROTOCOL_ERROR),
    (httpcore.ProtocolError, Failure.PROTOCOL_ERROR),
    (httpcore.NetworkError, Failure.DISCONNECTED),
    (OSError, Failure.DISCONNECTED),
)
_EXPECTED = tuple(kind for kind, _ in _FAILURES)


@dataclass(frozen=True, kw_only=True)
class Message:
    """One event to send. `id` is the event's id, `body` is CloudEvents JSON, `keys` sign it, newest first."""

    id: str
    body: bytes = field(repr=False)
    sent_at: datetime
    keys: Sequence[bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("A message needs a key to be signed with.")


class Pusher:
    """Sends up to `connections` messages concurrently. Others wait for a free connection."""

    def __init__(
        self,
        destinations: Destinations,
        *,
        now: Callable[[], datetime],
        resolver: Resolver | None = None,
        timeout: timedelta = _FIFTEEN_SECONDS,
        connections: int = 64,
        ssl_context: ssl.SSLContext | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the pool without connecting. By default, the system's authorities verify certificates."""
        self._destinations = destinations
        self._timeout_seconds = timeout.total_seconds()
        self._now = now
        self._monotonic = monotonic
        self._user_agent = f"dots-gateway/{metadata.version('dots-gateway')}"
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or ssl.create_default_context(),
            max_connections=connections,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=CheckedNetwork(
                destinations,
                resolver=resolver or SystemResolver(),
                timeout=timeout,
                network=network or httpcore.AnyIOBackend(),
            ),
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    async def push(self, url: str, message: Message) -> Answer:
        """Send once, and return the outcome. Failures to send are an `Answer`, not an exception."""
        started = self._monotonic()
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        try:
            request = self._form_request(self._destinations.check_url(url), message)
            async with asyncio.timeout_at(deadline):
                response = await self._pool.handle_async_request(request)
            await _drain(response, deadline)
        except _EXPECTED as error:
            failure = next(failure for kind, failure in _FAILURES if isinstance(error, kind))
            return answers.failed(failure, took=self._since(started))
        return answers.read(response.status, response.headers, now=self._now(), took=self._since(started))

    def _form_request(self, destination: Destination, message: Message) -> httpcore.Request:
        timestamp = int(message.sent_at.timestamp())
        signature = signing.sign(message.keys, message_id=message.id, timestamp=timestamp, body=message.body)
        return httpcore.Request(
            "POST",
            httpcore.URL(
                scheme=destination.scheme,
                host=destination.endpoint.host,
                port=destination.endpoint.port,
                target=destination.target,
            ),
            headers={
                "host": destination.authority,
                "user-agent": self._user_agent,
                "content-type": "application/cloudevents+json; charset=utf-8",
                "content-length": str(len(message.body)),
                "accept-encoding": "identity",
                "webhook-id": message.id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": signature,
            },
            content=message.body,
        )

    def _since(self, started: float) -> timedelta:
        return timedelta(seconds=self._monotonic() - started)


async def _drain(response: httpcore.Response, deadline: float) -> None:
    """Read the rest of an answer so its connection can be used again, or close the connection.

    The status decides. A body that is cut off, endless or late does not change the outcome.
    """
    try:
        with contextlib.suppress(*_EXPECTED):
            async with asyncio.timeout_at(deadline):
                async for _ in response.aiter_stream():
                    pass
    finally:
        await response.aclose()
