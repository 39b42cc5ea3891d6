"""Forget what has been kept long enough: bodies, message ids, refreshes, events."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection

from app.actions.tools import Tools
from app.settings import Settings
from app.storage import database, expired_rows

BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class Keep:
    """For how long things are kept."""

    bodies: timedelta
    webhooks: timedelta
    refreshes: timedelta
    events: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings say; the lines of refreshes go with the bodies."""
        return cls(
            bodies=timedelta(days=settings.webhook_body_days),
            webhooks=timedelta(days=settings.webhook_id_days),
            refreshes=timedelta(days=settings.webhook_body_days),
            events=timedelta(days=settings.event_days),
        )


async def purge_expired(tools: Tools, keep: Keep) -> int:
    """One pass: at most a batch of each kind, each in a transaction of its own; returns how many rows."""
    now = tools.clock()
    purged = await _purge(tools, expired_rows.forget_bodies, now - keep.bodies)
    purged += await _purge(tools, expired_rows.delete_webhooks, now - keep.webhooks)
    purged += await _purge(tools, expired_rows.delete_refreshes, now - keep.refreshes)
    purged += await _purge(tools, expired_rows.delete_events, now - keep.events)
    return purged


_Statement = Callable[..., Awaitable[int]]


async def _purge(tools: Tools, statement: _Statement, before: datetime) -> int:
    connection: AsyncConnection
    async with database.transaction(tools.engine) as connection:
        return await statement(connection, before=before, limit=BATCH)
