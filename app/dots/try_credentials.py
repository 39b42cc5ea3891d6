"""Check the credentials of apps that are paused because Dots refused them."""

from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots import app_rows
from app.dots.client import DotsClients
from app.errors import DatabaseUnavailableError, DotsError
from app.storage import database

log = structlog.get_logger()


async def try_credentials(engine: AsyncEngine, clients: DotsClients, *, now: datetime) -> None:
    """Check them now, despite the pause. A process does this at its start: it may have new credentials."""
    try:
        async with database.transaction(engine) as connection:
            paused = await app_rows.paused(connection, now)
        for app in sorted(paused & clients.keys()):
            await _try(clients, app)
    except DatabaseUnavailableError as error:
        log.warning("credentials not tried", error=error.code)


async def _try(clients: DotsClients, app: str) -> None:
    try:
        await clients.of(app).try_credentials()
    except DotsError as error:
        log.warning("app stays paused", app=app, error=error.code)
