"""Parses DATABASE_URL. Every parameter is translated or refused.

Ignores libpq's environment variables (PGHOST and so on) and files in HOME.
"""

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.errors import SettingsError
from app.storage import libpq_hosts, libpq_options, libpq_parameters, libpq_tls, libpq_url
from app.storage.libpq_tls import Encryption

SessionAttributes = Literal["any", "read-write", "primary"]

_APPLICATION_NAME = "dots-gateway"
_ATTRIBUTES: dict[str, SessionAttributes] = {"any": "any", "read-write": "read-write", "primary": "primary"}
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LONGEST_TIMEOUT_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class DatabaseAddress:
    """The hosts of Postgres and how to connect to them.

    `hosts` are tried in order; a host that begins with `/` is the directory of a socket. `ssl` is an argument of
    `asyncpg.connect`. `ssl_fallback` is tried on the same host if the server refuses `ssl` (sslmode prefer and allow);
    None means no second attempt. `connect_timeout` is in seconds, None if not set. `session_settings` are SET when a
    connection opens.
    """

    hosts: tuple[tuple[str, int], ...]
    user: str
    password: str | None = field(repr=False)
    database: str
    ssl: Encryption
    ssl_fallback: Encryption | None
    is_tls_direct: bool
    connect_timeout: float | None
    application_name: str
    session_settings: Mapping[str, str]
    session_attributes: SessionAttributes
    is_pooled: bool

    @property
    def endpoints(self) -> list[tuple[str, int]]:
        """The hosts and ports that are reached over TCP, without sockets."""
        return [(host, port) for host, port in self.hosts if not host.startswith("/")]

    def connect_arguments(self) -> dict[str, Any]:
        """The arguments of `asyncpg.connect` for one host, except `host`, `port` and `timeout`.

        asyncpg fills each argument that is None from environment variables or from files in HOME. Without a
        password it would read `~/.pgpass`, and for the name of an sslmode `~/.postgresql`. So none is left out.
        With several hosts or an `ssl_fallback`, connect with `database_connection.connect`.
        """
        return {
            "user": self.user,
            "password": self.password or "",
            "database": self.database,
            "ssl": self.ssl,
            "direct_tls": self.is_tls_direct,
            "target_session_attrs": self.session_attributes,
            "krbsrvname": "postgres",
            "gsslib": "gssapi",
        }


def parse(database_url: str) -> DatabaseAddress:
    """Read the URL. Raises SettingsError with one line that names the parameter and contains no secret."""
    parameters = libpq_url.read(database_url)
    libpq_parameters.check(parameters)
    hosts = libpq_hosts.read(parameters)
    tls = libpq_tls.read(parameters)
    user = parameters.get("user") or user_named(user_id=os.geteuid())
    return DatabaseAddress(
        hosts=hosts,
        user=user,
        password=parameters.get("password"),
        database=parameters.get("dbname", user),
        ssl=tls.first,
        ssl_fallback=tls.fallback,
        is_tls_direct=tls.is_direct,
        connect_timeout=_connect_timeout(parameters),
        application_name=parameters.get(
            "application_name", parameters.get("fallback_application_name", _APPLICATION_NAME)
        ),
        session_settings=libpq_options.read(parameters.get("options", "")),
        session_attributes=_session_attributes(parameters, has_several=len(hosts) > 1),
        is_pooled=_is_pooled(parameters),
    )


def user_named(*, user_id: int) -> str:
    """The name of this system user, which libpq uses if the URL names no user. Raises SettingsError."""
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:  # In a container the user id often has no entry in /etc/passwd.
        raise SettingsError("DATABASE_URL names no user, and this process's user id has no name.") from None


def _connect_timeout(parameters: Mapping[str, str]) -> float | None:
    text = parameters.get("connect_timeout", "0")
    if not (text.isascii() and text.isdigit()) or len(text) > 4 or int(text) > _LONGEST_TIMEOUT_SECONDS:  # noqa: PLR2004
        raise SettingsError(
            f"DATABASE_URL: connect_timeout must be a whole number of seconds, at most {_LONGEST_TIMEOUT_SECONDS}."
        )
    return float(text) or None


def _session_attributes(parameters: Mapping[str, str], *, has_several: bool) -> SessionAttributes:
    """Which kind of server to accept. With several hosts, the default is a writable one."""
    wanted = parameters.get("target_session_attrs", "read-write" if has_several else "any")
    if wanted not in _ATTRIBUTES:
        raise SettingsError(
            "DATABASE_URL: target_session_attrs must be any, read-write or primary, because the service writes."
        )
    return _ATTRIBUTES[wanted]


def _is_pooled(parameters: Mapping[str, str]) -> bool:
    text = parameters.get("pgbouncer", "false").lower()
    if text not in _TRUTH:
        raise SettingsError("DATABASE_URL: pgbouncer must be true or false.")
    return _TRUTH[text]
