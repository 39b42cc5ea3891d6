"""Opens one connection to the first host of a DatabaseAddress that will do, as libpq would."""

import asyncio
import ssl
from typing import Any

import asyncpg

from app.storage.database_url import DatabaseAddress

# What lets the next host have a try: this one is away, not ready, or not the kind of server that is wanted.
# An authentication that fails is final, as in libpq.
_NEXT_HOST = (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched)


async def connect(address: DatabaseAddress, *, timeout: float, **arguments: Any) -> Any:
    """A connection to the first host that will do; `arguments` are more of `asyncpg.connect`.

    `timeout` is in seconds and for each host. Raises what the last host raised: OSError (TimeoutError, ssl.SSLError),
    asyncpg.PostgresError or asyncpg.TargetServerAttributeNotMatched.
    """
    for host, port in address.hosts[:-1]:
        try:
            return await connect_to(address, host, port, timeout=timeout, **arguments)
        except _NEXT_HOST:
            continue
    host, port = address.hosts[-1]
    return await connect_to(address, host, port, timeout=timeout, **arguments)


async def connect_to(address: DatabaseAddress, host: str, port: int, *, timeout: float, **arguments: Any) -> Any:
    """A connection to this host, encrypted or not as sslmode says; `timeout` is in seconds. Raises like `connect`."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout
    given = {**address.connect_arguments(), **arguments, "host": host, "port": port}
    try:
        return await asyncpg.connect(**given, timeout=timeout)
    except (OSError, asyncpg.PostgresError) as error:
        if address.ssl_fallback is None or host.startswith("/") or not _is_about_encryption(error):
            raise
    # asyncpg does this by itself only for the name of an sslmode, for which it would read HOME.
    return await asyncpg.connect(**given | {"ssl": address.ssl_fallback}, timeout=max(0.001, deadline - clock()))


def _is_about_encryption(error: Exception) -> bool:
    """Whether the server may accept us with the other kind of encryption.

    A server without TLS is a bare ConnectionError in asyncpg. One that wants the other kind closes the connection,
    breaks off the handshake or says that pg_hba.conf has no entry for us (28000; a wrong password is another class).
    """
    return isinstance(error, ssl.SSLError | ConnectionResetError | asyncpg.ConnectionDoesNotExistError) or type(
        error
    ) in (ConnectionError, asyncpg.InvalidAuthorizationSpecificationError)
