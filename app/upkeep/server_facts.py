"""What the Postgres server reports about itself."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """`version` is as Postgres prints it, `major` its first number; `is_durable` is whether fsync is on."""

    version: str
    major: int
    is_durable: bool
    is_standby: bool


async def take(connection: AsyncConnection) -> ServerFacts:
    """Ask the server of this transaction."""
    row = (await connection.execute(_TAKE)).one()
    return ServerFacts(**row._mapping)  # noqa: SLF001  # SQLAlchemy's documented name


_TAKE = text("""
    SELECT
        current_setting('server_version') AS version,
        CAST(current_setting('server_version_num') AS int) / 10000 AS major,
        CAST(current_setting('fsync') AS bool) AS is_durable,
        pg_is_in_recovery() AS is_standby
""")
