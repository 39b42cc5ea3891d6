"""The trusted certificates and the proxy for calls to Dots."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Network:
    """Network settings shared by all Dots apps. The defaults are httpx's certificates and no proxy."""

    trusted: ssl.SSLContext | None = None
    proxy: httpx.Proxy | None = field(default=None, repr=False)


def build(*, cert_file: str | None, cert_dir: str | None, proxy_url: str | None) -> Network:
    """Build it from SSL_CERT_FILE, SSL_CERT_DIR and DOTS_PROXY_URL. Raises SettingsError that names the wrong one."""
    trusted = _trusting(cert_file, cert_dir) if cert_file or cert_dir else None
    return Network(trusted=trusted, proxy=None if proxy_url is None else _proxy(proxy_url, trusted))


def _trusting(cert_file: str | None, cert_dir: str | None) -> ssl.SSLContext:
    """Trust only these certificates, as other programs do."""
    if cert_file is not None:
        _check_file(cert_file)
    for directory in cert_dir.split(":") if cert_dir else ():
        if not _is_directory(directory):
            raise SettingsError("SSL_CERT_DIR does not name a directory that can be read.")
    return ssl.create_default_context(cafile=cert_file, capath=cert_dir)


def _check_file(path: str) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except (ssl.SSLError, OSError, ValueError):
        raise SettingsError("SSL_CERT_FILE does not name a readable file of certificates.") from None


def _is_directory(path: str) -> bool:
    try:
        list(Path(path).iterdir())
    except (OSError, ValueError):
        return False
    return True


def _proxy(proxy_url: str, trusted: ssl.SSLContext | None) -> httpx.Proxy:
    """Read the proxy's URL. Errors do not quote it, because it may hold a password."""
    try:
        url = httpx.URL(proxy_url)
    except httpx.InvalidURL:
        raise SettingsError("DOTS_PROXY_URL is not a URL.") from None
    if url.scheme not in {"http", "https"} or not url.host or url.path not in {"", "/"} or url.query or url.fragment:
        raise SettingsError("DOTS_PROXY_URL must be http:// or https://, perhaps user:password@, a host and a port.")
    # The TLS context of a connection to the proxy itself.
    return httpx.Proxy(url, ssl_context=trusted if url.scheme == "https" else None)
