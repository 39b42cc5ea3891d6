"""RabbitMQ: two durable topic exchanges, one for events and one for events that need compliance:read.

Sources: https://www.rabbitmq.com/docs/confirms, https://www.rabbitmq.com/docs/publishers#unroutable (read 2026-11-23).
"""

import asyncio
from collections.abc import Callable
from functools import partial

import aio_pika
from aio_pika import Connection, DeliveryMode, ExchangeType
from aio_pika.abc import AbstractExchange
from aio_pika.connection import make_url

from app.brokers import addressing
from app.brokers.addressing import Message
from app.brokers.broker import STEP_SECONDS, Session
from app.brokers.location import Location

EVENTS = "dots.events"
COMPLIANCE = "dots.compliance"


def sessions(where: Location) -> Callable[[], Session]:
    """A factory of connections to this RabbitMQ. `?queue=` names the queues that get every event."""
    return partial(RabbitSession, where)


class RabbitSession:
    """One connection. An event is confirmed once every queue for it has stored it. It needs at least one queue."""

    def __init__(self, where: Location) -> None:
        """Prepare the connection without connecting."""
        self._connection = Connection(make_url(where.url), ssl_context=where.encryption)
        self._queue = where.options.get("queue")
        self._exchanges: dict[str, AbstractExchange] = {}

    async def open(self) -> None:
        """Connect, and declare the exchanges and the queues that the URL names."""
        await self._connection.connect(timeout=STEP_SECONDS)
        channel = self._connection.channel(on_return_raises=True)
        await channel.initialize(timeout=STEP_SECONDS)
        for name, prefix in ((EVENTS, ""), (COMPLIANCE, addressing.COMPLIANCE)):
            exchange = await channel.declare_exchange(name, ExchangeType.TOPIC, durable=True)
            if self._queue:
                # There are two queues, because a consumer can read every message in a queue.
                queue = await channel.declare_queue(
                    f"{prefix}{self._queue}", durable=True, arguments={"x-queue-type": "quorum"}
                )
                await queue.bind(exchange, routing_key="#")
            self._exchanges[name] = exchange

    async def send(self, message: Message) -> None:
        """Publish, and wait for the confirmation. Raises if no queue takes the event."""
        published = aio_pika.Message(
            message.body,
            app_id="dots-gateway",
            content_type=addressing.CONTENT_TYPE,
            delivery_mode=DeliveryMode.PERSISTENT,
            headers={"subject": message.key},
            message_id=message.id,
            type=message.address,
        )
        exchange = self._exchanges[COMPLIANCE if message.is_compliance else EVENTS]
        # The client's own time-out covers only the write, not the confirmation.
        async with asyncio.timeout(STEP_SECONDS):
            await exchange.publish(published, message.address, mandatory=True)

    async def close(self) -> None:
        """Close. Calls that wait for a confirmation get an error instead of the default cancellation."""
        await self._connection.close(ConnectionError("closed"))
