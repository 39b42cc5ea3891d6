"""Opens a connection to the first usable host of a DatabaseAddress, as libpq does."""

import asyncio
import ssl
from typing import Any

import asyncpg

from app.storage.database_url import DatabaseAddress

# After these errors the next host is tried: this host is unreachable, not ready or not the required kind of server.
# A failed authentication is final, as in libpq.
_NEXT_HOST = (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched)


async def connect(address: DatabaseAddress, *, timeout: float, **arguments: Any) -> Any:
    """A connection to the first usable host; `arguments` are passed on to `asyncpg.connect`.

    `timeout` is in seconds, for each host. Raises the error of the last host that was tried: OSError (TimeoutError,
    ssl.SSLError), asyncpg.PostgresError or asyncpg.TargetServerAttributeNotMatched.
    """
    for host, port in address.hosts[:-1]:
        try:
            return await connect_to(address, host, port, timeout=timeout, **arguments)
        except _NEXT_HOST:
            continue
    host, port = address.hosts[-1]
    return await connect_to(address, host, port, timeout=timeout, **arguments)


async def connect_to(address: DatabaseAddress, host: str, port: int, *, timeout: float, **arguments: Any) -> Any:
    """A connection to this host, encrypted as sslmode demands; `timeout` is in seconds. Raises like `connect`."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout
    given = {**address.connect_arguments(), **arguments, "host": host, "port": port}
    try:
        return await asyncpg.connect(**given, timeout=timeout)
    except (OSError, asyncpg.PostgresError) as error:
        if address.ssl_fallback is None or host.startswith("/") or not _is_about_encryption(error):
            raise
    # asyncpg retries by itself only if it is given the name of an sslmode, but then it also reads files in HOME.
    return await asyncpg.connect(**given | {"ssl": address.ssl_fallback}, timeout=max(0.001, deadline - clock()))


def _is_about_encryption(error: Exception) -> bool:
    """Whether the server may accept a connection with the other kind of encryption.

    asyncpg raises a bare ConnectionError for a server without TLS. A server that demands the other kind closes the
    connection, aborts the handshake, or reports a missing entry in pg_hba.conf (28000; a wrong password is 28P01).
    """
    return isinstance(error, ssl.SSLError | ConnectionResetError | asyncpg.ConnectionDoesNotExistError) or type(
        error
    ) in (ConnectionError, asyncpg.InvalidAuthorizationSpecificationError)
