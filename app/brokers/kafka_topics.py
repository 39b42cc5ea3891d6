"""Kafka: one topic per event type. The operator or Kafka's automatic creation creates the topics.

Source: https://kafka.apache.org/documentation/#producerconfigs (read 2026-11-23).
"""

from collections.abc import Callable
from functools import partial

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]  # ships no types
from aiokafka.errors import KafkaConnectionError, KafkaError  # type: ignore[import-untyped]  # ships no types

from app.brokers import addressing
from app.brokers.addressing import Message
from app.brokers.broker import STEP_SECONDS, Session
from app.brokers.location import Location
from app.errors import BrokerUnavailableError, SettingsError

# The last is the default: it never sends the password over the network.
_MECHANISMS = ("plain", "scram-sha-256", "scram-sha-512")
_SWITCH = ("on", "off")
_IDEMPOTENCE_REFUSED = "The broker refuses idempotent producers; add ?idempotence=off to EVENT_BROKER_URL."


def sessions(where: Location) -> Callable[[], Session]:
    """A factory of connections to this Kafka. Raises SettingsError.

    `?sasl=` is the authentication mechanism. `?idempotence=off` is for brokers without idempotent producers.
    """
    for option, values in (("sasl", _MECHANISMS), ("idempotence", _SWITCH)):
        if where.options.get(option, values[0]) not in values:
            raise SettingsError(f"EVENT_BROKER_URL: {option} must be one of {', '.join(values)}.")
    return partial(KafkaSession, where)


class KafkaSession:
    """One producer. It has at most one batch in flight at each broker, so a retry cannot change the order."""

    def __init__(self, where: Location) -> None:
        """Prepare the producer without connecting."""
        encryption = where.encryption
        protocol = "PLAINTEXT" if encryption is None else "SSL"
        self._is_idempotent = where.options.get("idempotence") != "off"
        self._producer = AIOKafkaProducer(
            bootstrap_servers=list(where.hosts),
            client_id="dots-gateway",
            acks="all",
            enable_idempotence=self._is_idempotent,
            request_timeout_ms=int(STEP_SECONDS * 1000),
            security_protocol=protocol if where.username is None else f"SASL_{protocol}",
            ssl_context=encryption,
            sasl_mechanism=where.options.get("sasl", _MECHANISMS[-1]).upper(),
            sasl_plain_username=where.username,
            sasl_plain_password=where.password or "",
        )

    async def open(self) -> None:
        """Connect to the cluster. An idempotent producer also requests a producer id."""
        try:
            await self._producer.start()
        except KafkaError as error:
            # Once connected, the client requests only the producer id. Brokers refuse it with different errors.
            if isinstance(error, KafkaConnectionError) or error.retriable or not self._is_idempotent:
                raise
            raise BrokerUnavailableError(f"{_IDEMPOTENCE_REFUSED} ({type(error).__name__})") from error

    async def send(self, message: Message) -> None:
        """Publish, and wait for all in-sync replicas. The key keeps a subject in one partition."""
        headers = [("content-type", addressing.CONTENT_TYPE.encode()), ("id", message.id.encode())]
        await self._producer.send_and_wait(message.address, message.body, key=message.key.encode(), headers=headers)

    async def close(self) -> None:
        """Stop the producer without flushing, because an idempotent producer would retry forever."""
        # The client has no public way to drop the messages that wait for an acknowledgement.
        self._producer._message_accumulator.fail_all(ConnectionError("closed"))  # noqa: SLF001
        await self._producer.client.close()
        await self._producer.stop()
