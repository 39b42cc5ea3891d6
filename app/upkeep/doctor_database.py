"""Doctor's checks of the database: connection, durability, pooler, writes, schema and paused apps."""

from collections.abc import Awaitable, Callable

from app.dots import app_rows
from app.errors import DatabasePoolerError, DatabaseReadOnlyError, DatabaseUnavailableError, GatewayError
from app.settings import Settings
from app.storage import database, database_url, migrations, start
from app.upkeep import health_stats, server_facts
from app.upkeep.inputs import UpkeepInputs

OLDEST_SUPPORTED = 15


class FindingError(GatewayError):
    """A check of doctor has failed."""


def checks(inputs: UpkeepInputs, settings: Settings) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
    """The checks with their names, in the order to run them. Each returns a result text or raises GatewayError."""
    return [
        ("database", lambda: _database(inputs, settings)),
        ("durability", lambda: _durability(inputs)),
        ("pooler", lambda: _pooler(inputs, settings)),
        ("writing", lambda: _writing(inputs)),
        ("schema", lambda: _schema(inputs)),
        ("apps", lambda: _apps(inputs)),
    ]


async def _database(inputs: UpkeepInputs, settings: Settings) -> str:
    address = database_url.parse(settings.required_database_url)
    try:
        async with database.transaction(inputs.engine) as connection:
            server = await server_facts.take(connection)
    except DatabaseUnavailableError as error:
        reason, _ = start.explain(error, address)
        raise FindingError(reason) from error
    if server.major < OLDEST_SUPPORTED:
        raise FindingError(f"Postgres {server.version} is too old; use {OLDEST_SUPPORTED} or later.")
    return f"Postgres {server.version}."


async def _durability(inputs: UpkeepInputs) -> str:
    async with database.transaction(inputs.engine) as connection:
        server = await server_facts.take(connection)
    if not server.is_durable:
        raise FindingError("fsync is off: a webhook that was acknowledged could be lost in a crash; turn it on.")
    return "Commits are durable."


async def _pooler(inputs: UpkeepInputs, settings: Settings) -> str:
    async with database.transaction(inputs.engine) as connection:
        is_pooled = await start.is_pooled(connection)
        session = await start.session_of(connection)
    if session.has_transaction_pooler:
        return "DATABASE_POOLER=transaction: other processes' notifications are not heard, so every loop polls."
    if not is_pooled:
        return "None: connections lead to Postgres itself."
    if await start.shares_sessions(settings.required_database_url):
        raise DatabasePoolerError
    return "Connections lead through a pooler that keeps sessions."


async def _writing(inputs: UpkeepInputs) -> str:
    try:
        async with database.transaction(inputs.engine) as connection:
            server = await server_facts.take(connection)
            await start.require_writable(connection)
    except DatabaseReadOnlyError as error:
        cause = "it is a standby" if server.is_standby else "default_transaction_read_only is on"
        raise FindingError(f"Nothing can be written: {cause}; DATABASE_URL must lead to the primary.") from error
    return "The server takes writes."


async def _schema(inputs: UpkeepInputs) -> str:
    async with database.transaction(inputs.engine) as connection:
        found = await migrations.state(connection)
    migrations.require_current(found)
    return f"{found.name} is at {found.revision}."


async def _apps(inputs: UpkeepInputs) -> str:
    """Fail if an app is paused. Report apps with rows that are missing from the settings; that may be intended."""
    async with database.transaction(inputs.engine) as connection:
        paused = await app_rows.paused(connection, inputs.clock())
        resting = await health_stats.resting(connection, inputs.clients.keys())
    if paused:
        raise FindingError(f"Paused, because Dots refuses the credentials: {', '.join(sorted(paused))}.")
    if resting:
        counts = ", ".join(f"{count} of {app}" for app, count in sorted(resting.items()))
        return f"Rows of apps that are not in the settings wait until the settings name the apps again: {counts}."
    return f"{len(inputs.clients)} app(s), none paused."
