"""Decides which libpq parameters the service translates, which values it can ignore, and why it refuses the others.

Source: https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS, read 2026-11-27.
"""

from collections.abc import Mapping

from app.errors import SettingsError

TRANSLATED = frozenset(
    {
        "application_name",
        "connect_timeout",
        "dbname",
        "fallback_application_name",
        "host",
        "hostaddr",
        "options",
        "password",
        "pgbouncer",
        "port",
        "ssl",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcertmode",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslpassword",
        "sslrootcert",
        "target_session_attrs",
        "user",
    }
)

# Values that already describe what the service does, so they need no translation.
_HARMLESS = {
    "channel_binding": frozenset({"prefer", "disable"}),
    "client_encoding": frozenset({"utf8", "utf-8", "unicode", "auto"}),
    "gssdelegation": frozenset({"0"}),
    "gssencmode": frozenset({"disable", "prefer"}),
    "keepalives": frozenset({"1"}),
    "load_balance_hosts": frozenset({"disable"}),
    "max_protocol_version": frozenset({"3.0", "3.2", "latest"}),
    "min_protocol_version": frozenset({"3.0"}),
    "replication": frozenset({"false", "off", "no", "0"}),
    "sslcompression": frozenset({"0"}),
    "sslsni": frozenset({"1"}),
}

_NO_KERBEROS = "Kerberos is not supported"
_NO_OAUTH = "OAuth is not supported"
_OWN_KEEPALIVE = "remove it: the service decides when a silent connection is dead"
_OWN_STATEMENTS = "remove it: DATABASE_POOLER decides about prepared statements"
_OWN_POOL = "remove it: set DATABASE_POOL_SIZE"
REFUSED = {
    "channel_binding": (
        "the driver cannot bind channels; remove it and set sslmode=verify-full and sslrootcert=system, "
        "which keep out the same attacker"
    ),
    "client_encoding": "it is always UTF8",
    "command_timeout": "remove it: the service sets its own timeouts",
    "connection_limit": _OWN_POOL,
    "gssdelegation": _NO_KERBEROS,
    "gssencmode": _NO_KERBEROS,
    "gsslib": _NO_KERBEROS,
    "keepalives": _OWN_KEEPALIVE,
    "keepalives_count": _OWN_KEEPALIVE,
    "keepalives_idle": _OWN_KEEPALIVE,
    "keepalives_interval": _OWN_KEEPALIVE,
    "krbsrvname": _NO_KERBEROS,
    "load_balance_hosts": "hosts are tried in the given order",
    "max_protocol_version": "the driver speaks version 3.0",
    "min_protocol_version": "the driver speaks version 3.0",
    "oauth_client_id": _NO_OAUTH,
    "oauth_client_secret": _NO_OAUTH,
    "oauth_issuer": _NO_OAUTH,
    "oauth_scope": _NO_OAUTH,
    "passfile": "password files are not read; put the password into DATABASE_URL and mount that as DATABASE_URL_FILE",
    "pool_timeout": "remove it: the service sets its own timeouts",
    "prepared_statement_cache_size": _OWN_STATEMENTS,
    "prepared_statement_name_func": _OWN_STATEMENTS,
    "replication": "the service needs an ordinary connection",
    "require_auth": "the driver cannot restrict how the server authenticates us",
    "requirepeer": "the driver cannot check who owns the server's socket",
    "schema": "remove it and set DATABASE_SCHEMA",
    "scram_client_key": "give the password instead",
    "scram_server_key": "give the password instead",
    "search_path": "remove it and set DATABASE_SCHEMA",
    "service": "service files are not read; write its parameters into DATABASE_URL",
    "servicefile": "service files are not read; write its parameters into DATABASE_URL",
    "sslcompression": "compression inside TLS is unsafe",
    "sslcrldir": "give one file as sslcrl",
    "sslkeylogfile": "session keys are never written to a file",
    "sslsni": "the server's name is always sent",
    "statement_cache_size": _OWN_STATEMENTS,
    "tcp_user_timeout": _OWN_KEEPALIVE,
    "timeout": "use connect_timeout",
}


def check(parameters: Mapping[str, str]) -> None:
    """Raise SettingsError for the first parameter that the service cannot translate or safely ignore."""
    for name, value in parameters.items():
        if name in TRANSLATED or value.lower() in _HARMLESS.get(name, ()):
            continue
        reason = REFUSED.get(name, "the parameter is unknown")
        raise SettingsError(f"DATABASE_URL: this value of {name} cannot be used; {reason}.")
