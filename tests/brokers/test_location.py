"""Parse EVENT_BROKER_URL as operators write it."""

import pytest

from app.brokers import choice, location
from app.errors import SettingsError

NAMES = [
    ("nats://broker", "nats://broker:4222"),
    ("nats://token@broker", "nats://broker:4222"),
    ("nats+tls://user:p%40ss@a,b:4223", "nats+tls://a:4222,b:4223"),
    ("amqp://user:pass@broker", "amqp://broker:5672"),
    ("amqp://broker/", "amqp://broker:5672"),
    ("amqps://broker/payouts?queue=all", "amqps://broker:5671/payouts"),
    ("kafka://user:pass@a:9092,b,c?sasl=plain", "kafka://a:9092,b:9092,c:9092"),
    ("kafka://broker?idempotence=off", "kafka://broker:9092"),
    ("kafka+tls://broker", "kafka+tls://broker:9093"),
    ("redis://:pass@broker/2?max_length=1000", "redis://broker:6379/2"),
    ("rediss://BROKER", "rediss://broker:6379"),
    ("redis://[::1]:7000", "redis://[::1]:7000"),
]
REFUSED = [
    "",
    "broker:4222",
    "http://secret@broker",
    "nats://secret@",
    "nats://secret@a,,b",
    "nats://secret@broker:port",
    "nats://secret@broker:99999",
    "nats://secret@broker/path",
    "nats://secret@broker?queue=all",
    "nats://secret@[::1",
    "amqp://secret@a,b",
    "amqp://secret@broker?queue",
    "amqp://secret@broker?heartbeat=1",
    "amqp://secret@broker#fragment",
    "kafka://secret@broker/topic",
    "kafka://secret@broker?sasl=gssapi",
    "kafka://secret@broker?idempotence=no",
    "redis://secret@a,b",
    "redis://secret@broker?max_length=0",
    "redis://secret@broker?max_length=many",
]


@pytest.mark.parametrize(("url", "name"), NAMES)
def test_name_has_no_credentials_or_options(url: str, name: str) -> None:
    """The name does not depend on the credentials, so a new password keeps the offset."""
    assert choice.build(url).name == name


@pytest.mark.parametrize("url", REFUSED)
def test_invalid_url_is_refused(url: str) -> None:
    """The error names the setting and does not quote the URL, which may hold a password."""
    with pytest.raises(SettingsError) as caught:
        choice.build(url)

    assert "EVENT_BROKER_URL" in caught.value.detail
    assert "secret" not in caught.value.detail


def test_credentials_are_decoded() -> None:
    """Percent-encoded characters in credentials are decoded."""
    where = location.parse("nats://us%3Aer:p%40s%2Fs@broker")

    assert (where.username, where.password) == ("us:er", "p@s/s")


def test_credentials_are_not_shown() -> None:
    """A location in a message or a log shows no secret."""
    where = location.parse("amqp://somebody:secret@broker")

    assert "secret" not in repr(where)
    assert "somebody" not in repr(where)


def test_endpoints_are_hosts_and_ports() -> None:
    """Subscriptions are not allowed to send to these endpoints, so brackets and default ports matter."""
    where = location.parse("kafka://[::1]:9000,b")

    assert where.endpoints == [("::1", 9000), ("b", 9092)]


def test_scheme_decides_encryption() -> None:
    """A TLS scheme checks the broker's certificate against the host name."""
    encryption = location.parse("amqps://broker").encryption

    assert location.parse("amqp://broker").encryption is None
    assert encryption is not None
    assert encryption.check_hostname
