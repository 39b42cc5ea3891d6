"""NATS JetStream: one stream for events, one for those that need compliance:read, made where there is none.

Source: https://docs.nats.io/nats-concepts/jetstream/streams (read 2026-11-23).
"""

import ssl
from collections.abc import Callable
from functools import partial

from faststream.nats import NatsBroker, NatsSecurity, NatsToken, NatsUserPassword, StreamConfig
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from app.brokers import addressing
from app.brokers.addressing import Letter
from app.brokers.broker import STEP_SECONDS, Session
from app.brokers.location import Location

EVENTS = StreamConfig(name="dots-events", subjects=["dots.>"])
COMPLIANCE = StreamConfig(name="dots-compliance", subjects=[f"{addressing.COMPLIANCE}dots.>"])


def sessions(where: Location) -> Callable[[], Session]:
    """What makes connections to this NATS server, or cluster."""
    return partial(NatsSession, where)


class NatsSession:
    """One connection; an event is confirmed when the stream that takes its subject has stored it."""

    def __init__(self, where: Location) -> None:
        """Take where to connect to."""
        self._broker = _Publisher(where)
        self._streams: dict[str, str] = {}

    async def open(self) -> None:
        """Connect, and make the streams that are missing."""
        await self._broker.connect()
        for example in (EVENTS, COMPLIANCE):
            for subject in example.subjects or ():
                await self._stream_of(subject, example)

    async def send(self, letter: Letter) -> None:
        """Publish, and wait for the acknowledgement; a stream drops an id it has had in its `duplicate_window`."""
        stream = await self._stream_of(letter.address, COMPLIANCE if letter.is_compliance else EVENTS)
        await self._broker.publish(
            letter.body,
            letter.address,
            headers={"Nats-Msg-Id": letter.id, "content-type": addressing.CONTENT_TYPE},
            correlation_id=letter.id,
            stream=stream,
            timeout=STEP_SECONDS,
        )

    async def close(self) -> None:
        """Close without draining: what is not confirmed is sent again anyway."""
        await self._broker.client.close()

    async def _stream_of(self, subject: str, otherwise: StreamConfig) -> str:
        """The stream that takes this subject, whoever made it and however; ours is made when there is none."""
        if subject not in self._streams:
            context: JetStreamContext = self._broker.client.jetstream(timeout=STEP_SECONDS)
            try:
                self._streams[subject] = await context.find_stream_name_by_subject(subject)
            except NotFoundError:
                info = await context.add_stream(otherwise)
                self._streams[subject] = info.config.name or ""
        return self._streams[subject]


class _Publisher(NatsBroker):
    """FastStream's broker, except that its client is at hand, to be closed, before it is connected."""

    def __init__(self, where: Location) -> None:
        self.client = _EncryptedClient() if where.encryption else Client()
        self._hosts_left = len(where.hosts)
        super().__init__(
            [f"nats://{host}" for host in where.hosts],
            security=_security(where, where.encryption),
            allow_reconnect=False,
            connect_timeout=int(STEP_SECONDS),
            error_cb=self._give_up,
            apply_types=False,
            logger=None,
        )

    async def _connect(self) -> Client:
        await self.client.connect(**self._connection_kwargs)
        self.config.connect(self.client)
        return self.client

    async def _give_up(self, error: Exception) -> None:
        """End the connecting when every host has been tried: by itself the client would go round and round."""
        self._hosts_left -= 1
        if self._hosts_left <= 0 and not self.client.is_connected:
            raise error


class _EncryptedClient(Client):
    """A client that never speaks, and so never sends a password, unencrypted; its own does when a server says so."""

    def _connect_command(self) -> bytes:
        if not self._server_info.get("tls_required"):
            raise ssl.SSLError("the server offers no TLS")
        return super()._connect_command()


def _security(where: Location, encryption: ssl.SSLContext | None) -> NatsSecurity:
    if where.username is None:
        return NatsSecurity(ssl_context=encryption)
    if where.password is None:
        return NatsToken(where.username, ssl_context=encryption)
    return NatsUserPassword(where.username, where.password, ssl_context=encryption)
