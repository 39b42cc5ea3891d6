"""NATS JetStream: one stream for events and one for events that need compliance:read.

Source: https://docs.nats.io/nats-concepts/jetstream/streams (read 2026-11-23).
"""

import ssl
from collections.abc import Callable
from functools import partial

from nats.aio.client import Client
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from app.brokers import addressing
from app.brokers.addressing import Message
from app.brokers.broker import STEP_SECONDS, Session
from app.brokers.location import Location

EVENTS = StreamConfig(name="dots-events", subjects=["dots.>"])
COMPLIANCE = StreamConfig(name="dots-compliance", subjects=[f"{addressing.COMPLIANCE}dots.>"])


def sessions(where: Location) -> Callable[[], Session]:
    """A factory of connections to this NATS server or cluster."""
    return partial(NatsSession, where)


class NatsSession:
    """One connection. An event is confirmed once the stream for its subject has stored it."""

    def __init__(self, where: Location) -> None:
        """Prepare the client without connecting."""
        self._where = where
        self._hosts_left = len(where.hosts)
        self._client = _EncryptedClient() if where.encryption else Client()
        self._streams: dict[str, str] = {}

    async def open(self) -> None:
        """Connect, and create the missing streams."""
        where = self._where
        await self._client.connect(
            [f"nats://{host}" for host in where.hosts],
            name="dots-gateway",
            error_cb=self._give_up,
            allow_reconnect=False,
            connect_timeout=int(STEP_SECONDS),
            tls=where.encryption,
            # A user without a password is a token.
            user=where.username,
            password=where.password,
            token=where.username if where.password is None else None,
        )
        for default in (EVENTS, COMPLIANCE):
            for subject in default.subjects or ():
                await self._stream_of(subject, default)

    async def send(self, message: Message) -> None:
        """Publish, and wait for the acknowledgement. A stream drops repeated ids within its `duplicate_window`."""
        await self._client.jetstream(timeout=STEP_SECONDS).publish(
            message.address,
            message.body,
            stream=await self._stream_of(message.address, COMPLIANCE if message.is_compliance else EVENTS),
            headers={"Nats-Msg-Id": message.id, "content-type": addressing.CONTENT_TYPE},
        )

    async def close(self) -> None:
        """Close without draining, because unconfirmed events are published again anyway."""
        await self._client.close()

    async def _stream_of(self, subject: str, default: StreamConfig) -> str:
        """The name of the stream for this subject. Creates the default stream if there is none."""
        if subject not in self._streams:
            context = self._client.jetstream(timeout=STEP_SECONDS)
            try:
                self._streams[subject] = await context.find_stream_name_by_subject(subject)
            except NotFoundError:
                info = await context.add_stream(default)
                self._streams[subject] = info.config.name or ""
        return self._streams[subject]

    async def _give_up(self, error: Exception) -> None:
        """Stop connecting once every host has failed. The client itself would retry forever."""
        self._hosts_left -= 1
        if self._hosts_left <= 0 and not self._client.is_connected:
            raise error


class _EncryptedClient(Client):
    """A client that requires TLS. The plain client sends the password to a server without TLS."""

    def _connect_command(self) -> bytes:
        if not self._server_info.get("tls_required"):
            raise ssl.SSLError("the server offers no TLS")
        return super()._connect_command()
