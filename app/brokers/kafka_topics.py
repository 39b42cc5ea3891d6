"""Kafka: a topic a type of event, made by whoever runs Kafka, or by Kafka where it is told to.

Source: https://kafka.apache.org/documentation/#producerconfigs (read 2026-11-23).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]  # ships no types
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from app.brokers import addressing
from app.brokers.addressing import Letter
from app.brokers.broker import STEP_SECONDS, Session
from app.brokers.location import Location
from app.errors import SettingsError

# The last is the one to use unless the URL says otherwise: with it a password never crosses the network.
_MECHANISMS: Mapping[str, type[SASLPlaintext | SASLScram256 | SASLScram512]] = {
    "plain": SASLPlaintext,
    "scram-sha-256": SASLScram256,
    "scram-sha-512": SASLScram512,
}


def sessions(where: Location) -> Callable[[], Session]:
    """What makes connections to this Kafka; `?sasl=` names how a user proves to be one. Raises SettingsError."""
    if where.options.get("sasl", "plain") not in _MECHANISMS:
        raise SettingsError(f"EVENT_BROKER_URL: sasl must be one of {', '.join(_MECHANISMS)}.")
    return partial(KafkaSession, where)


class KafkaSession:
    """One idempotent producer; an event is confirmed when all replicas in sync have it."""

    def __init__(self, where: Location) -> None:
        """Take where to connect to."""
        self._broker = _Publisher(where)

    async def open(self) -> None:
        """Find the cluster and get a producer's id from it."""
        await self._broker.connect()

    async def send(self, letter: Letter) -> None:
        """Publish, and wait for the offset; the key keeps a subject in one partition of each topic."""
        await self._broker.publish(
            letter.body,
            letter.address,
            key=letter.key.encode(),
            headers={"content-type": addressing.CONTENT_TYPE, "id": letter.id},
            correlation_id=letter.id,
        )

    async def close(self) -> None:
        """Stop the producer, without the flush it would begin with: being idempotent, it would try for ever."""
        producer = self._broker.client
        if producer is not None:
            # There is no public way to take back what waits for an acknowledgement.
            producer._message_accumulator.fail_all(ConnectionError("closed"))  # noqa: SLF001
            await producer.client.close()
            await producer.stop()


class _Publisher(KafkaBroker):
    """FastStream's broker, except that its producer is at hand, to be stopped, before it is started.

    Nor does it connect as an administrator, which FastStream does for every broker.
    """

    def __init__(self, where: Location) -> None:
        self.client: AIOKafkaProducer | None = None
        super().__init__(
            list(where.hosts),
            security=_security(where),
            client_id="dots-gateway",
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=int(STEP_SECONDS * 1000),
            apply_types=False,
            logger=None,
        )

    async def _connect(self) -> Any:
        self.client = AIOKafkaProducer(**self._connection_kwargs)
        producer: Any = self.config.producer
        await producer.connect(self.client, serializer=None)
        return self.client


def _security(where: Location) -> BaseSecurity:
    if where.username is None:
        return BaseSecurity(ssl_context=where.encryption)
    mechanism = _MECHANISMS[where.options.get("sasl", "scram-sha-512")]
    return mechanism(where.username, where.password or "", ssl_context=where.encryption)
