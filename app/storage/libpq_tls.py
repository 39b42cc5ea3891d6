"""Builds the TLS settings of a connection to Postgres from libpq's parameters, without reading files in HOME.

`sslmode` means the same here as in libpq:

| sslmode     | encrypted                      | certificate                  | name     |
|-------------|--------------------------------|------------------------------|----------|
| disable     | never                          |                              |          |
| allow       | if the server refuses plain    | not checked                  | ignored  |
| prefer      | if the server can              | not checked                  | ignored  |
| require     | always                         | only if sslrootcert is given | ignored  |
| verify-ca   | always                         | checked                      | ignored  |
| verify-full | always                         | checked                      | checked  |

asyncpg can build the same from the name of a mode, but it then reads `~/.postgresql` and environment variables.

Source: https://www.postgresql.org/docs/18/libpq-ssl.html, read 2026-11-27.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.errors import SettingsError

_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_UNCHECKED = frozenset({"disable", "allow", "prefer"})
_JDBC = {"true": "require", "false": "disable"}  # libpq accepts `ssl=true`; asyncpg also accepts modes as `ssl`.
_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_LIMITS = ("ssl_min_protocol_version", "ssl_max_protocol_version")
_SYSTEM = "system"

Encryption = ssl.SSLContext | Literal[False]


@dataclass(frozen=True, kw_only=True)
class Tls:
    """How to encrypt. `fallback` is used if the server refuses `first`; None allows no fallback."""

    first: Encryption
    fallback: Encryption | None
    is_direct: bool


def read(parameters: Mapping[str, str]) -> Tls:
    """The TLS settings. Raises SettingsError that names the parameter and the unusable file."""
    mode = _mode(parameters)
    is_direct = _is_direct(parameters, mode)
    if mode == "disable":
        return Tls(first=False, fallback=None, is_direct=False)
    context = _context(parameters, mode)
    if mode == "allow":
        return Tls(first=False, fallback=context, is_direct=False)
    return Tls(first=context, fallback=False if mode == "prefer" else None, is_direct=is_direct)


def _mode(parameters: Mapping[str, str]) -> str:
    if "ssl" in parameters and "sslmode" in parameters:
        raise SettingsError("DATABASE_URL: ssl and sslmode mean the same; give only sslmode.")
    name = "ssl" if "ssl" in parameters else "sslmode"
    is_system = parameters.get("sslrootcert") == _SYSTEM
    mode = parameters.get(name, "verify-full" if is_system else "prefer")
    if name == "ssl":
        mode = _JDBC.get(mode.lower(), mode)
    if mode not in _MODES:
        raise SettingsError(f"DATABASE_URL: {name} must be one of {', '.join(_MODES)}.")
    if is_system and mode != "verify-full":
        raise SettingsError("DATABASE_URL: sslrootcert=system needs sslmode=verify-full.")
    _check_use(parameters, mode)
    return mode


def _check_use(parameters: Mapping[str, str], mode: str) -> None:
    """Refuse parameters that have no effect in this mode, because the URL then promises more safety than there is."""
    if mode in _UNCHECKED and "sslrootcert" in parameters:
        raise SettingsError("DATABASE_URL: sslrootcert needs sslmode=verify-full, verify-ca or require.")
    if mode.startswith("verify-") and "sslrootcert" not in parameters:
        raise SettingsError(
            f"DATABASE_URL: sslmode={mode} needs sslrootcert: a file of trusted certificates, "
            "or `system` for the certificates of this machine."
        )
    if "sslcrl" in parameters and "sslrootcert" not in parameters:
        raise SettingsError("DATABASE_URL: sslcrl needs sslrootcert.")
    if "sslkey" in parameters and "sslcert" not in parameters:
        raise SettingsError("DATABASE_URL: sslkey needs sslcert.")
    if mode == "disable" and "sslcert" in parameters:
        raise SettingsError("DATABASE_URL: sslcert has no effect with sslmode=disable.")
    if mode == "verify-full" and "host" in parameters and "hostaddr" in parameters:
        raise SettingsError(
            "DATABASE_URL: hostaddr cannot be checked against host with sslmode=verify-full; remove it."
        )


def _is_direct(parameters: Mapping[str, str], mode: str) -> bool:
    negotiation = parameters.get("sslnegotiation", "postgres")
    if negotiation not in ("postgres", "direct"):
        raise SettingsError("DATABASE_URL: sslnegotiation must be postgres or direct.")
    if negotiation == "direct" and mode in _UNCHECKED:
        raise SettingsError("DATABASE_URL: sslnegotiation=direct needs sslmode=require, verify-ca or verify-full.")
    return negotiation == "direct"


def _context(parameters: Mapping[str, str], mode: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = mode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if "sslrootcert" in parameters else ssl.CERT_NONE
    _limit_versions(context, parameters)
    if "sslrootcert" in parameters:
        _trust(context, parameters["sslrootcert"])
    if "sslcrl" in parameters:
        _load(context, "sslcrl", parameters["sslcrl"])
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if "sslcert" in parameters and _may_show_certificate(parameters):
        _identify(context, parameters)
    context.set_alpn_protocols(["postgresql"])  # Postgres 17 and later require it for direct TLS.
    return context


def _limit_versions(context: ssl.SSLContext, parameters: Mapping[str, str]) -> None:
    for name in _LIMITS:
        if parameters.get(name, "TLSv1.2") not in _VERSIONS:
            raise SettingsError(f"DATABASE_URL: {name} must be one of {', '.join(_VERSIONS)}.")
    lowest, highest = (_VERSIONS[parameters[name]] if name in parameters else None for name in _LIMITS)
    if lowest and highest and lowest > highest:
        raise SettingsError(f"DATABASE_URL: {_LIMITS[0]} is above {_LIMITS[1]}.")
    context.minimum_version = lowest or ssl.TLSVersion.TLSv1_2
    if highest:
        context.maximum_version = highest


def _trust(context: ssl.SSLContext, path: str) -> None:
    if path == _SYSTEM:
        context.load_default_certs()
    else:
        _load(context, "sslrootcert", path)


def _load(context: ssl.SSLContext, name: str, path: str) -> None:
    _check_readable(name, path)
    try:
        context.load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError, ValueError):
        kind = "revocation list" if name == "sslcrl" else "certificate"
        raise SettingsError(f"DATABASE_URL: {name} names {path}, which contains no valid {kind}.") from None


def _may_show_certificate(parameters: Mapping[str, str]) -> bool:
    mode = parameters.get("sslcertmode", "allow")
    if mode not in ("allow", "disable"):
        raise SettingsError("DATABASE_URL: sslcertmode must be allow or disable.")
    return mode == "allow"


def _identify(context: ssl.SSLContext, parameters: Mapping[str, str]) -> None:
    """Load the client certificate. Without sslkey, its key must be in the same file."""
    certificate, key = parameters["sslcert"], parameters.get("sslkey")
    _check_readable("sslcert", certificate)
    if key is not None:
        _check_readable("sslkey", key)
    try:
        # With an empty password, OpenSSL does not ask for one at the terminal.
        context.load_cert_chain(certificate, keyfile=key, password=parameters.get("sslpassword", ""))
    except (ssl.SSLError, OSError, ValueError):
        where = f"sslcert {certificate} and sslkey {key}" if key else f"sslcert {certificate} without sslkey"
        raise SettingsError(f"DATABASE_URL: {where} do not contain a certificate with its key.") from None


def _check_readable(name: str, path: str) -> None:
    try:
        Path(path).open("rb").close()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
        raise SettingsError(f"DATABASE_URL: {name} names {path}, which cannot be read ({reason}).") from None
