"""RabbitMQ: durable topic exchanges, one for events and one for those that need compliance:read.

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
    """A factory of connections to this RabbitMQ; `?queue=` names a queue that gets every event."""
    return partial(RabbitSession, where)


class RabbitSession:
    """One connection; an event is confirmed when every queue it was routed to has it, and there must be one."""

    def __init__(self, where: Location) -> None:
        """Prepare the connection; nothing is connected yet."""
        self._connection = Connection(make_url(where.url), ssl_context=where.encryption)
        self._queue = where.options.get("queue")
        self._exchanges: dict[str, AbstractExchange] = {}

    async def open(self) -> None:
        """Connect and declare the exchanges, and the queues if the URL asks for them."""
        await self._connection.connect(timeout=STEP_SECONDS)
        channel = self._connection.channel(on_return_raises=True)
        await channel.initialize(timeout=STEP_SECONDS)
        for name, prefix in ((EVENTS, ""), (COMPLIANCE, addressing.COMPLIANCE)):
            exchange = await channel.declare_exchange(name, ExchangeType.TOPIC, durable=True)
            if self._queue:
                # Two queues, because a consumer that may read a queue may read everything in it.
                queue = await channel.declare_queue(
                    f"{prefix}{self._queue}", durable=True, arguments={"x-queue-type": "quorum"}
                )
                await queue.bind(exchange, routing_key="#")
            self._exchanges[name] = exchange

    async def send(self, message: Message) -> None:
        """Publish, and wait for the confirmation; an event that no queue takes comes back, and that raises."""
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
        # The client's own time-out ends when the event is written, and does not cover the confirmation.
        async with asyncio.timeout(STEP_SECONDS):
            await exchange.publish(published, message.address, mandatory=True)

    async def close(self) -> None:
        """Close. What waits for a confirmation gets an error, and not, as by default, a cancellation."""
        await self._connection.close(ConnectionError("closed"))
