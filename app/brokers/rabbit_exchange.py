"""RabbitMQ: durable topic exchanges, one for events and one for those that need compliance:read.

Sources: https://www.rabbitmq.com/docs/confirms, https://www.rabbitmq.com/docs/publishers#unroutable (read 2026-11-23).
"""

import asyncio
from collections.abc import Callable
from functools import partial

from aio_pika import RobustConnection
from aio_pika.connection import make_url
from faststream.rabbit import Channel, ExchangeType, QueueType, RabbitBroker, RabbitExchange, RabbitQueue
from faststream.security import SASLPlaintext

from app.brokers import addressing
from app.brokers.addressing import Letter
from app.brokers.broker import STEP_SECONDS, Session
from app.brokers.location import Location

EVENTS = RabbitExchange("dots.events", type=ExchangeType.TOPIC, durable=True)
COMPLIANCE = RabbitExchange("dots.compliance", type=ExchangeType.TOPIC, durable=True)
# Longer than anybody keeps a session that lost its connection: sessions end at the first failure.
_NEVER_SECONDS = 3600


def sessions(where: Location) -> Callable[[], Session]:
    """What makes connections to this RabbitMQ; `?queue=` names a queue that is to get everything."""
    return partial(RabbitSession, where)


class RabbitSession:
    """One connection; an event is confirmed when every queue it was routed to has it, and there must be one."""

    def __init__(self, where: Location) -> None:
        """Take where to connect to."""
        self._broker = _Publisher(where)
        self._queue = where.options.get("queue")

    async def open(self) -> None:
        """Connect and declare the exchanges, and the queues if they are wanted."""
        await self._broker.connect()
        for exchange, prefix in ((EVENTS, ""), (COMPLIANCE, addressing.COMPLIANCE)):
            declared = await self._broker.declare_exchange(exchange)
            if self._queue:
                # Two queues, because who may read one may read all that is in it.
                name = f"{prefix}{self._queue}"
                queue = await self._broker.declare_queue(RabbitQueue(name, queue_type=QueueType.QUORUM, durable=True))
                await queue.bind(declared, routing_key="#")

    async def send(self, letter: Letter) -> None:
        """Publish, and wait for the confirmation; an event that no queue takes comes back, and that raises."""
        # The client's own time-out ends when the event is written, and does not cover the confirmation.
        async with asyncio.timeout(STEP_SECONDS):
            await self._broker.publish(
                letter.body,
                exchange=COMPLIANCE if letter.is_compliance else EVENTS,
                routing_key=letter.address,
                mandatory=True,
                persist=True,
                message_id=letter.id,
                correlation_id=letter.id,
                content_type=addressing.CONTENT_TYPE,
                message_type=letter.address,
                headers={"subject": letter.key},
            )

    async def close(self) -> None:
        """Close; what waits for a confirmation is told by an error, not, as by default, by a cancellation."""
        await self._broker.client.close(ConnectionError("closed"))


class _Publisher(RabbitBroker):
    """FastStream's broker, except that its connection is at hand, to be closed, before it is made."""

    def __init__(self, where: Location) -> None:
        encryption = where.encryption
        scheme = "amqp" if encryption is None else "amqps"
        super().__init__(
            f"{scheme}://{where.hosts[0]}{where.path}",
            security=SASLPlaintext(where.username or "guest", where.password or "guest", ssl_context=encryption),
            default_channel=Channel(publisher_confirms=True, on_return_raises=True),
            app_id="dots-gateway",
            apply_types=False,
            logger=None,
        )
        self.client = RobustConnection(
            make_url(self._connection_kwargs["url"]),
            ssl_context=encryption,
            reconnect_interval=_NEVER_SECONDS,
            fail_fast=True,
        )

    async def _connect(self) -> RobustConnection:
        await self.client.connect(timeout=STEP_SECONDS)
        self.config.connect(self.client)
        return self.client
