"""Deletes data whose retention time is over: bodies, webhooks, refreshes, answers and events."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

import structlog

from app.settings import Settings
from app.storage import database
from app.upkeep import expired_rows
from app.upkeep.inputs import UpkeepInputs

log = structlog.get_logger()

BATCH = 1000

_Statement = Callable[..., Awaitable[int]]


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long each kind of data is kept."""

    bodies: timedelta
    webhooks: timedelta
    refreshes: timedelta
    answers: timedelta
    events: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The retention times in the settings. Records of refreshes are kept as long as bodies."""
        return cls(
            bodies=timedelta(days=settings.webhook_body_days),
            webhooks=timedelta(days=settings.webhook_id_days),
            refreshes=timedelta(days=settings.webhook_body_days),
            answers=timedelta(hours=settings.idempotency_hours),
            events=timedelta(days=settings.event_days),
        )


async def purge_expired(inputs: UpkeepInputs, retention: Retention) -> int:
    """Run one pass: purge at most one batch of each kind, each in its own transaction. Returns the number of rows.

    An error in one kind does not stop the others. Raises the first error after all kinds were tried.
    """
    now = inputs.clock()
    steps: list[tuple[str, _Statement, datetime]] = [
        ("bodies", expired_rows.forget_bodies, now - retention.bodies),
        ("webhooks", expired_rows.delete_webhooks, now - retention.webhooks),
        ("refreshes", expired_rows.delete_refreshes, now - retention.refreshes),
        ("answers", expired_rows.delete_answers, now - retention.answers),
        ("events", expired_rows.delete_events, now - retention.events),
    ]
    purged = 0
    errors: list[Exception] = []
    for name, statement, before in steps:
        try:
            purged += await _purge(inputs, statement, before)
        except Exception as error:  # noqa: BLE001  # The other steps still run.
            inputs.telemetry.failed_purges.labels(name).inc()
            log.warning("purge step failed", step=name, error=type(error).__name__)
            errors.append(error)
    if errors:
        raise errors[0]
    return purged


async def _purge(inputs: UpkeepInputs, statement: _Statement, before: datetime) -> int:
    async with database.transaction(inputs.engine) as connection:
        return await statement(connection, before=before, limit=BATCH)
