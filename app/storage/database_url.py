"""DATABASE_URL as the service understands it: every parameter is translated or refused, and nothing else is read.

Neither libpq's environment variables (PGHOST and so on) nor files in HOME have any say.
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
    """Where Postgres is and how to connect to it.

    `hosts` are tried in their order; one that begins with `/` is a socket's directory. `ssl` is what
    `asyncpg.connect` takes; `ssl_fallback` is what to try on the same host if the server will not have `ssl`
    (sslmode prefer and allow), None for nothing. `connect_timeout` is in seconds, None if not set.
    `session_settings` are to be SET when a connection opens.
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
        """The hosts and ports that are reached over TCP: all but sockets."""
        return [(host, port) for host, port in self.hosts if not host.startswith("/")]

    def connect_arguments(self) -> dict[str, Any]:
        """What `asyncpg.connect` takes for one host, besides `host`, `port` and `timeout`.

        asyncpg fills each argument that is None from environment variables or from files in HOME. A missing
        password would make it read `~/.pgpass`, and the name of an sslmode `~/.postgresql`. So all are given.
        With several hosts, or an `ssl_fallback`, connect by `database_connection.connect`.
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
    """Read the URL. Raises SettingsError: one line that names the parameter, and quotes nothing that may be secret."""
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
    """The name of a user of this system, which libpq takes if a URL names none. Raises SettingsError."""
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
    """Which servers will do; of several hosts, the service needs the one that it can write to."""
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
