"""Which broker a URL stands for."""

from collections.abc import Callable, Mapping

from app.outbound.brokers import kafka_topics, location, nats_stream, rabbit_exchange, redis_streams
from app.outbound.brokers.broker import Broker, Session, SessionBroker
from app.outbound.brokers.location import Kind, Location

_SESSIONS: Mapping[Kind, Callable[[Location], Callable[[], Session]]] = {
    location.NATS: nats_stream.sessions,
    location.RABBIT: rabbit_exchange.sessions,
    location.KAFKA: kafka_topics.sessions,
    location.REDIS: redis_streams.sessions,
}


def build(url: str) -> Broker:
    """The broker at EVENT_BROKER_URL; nothing is connected yet. Raises SettingsError, which never quotes the URL."""
    where = location.parse(url)
    return SessionBroker(where.name, _SESSIONS[where.kind](where))
