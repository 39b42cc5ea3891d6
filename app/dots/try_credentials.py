"""Check the credentials of apps that are paused because Dots refused them."""

import structlog

from app.dots import app_rows
from app.errors import DatabaseUnavailableError, DotsError
from app.storage import database
from app.tools import Tools

log = structlog.get_logger()


async def try_credentials(tools: Tools) -> None:
    """Check them now, despite the pause. A process does this at its start: it may have new credentials."""
    try:
        async with database.transaction(tools.engine) as connection:
            paused = await app_rows.paused(connection, tools.clock())
        for app in sorted(paused & tools.clients.keys()):
            await _try(tools, app)
    except DatabaseUnavailableError as error:
        log.warning("credentials not tried", error=error.code)


async def _try(tools: Tools, app: str) -> None:
    try:
        await tools.client(app).try_credentials()
    except DotsError as error:
        log.warning("app stays paused", app=app, error=error.code)
