"""Parse EVENT_BROKER_URL into addresses, credentials and options."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from app.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of broker: its URL schemes and default ports, with and without TLS, and its options."""

    name: str
    plain: tuple[str, int]
    encrypted: tuple[str, int]
    options: frozenset[str] = frozenset()
    has_several_hosts: bool = False
    has_path: bool = False


NATS = Kind(name="nats", plain=("nats", 4222), encrypted=("nats+tls", 4222), has_several_hosts=True)
RABBIT = Kind(
    name="rabbit", plain=("amqp", 5672), encrypted=("amqps", 5671), options=frozenset({"queue"}), has_path=True
)
KAFKA = Kind(
    name="kafka",
    plain=("kafka", 9092),
    encrypted=("kafka+tls", 9093),
    options=frozenset({"sasl", "idempotence"}),
    has_several_hosts=True,
)
REDIS = Kind(
    name="redis", plain=("redis", 6379), encrypted=("rediss", 6379), options=frozenset({"max_length"}), has_path=True
)
_SCHEMES = {scheme: kind for kind in (NATS, RABBIT, KAFKA, REDIS) for scheme, _ in (kind.plain, kind.encrypted)}


@dataclass(frozen=True, kw_only=True)
class Location:
    """The parsed URL. `hosts` are `host:port`. `path` is the virtual host or database, as written."""

    kind: Kind
    scheme: str
    hosts: tuple[str, ...]
    path: str
    options: Mapping[str, str]
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)

    @property
    def name(self) -> str:
        """The URL without credentials and options. It identifies the broker."""
        return f"{self.scheme}://{','.join(self.hosts)}{self.path}"

    @property
    def url(self) -> str:
        """The URL with credentials and without options, for clients that need one. It is a secret."""
        credentials = ""
        if self.username is not None or self.password is not None:
            credentials = f"{quote(self.username or '', safe='')}:{quote(self.password or '', safe='')}@"
        return f"{self.scheme}://{credentials}{self.hosts[0]}{self.path}"

    @property
    def endpoints(self) -> list[tuple[str, int]]:
        """The host, without the brackets of an IPv6 address, and the port of each server."""
        found = [address.rpartition(":") for address in self.hosts]
        return [(host.strip("[]"), int(port)) for host, _, port in found]

    @property
    def encryption(self) -> ssl.SSLContext | None:
        """The TLS context, which trusts the system's authorities or SSL_CERT_FILE. None without TLS."""
        return ssl.create_default_context() if self.scheme == self.kind.encrypted[0] else None


def parse(url: str) -> Location:
    """Parse the URL. Raises SettingsError, which never quotes the URL."""
    try:
        parts = urlsplit(url)
        kind = _SCHEMES.get(parts.scheme)
        if kind is None:
            raise SettingsError(
                f"EVENT_BROKER_URL must begin with one of {', '.join(f'{name}://' for name in _SCHEMES)}."
            )
        userinfo, _, addresses = parts.netloc.rpartition("@")
        default_port = dict((kind.plain, kind.encrypted))[parts.scheme]
        hosts = tuple(_host(address, default_port) for address in addresses.split(","))
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise SettingsError("EVENT_BROKER_URL is not a valid URL.") from None
    if len(hosts) > 1 and not kind.has_several_hosts:
        raise SettingsError(f"EVENT_BROKER_URL: {parts.scheme}:// takes only one host.")
    if parts.fragment or (parts.path.strip("/") and not kind.has_path):
        raise SettingsError(f"EVENT_BROKER_URL: {parts.scheme}:// takes no such path or fragment.")
    if unknown := sorted(options.keys() - kind.options):
        raise SettingsError(f"EVENT_BROKER_URL: {parts.scheme}:// does not have the options {', '.join(unknown)}.")
    username, has_password, password = userinfo.partition(":")
    return Location(
        kind=kind,
        scheme=parts.scheme,
        hosts=hosts,
        path=parts.path if parts.path.strip("/") else "",
        options=options,
        username=unquote(username) or None,
        password=unquote(password) if has_password else None,
    )


def _host(address: str, default_port: int) -> str:
    """`host:port`. Raises ValueError."""
    parts = urlsplit(f"//{address}")
    if not parts.hostname or parts.path or parts.query:
        raise ValueError(address)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or default_port}"
