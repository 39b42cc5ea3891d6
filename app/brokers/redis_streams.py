"""Redis: one stream per event type.

Source: https://redis.io/docs/latest/commands/xadd/ (read 2026-11-23).
"""

from collections.abc import Callable
from functools import partial

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.typing import EncodableT

from app.brokers import addressing
from app.brokers.addressing import Message
from app.brokers.broker import STEP_SECONDS, Session
from app.brokers.location import Location
from app.errors import SettingsError


def sessions(where: Location) -> Callable[[], Session]:
    """A factory of connections to this Redis. `?max_length=` limits the length of a stream. Raises SettingsError."""
    max_length = where.options.get("max_length")
    if max_length is None:
        return partial(RedisSession, where, None)
    if not (max_length.isascii() and max_length.isdigit() and int(max_length)):
        raise SettingsError("EVENT_BROKER_URL: max_length must be a number of entries.")
    return partial(RedisSession, where, int(max_length))


class RedisSession:
    """One connection pool. An event is confirmed once Redis has answered with the id of its entry."""

    def __init__(self, where: Location, max_length: int | None) -> None:
        """Prepare the client. A stream keeps about `max_length` entries (None: all)."""
        self._max_length = max_length
        self._is_closed = False
        self._client = Redis.from_url(
            where.url,
            socket_connect_timeout=STEP_SECONDS,
            socket_timeout=STEP_SECONDS,
            retry=Retry(NoBackoff(), retries=0),
        )

    async def open(self) -> None:
        """Connect, and check that Redis accepts the credentials."""
        await self._client.ping()

    async def send(self, message: Message) -> None:
        """Append to the stream, and wait for the id of the entry."""
        if self._is_closed:
            raise ConnectionError("closed")
        fields: dict[EncodableT, EncodableT] = {
            "id": message.id,
            "subject": message.key,
            "content-type": addressing.CONTENT_TYPE,
            "data": message.body,
        }
        await self._client.xadd(message.address, fields, maxlen=self._max_length, approximate=True)

    async def close(self) -> None:
        """Close every connection. A later `send` raises, because it would open a connection that is never closed."""
        self._is_closed = True
        await self._client.aclose()
