"""Parse URLs strictly. A URL that two parsers could interpret differently is refused.

Errors quote no part of a URL, because its path and query may hold a secret.
Source: https://url.spec.whatwg.org/#host-parsing for numbers that become addresses, read 2026-11-23.
"""

import re
from dataclasses import dataclass, field

from app.errors import DestinationRefusedError
from app.subscriptions.push import addresses

LONGEST_URL = 2048

_PORTS = {"http": 80, "https": 443}
_PRINTABLE = re.compile(r"[!-\[\]-~]*")  # ASCII without space, control characters and the backslash
_URL = re.compile(r"(?P<scheme>[^:/?]*)://(?P<authority>[^/?]*)(?P<target>.*)")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?P<port>:.*)?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_HIGHEST_PORT = 65535

_LONGEST_NAME = 253
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A host and port. `host` is a lower-case name, or an address without brackets."""

    host: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Destination:
    """The parts of a URL. `target` is the path and query, which may hold a secret."""

    scheme: str
    endpoint: Endpoint
    target: str = field(repr=False)

    @property
    def authority(self) -> str:
        """The value of the `Host` header: the host, and the port unless the scheme implies it."""
        host = f"[{self.endpoint.host}]" if ":" in self.endpoint.host else self.endpoint.host
        return host if self.endpoint.port == _PORTS[self.scheme] else f"{host}:{self.endpoint.port}"


def read(url: str) -> Destination:
    """Parse a URL. Raises DestinationRefusedError with the reason."""
    _check_characters(url)
    parts = _URL.fullmatch(url)
    scheme = parts["scheme"].lower() if parts else ""
    if parts is None or scheme not in _PORTS:
        raise DestinationRefusedError("The URL must start with http:// or https://.")
    if "@" in parts["authority"]:
        raise DestinationRefusedError("The URL must not hold a user name or password.")
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None:
        raise DestinationRefusedError("The URL's host is malformed.")
    port = _PORTS[scheme] if authority["port"] is None else _read_port(authority["port"].removeprefix(":"))
    target = parts["target"]
    return Destination(
        scheme=scheme,
        endpoint=Endpoint(host=read_host(authority["host"]), port=port),
        target=target if target.startswith("/") else f"/{target}",
    )


def read_host(text: str) -> str:
    """Return the host in its canonical form: a lower-case name, or an address without brackets. IPv6 needs brackets.

    Raises DestinationRefusedError.
    """
    host = text.lower()
    if host.startswith("["):
        return _read_ipv6(host)
    if not host:
        raise DestinationRefusedError("The URL lacks a host.")
    if host.endswith("."):
        raise DestinationRefusedError("The host must not end with a dot.")
    if not host.isascii() or "%" in host:
        raise DestinationRefusedError("The host must be plain ASCII; write an international name as xn--….")
    if _ENDS_IN_NUMBER.fullmatch(host):
        if addresses.read(host) is None:
            raise DestinationRefusedError("An address must be written as four decimal numbers, like 10.0.0.1.")
        return host
    if len(host) > _LONGEST_NAME or not _NAME.fullmatch(host):
        raise DestinationRefusedError("The host is neither a name nor an address.")
    return host


def _check_characters(url: str) -> None:
    if len(url) > LONGEST_URL:
        raise DestinationRefusedError(f"The URL must not be longer than {LONGEST_URL} characters.")
    if not _PRINTABLE.fullmatch(url):
        raise DestinationRefusedError("The URL must be plain ASCII without spaces, control characters and backslashes.")
    if "#" in url:
        raise DestinationRefusedError("The URL must not hold a fragment (#).")


def _read_port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > _HIGHEST_PORT:
        raise DestinationRefusedError("The URL's port must be a number from 1 to 65535.")
    return int(text)


def _read_ipv6(bracketed: str) -> str:
    """The canonical form of an address in brackets. An IPv4-mapped address becomes IPv4."""
    text = bracketed[1:-1]
    address = addresses.read(text) if ":" in text and "%" not in text and bracketed.endswith("]") else None
    if address is None:
        raise DestinationRefusedError("In brackets there must be an IPv6 address, like [fd00::1], without a zone.")
    return str(address)
