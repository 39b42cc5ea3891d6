"""Splits DATABASE_URL into libpq's parameters, as libpq does. `database_url` interprets them.

Source: https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNSTRING-URIS, read 2026-11-27.
"""

import re
from urllib.parse import unquote_to_bytes

from app.errors import SettingsError

_SCHEMES = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_NAMES_USER = re.compile(r"(^|&)user=")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[^:]*))?")
_ENCODE = "write the characters @ : / ? # % in its user and password as %40 %3A %2F %3F %23 %25."


def read(database_url: str) -> dict[str, str]:
    """The value of each parameter. Hosts and ports are comma-separated lists.

    A parameter after `?` overrides the same one before it, as in libpq. Raises SettingsError. It never quotes a value,
    because a value may be part of a password.
    """
    scheme, has_scheme, rest = database_url.partition("://")
    if not has_scheme:
        raise SettingsError("DATABASE_URL is not a database URL.")
    if scheme.lower() not in _SCHEMES:
        raise SettingsError("DATABASE_URL must begin with postgresql://.")
    before, _, query = rest.partition("?")
    authority, _, database = before.partition("/")
    user_info, has_user, hosts = authority.rpartition("@")
    is_user_cut = not has_user and "@" in rest and not _NAMES_USER.search(query)
    if is_user_cut or "@" in database:  # A / or ? in the password has cut it in two.
        raise SettingsError(f"DATABASE_URL cannot be read: {_ENCODE}")
    user, _, password = user_info.partition(":")
    written = {"user": user, "password": password, "dbname": database}
    found = {name: _decode(name, value) for name, value in written.items() if value}
    return {**found, **_hosts(hosts), **_query(query)}


def _hosts(hosts: str) -> dict[str, str]:
    """The hosts of the authority. A missing port is an empty item."""
    if not hosts:
        return {}
    pairs = [_host(host) for host in hosts.split(",")]
    found = {}
    if any(host for host, _ in pairs):
        found["host"] = ",".join(host for host, _ in pairs)
    if any(port for _, port in pairs):
        found["port"] = ",".join(port for _, port in pairs)
    return found


def _host(text: str) -> tuple[str, str]:
    parts = _HOST.fullmatch(text)
    if parts is None:
        raise SettingsError(f"DATABASE_URL: host is malformed; put IPv6 addresses in brackets, and {_ENCODE}")
    host = parts["name"] if parts["ipv6"] is None else parts["ipv6"]
    if parts["ipv6"] is not None and ":" not in host:
        raise SettingsError("DATABASE_URL: host has brackets, but no IPv6 address in them.")
    return _decode("host", host), _decode("port", parts["port"] or "")


def _query(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in query.split("&") if query else ():
        name, _, value = item.partition("=")
        name = _decode("a parameter's name", name)
        if not _NAME.fullmatch(name):
            raise SettingsError(f"DATABASE_URL: a parameter after the ? has an invalid name; {_ENCODE}")
        if name in found:
            raise SettingsError(f"DATABASE_URL: {name} occurs twice.")
        if not value:
            raise SettingsError(f"DATABASE_URL: {name} has no value.")
        found[name] = _decode(name, value)
    return found


def _decode(name: str, text: str) -> str:
    """The text without percent-encoding. A plus sign stays a plus sign, as in libpq."""
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeError:
        decoded = "\0"
    if "\0" in decoded or _STRAY_PERCENT.search(text):
        raise SettingsError(f"DATABASE_URL: {name} is not percent-encoded UTF-8; {_ENCODE}")
    if _CONTROL.search(decoded) and name != "password":
        raise SettingsError(f"DATABASE_URL: {name} contains a control character.")
    return decoded
