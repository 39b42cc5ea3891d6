"""Real brokers: the server, its EVENT_BROKER_URL, and the messages that a consumer reads."""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import aio_pika
import nats
from aio_pika.abc import AbstractChannel
from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # ships no types
from nats.js import JetStreamContext
from redis.asyncio import Redis

from tests.brokers.real.servers import Server

QUEUES = ("events", "compliance.events")


@dataclass(frozen=True, kw_only=True)
class Received:
    """A message. `place` is its stream, queue or topic."""

    place: str
    address: str
    id: str
    content_type: str
    body: bytes

    @property
    def envelope(self) -> dict[str, Any]:
        """The CloudEvent."""
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(kw_only=True)
class RealBroker(ABC):
    """A broker's server, and the messages that a consumer reads."""

    server: Server

    @abstractmethod
    def url(self, port: int | None = None) -> str:
        """EVENT_BROKER_URL for the server itself, or for a proxy on this port."""

    @abstractmethod
    async def received(self) -> list[Received]:
        """All messages so far, in the order of each place."""

    def settle(self) -> None:  # noqa: B027  # only RabbitMQ has something to do
        """Make the server store its list of streams and queues, so it survives a kill."""


@dataclass(kw_only=True)
class RealNats(RealBroker):
    """NATS JetStream."""

    def url(self, port: int | None = None) -> str:
        """EVENT_BROKER_URL."""
        return f"nats://127.0.0.1:{port or self.server.port}"

    @asynccontextmanager
    async def context(self) -> AsyncIterator[JetStreamContext]:
        """A client of JetStream."""
        client = await nats.connect(self.url(), allow_reconnect=False)
        try:
            yield client.jetstream()
        finally:
            await client.close()

    async def received(self) -> list[Received]:
        """The messages of all streams."""
        async with self.context() as context:
            found = []
            for stream in await context.streams_info():
                name = stream.config.name or ""
                for number in range(1, stream.state.last_seq + 1):
                    message = await context.get_msg(name, number)
                    headers = message.headers or {}
                    found.append(
                        Received(
                            place=name,
                            address=message.subject or "",
                            id=headers["Nats-Msg-Id"],
                            content_type=headers["content-type"],
                            body=message.data or b"",
                        )
                    )
            return found


@dataclass(kw_only=True)
class RealRedis(RealBroker):
    """Redis streams."""

    def url(self, port: int | None = None) -> str:
        """EVENT_BROKER_URL."""
        return f"redis://127.0.0.1:{port or self.server.port}"

    async def received(self) -> list[Received]:
        """The messages of all streams, ordered by entry id, which is a time."""
        async with Redis(port=self.server.port, decode_responses=True) as client:
            streams = cast("list[str]", await client.keys("*"))
            entries: list[tuple[str, str, dict[str, str]]] = [
                (number, stream, fields)
                for stream in streams
                for number, fields in cast("list[tuple[str, dict[str, str]]]", await client.xrange(stream))
            ]
        return [
            Received(
                place=stream,
                address=stream,
                id=fields["id"],
                content_type=fields["content-type"],
                body=fields["data"].encode(),
            )
            for _, stream, fields in sorted(entries, key=lambda entry: [int(part) for part in entry[0].split("-")])
        ]


@dataclass(kw_only=True)
class RealKafka(RealBroker):
    """Kafka without idempotent producers."""

    def url(self, port: int | None = None) -> str:
        """EVENT_BROKER_URL."""
        return f"kafka://127.0.0.1:{port or self.server.port}?idempotence=off"

    async def records(self) -> list[Any]:
        """Every record, in the order of its partition."""
        consumer = AIOKafkaConsumer(bootstrap_servers=f"127.0.0.1:{self.server.port}", enable_auto_commit=False)
        await consumer.start()
        try:
            partitions = [
                TopicPartition(topic, number)
                for topic in await consumer.topics()
                for number in consumer.partitions_for_topic(topic)
            ]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions) if partitions else {}
            found = []
            for partition, end in ends.items():
                consumer.seek(partition, 0)
                while await consumer.position(partition) < end:
                    for records in (await consumer.getmany(partition, timeout_ms=1000)).values():
                        found += records
            return found
        finally:
            await consumer.stop()

    async def received(self) -> list[Received]:
        """The messages of all topics."""
        found = []
        for record in await self.records():
            headers = dict(record.headers)
            found.append(
                Received(
                    place=record.topic,
                    address=record.topic,
                    id=headers["id"].decode(),
                    content_type=headers["content-type"].decode(),
                    body=record.value,
                )
            )
        return found


@dataclass(kw_only=True)
class RealRabbit(RealBroker):
    """RabbitMQ with the queues that `?queue=` declares."""

    _taken: list[Received] = field(default_factory=list)

    def url(self, port: int | None = None) -> str:
        """EVENT_BROKER_URL."""
        return f"amqp://guest:guest@127.0.0.1:{port or self.server.port}?queue={QUEUES[0]}"

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """A client of RabbitMQ."""
        connection = await aio_pika.connect(f"amqp://guest:guest@127.0.0.1:{self.server.port}")
        async with connection, connection.channel() as channel:
            yield channel

    async def received(self) -> list[Received]:
        """All messages taken from the queues so far."""
        async with self.channel() as channel:
            for name in QUEUES:
                queue = await channel.get_queue(name)
                while message := await queue.get(fail=False, no_ack=True):
                    self._taken.append(
                        Received(
                            place=name,
                            address=message.routing_key or "",
                            id=message.message_id or "",
                            content_type=message.content_type or "",
                            body=message.body,
                        )
                    )
        return self._taken

    def settle(self) -> None:
        """Restart: RabbitMQ 3.10 writes the list of quorum queues to disk only then, or after minutes."""
        self.server.restart()

    async def clear(self) -> None:
        """Delete the queues and exchanges, because a server for each test would take too long."""
        async with self.channel() as channel:
            for name in QUEUES:
                await channel.queue_delete(name)
            for name in ("dots.events", "dots.compliance"):
                await channel.exchange_delete(name)
