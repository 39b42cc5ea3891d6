"""Reads the hosts that a connection tries, from libpq's parameters `host`, `hostaddr` and `port`.

Source: https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS, read 2026-11-27.
"""

import ipaddress
import re
from collections.abc import Mapping

from app.errors import SettingsError

_DEFAULT_PORT = 5432
_PORT = re.compile(r"[0-9]{1,5}")
_HIGHEST_PORT = 65535
_WITH_PORT = re.compile(r"(?P<name>[^:/\[\]]+):(?P<port>[0-9]+)")
_BRACKETED = re.compile(r"\[(?P<name>[^\[\]]+)\](?::(?P<port>[0-9]+))?")


def read(parameters: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    """The hosts to dial and their ports, in order: names, addresses or socket directories. Raises SettingsError.

    A `hostaddr` is dialled instead of its `host`, without a name look-up.
    """
    named = [_split(host) for host in parameters["host"].split(",")] if "host" in parameters else []
    dialled = [(address, "") for address in _addresses(parameters)] or named
    if not dialled:
        raise SettingsError(
            "DATABASE_URL names no host; to use a socket, give its directory, for example ?host=/run/postgresql."
        )
    if named and len(named) != len(dialled):
        raise SettingsError(f"DATABASE_URL: hostaddr has {len(dialled)} entries, but host has {len(named)}.")
    ports = _ports(parameters, count=len(dialled))
    return tuple((_checked(host), _port(own or port)) for (host, own), port in zip(dialled, ports, strict=True))


def _addresses(parameters: Mapping[str, str]) -> list[str]:
    if "hostaddr" not in parameters:
        return []
    found = parameters["hostaddr"].split(",")
    for address in found:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise SettingsError("DATABASE_URL: hostaddr contains an invalid IP address.") from None
    return found


def _split(host: str) -> tuple[str, str]:
    """The host and its port in `?host=name:port`, a form that asyncpg and SQLAlchemy accept."""
    parts = _WITH_PORT.fullmatch(host) or _BRACKETED.fullmatch(host)
    return (parts["name"], parts["port"] or "") if parts else (host, "")


def _ports(parameters: Mapping[str, str], *, count: int) -> list[str]:
    ports = parameters.get("port", "").split(",")
    if len(ports) == 1:
        return ports * count
    if len(ports) != count:
        raise SettingsError(f"DATABASE_URL: port has {len(ports)} entries for {count} hosts.")
    return ports


def _checked(host: str) -> str:
    if not host:
        raise SettingsError("DATABASE_URL: host contains an empty entry.")
    if host.startswith("@"):
        raise SettingsError("DATABASE_URL: host may not be an abstract socket.")
    if not host.startswith("/") and re.search(r"[\s/\\@\[\]]", host):
        raise SettingsError("DATABASE_URL: host contains an invalid host name.")
    if not host.startswith("/") and ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise SettingsError("DATABASE_URL: host contains an invalid host name.") from None
    return host


def _port(text: str) -> int:
    """The port. The error does not quote the text, because an unencoded slash can move part of a password here."""
    if not text:
        return _DEFAULT_PORT
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= _HIGHEST_PORT:
        raise SettingsError(f"DATABASE_URL: port must be a number from 1 to {_HIGHEST_PORT}.")
    return int(text)
