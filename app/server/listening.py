"""Binds the addresses of the HTTP servers at the start, so that an address in use gives one clear error."""

import errno
import socket
from dataclasses import dataclass
from typing import Any

from app.errors import SettingsError

# The system's form of an address: host and port, and for IPv6 also flow and scope.
Address = tuple[Any, ...]

_REASONS = {
    errno.EADDRINUSE: "another program listens there",
    errno.EACCES: "this process may not; ports from 1024 need no privilege",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}
# A name such as localhost may stand for IPv4 and IPv6, and a machine may have only one of them.
_ABSENT = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


@dataclass(frozen=True, kw_only=True)
class ListenAddress:
    """Where to listen, and the settings that say so: `--host` and `--port`, or METRICS_HOST and METRICS_PORT."""

    host: str
    port: int
    host_setting: str = "--host"
    port_setting: str = "--port"

    def refused(self, error: OSError) -> SettingsError:
        """Return the error for a failed bind. It is one line with setting, host, port and reason."""
        reason = _REASONS.get(error.errno or 0, error.strerror or type(error).__name__)
        setting = self.host_setting if error.errno in _ABSENT else self.port_setting
        return SettingsError(f"{setting}: cannot listen on {self.host}:{self.port}: {reason}.")


def bind(listen_address: ListenAddress) -> list[socket.socket]:
    """Bind a socket for each address of the host, without listening yet. Raises SettingsError.

    With port 0 the system chooses a port, the same one for all addresses.
    """
    bound: list[socket.socket] = []
    absent: OSError | None = None
    port = listen_address.port
    for family, address in _addresses(listen_address):
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            _bind(listener, address, port)
        except OSError as error:
            listener.close()
            if error.errno in _ABSENT:
                absent = error
                continue
            close(bound)
            raise listen_address.refused(error) from None
        bound.append(listener)
        port = port or listener.getsockname()[1]
    if not bound and absent is not None:
        raise listen_address.refused(absent)
    return bound


def close(listeners: list[socket.socket]) -> None:
    """Close the sockets."""
    for listener in listeners:
        listener.close()


def _addresses(listen_address: ListenAddress) -> list[tuple[socket.AddressFamily, Address]]:
    try:
        found = socket.getaddrinfo(
            listen_address.host.removeprefix("[").removesuffix("]"),
            listen_address.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
    except (OSError, UnicodeError):  # UnicodeError: not a valid domain name.
        raise SettingsError(f"{listen_address.host_setting}: the host {listen_address.host} is unknown.") from None
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bind(listener: socket.socket, address: Address, port: int) -> None:
    # Without this, closed connections of a server that has just ended would block the port for a minute.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6:
        # Let `::` mean IPv6 only. Otherwise the system decides whether 0.0.0.0 is still free.
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((address[0], port, *address[2:]))
