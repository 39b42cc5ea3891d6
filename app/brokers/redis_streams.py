"""Redis: a stream a type of event, in fields that any client can read.

FastStream's own way is one field of a binary format, which only FastStream reads; so it only connects here.
Source: https://redis.io/docs/latest/commands/xadd/ (read 2026-11-23).
"""

from collections.abc import Callable
from functools import partial
from urllib.parse import quote

from faststream.redis import RedisBroker
from redis.asyncio import Redis
from redis.typing import EncodableT

from app.brokers import addressing
from app.brokers.addressing import Letter
from app.brokers.broker import STEP_SECONDS, Session
from app.brokers.location import Location
from app.errors import SettingsError


def sessions(where: Location) -> Callable[[], Session]:
    """What makes connections to this Redis; `?max_length=` is how many entries a stream keeps. Raises SettingsError."""
    max_length = where.options.get("max_length")
    if max_length is None:
        return partial(RedisSession, where, None)
    if not (max_length.isascii() and max_length.isdigit() and int(max_length)):
        raise SettingsError("EVENT_BROKER_URL: max_length must be a number of entries.")
    return partial(RedisSession, where, int(max_length))


class RedisSession:
    """One pool of connections; an event is confirmed when Redis has answered with the id of its entry."""

    def __init__(self, where: Location, max_length: int | None) -> None:
        """Take where to connect to, and how many entries a stream keeps (None: all, until somebody trims it)."""
        self._max_length = max_length
        self._client: Redis | None = None
        self._broker = RedisBroker(
            _url(where),
            socket_connect_timeout=STEP_SECONDS,
            socket_timeout=STEP_SECONDS,
            apply_types=False,
            logger=None,  # type: ignore[arg-type]  # means silence, though the parameter's type forgets it
        )

    async def open(self) -> None:
        """Connect, and see that we may."""
        self._client = await self._broker.connect()
        await self._client.ping()

    async def send(self, letter: Letter) -> None:
        """Append to the stream, and wait for the entry's id."""
        if self._client is None:
            raise ConnectionError("closed")
        fields: dict[EncodableT, EncodableT] = {
            "id": letter.id,
            "subject": letter.key,
            "content-type": addressing.CONTENT_TYPE,
            "data": letter.body,
        }
        await self._client.xadd(letter.address, fields, maxlen=self._max_length, approximate=True)

    async def close(self) -> None:
        """Close every connection; a letter that comes now must not open others, which nobody would close."""
        self._client = None
        await self._broker.stop()


def _url(where: Location) -> str:
    credentials = ""
    if where.username is not None or where.password is not None:
        credentials = f"{quote(where.username or '', safe='')}:{quote(where.password or '', safe='')}@"
    return f"{where.scheme}://{credentials}{where.hosts[0]}{where.path}"
