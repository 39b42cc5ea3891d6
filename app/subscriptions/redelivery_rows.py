"""Make deliveries pending again, and create deliveries of events from before the subscription existed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Select, and_, cast, func, or_, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import SubscriptionNotFoundError
from app.feed.tables import events
from app.subscriptions.tables import deliveries


@dataclass(frozen=True, kw_only=True)
class RedeliveryFilter:
    """Selects the events to redeliver by app (None: all), types and time.

    Events with a pending delivery are left out. Only positions after `after` and up to `up_to` are searched.
    """

    subscription_id: UUID
    app: str | None
    types: Collection[str]
    since: datetime
    until: datetime | None
    after: int
    up_to: int


@dataclass(frozen=True, kw_only=True)
class RedeliveryCandidate:
    """A matching event. `is_fresh`: it never had a delivery."""

    position: int
    app: str
    subject: str
    is_fresh: bool


@dataclass(frozen=True, kw_only=True)
class RedeliveryCount:
    """The numbers of events to send `again`, of events never sent (`fresh`), and of their subjects."""

    again: int
    fresh: int
    subjects: int


async def count(connection: AsyncConnection, wanted: RedeliveryFilter) -> RedeliveryCount:
    """Count the matching events."""
    # Group by subject, because counting distinct subjects would sort every event.
    again = func.count(deliveries.c.position)
    by_subject = (
        _matching(select(again.label("again"), (func.count() - again).label("fresh")), wanted)
        .group_by(events.c.app, events.c.subject)
        .subquery()
    )
    totals = [cast(func.coalesce(func.sum(by_subject.c[name]), 0), BigInteger) for name in ("again", "fresh")]
    row = (await connection.execute(select(*totals, func.count()).select_from(by_subject))).one()
    return RedeliveryCount(again=row[0], fresh=row[1], subjects=row[2])


async def candidates(connection: AsyncConnection, wanted: RedeliveryFilter, *, limit: int) -> list[RedeliveryCandidate]:
    """The first matching events, in feed order."""
    is_fresh = deliveries.c.position.is_(None).label("is_fresh")
    query = _matching(select(events.c.position, events.c.app, events.c.subject, is_fresh), wanted)
    rows = await connection.execute(query.order_by(events.c.position).limit(limit))
    return [RedeliveryCandidate(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's documented name


async def make_pending(
    connection: AsyncConnection, subscription_id: UUID, positions: Sequence[int], *, now: datetime
) -> None:
    """Make the events at these positions pending, with zero attempts.

    Raises SubscriptionNotFoundError if the subscription was deleted meanwhile.
    """
    values = {"subscription_id": subscription_id, "positions": list(positions), "now": now}
    try:
        # A separate statement, so the next one sees the commits of transactions that held these queues.
        await connection.execute(_LOCK_QUEUES, values)
    except IntegrityError as error:
        raise SubscriptionNotFoundError from error
    await connection.execute(_MAKE_PENDING, values)


def _matching(query: Select[*tuple[Any, ...]], wanted: RedeliveryFilter) -> Select[*tuple[Any, ...]]:
    is_its = and_(
        deliveries.c.subscription_id == wanted.subscription_id,
        deliveries.c.position == events.c.position,
        # Redundant with the events' positions, but the planner cannot infer it.
        deliveries.c.position > wanted.after,
        deliveries.c.position <= wanted.up_to,
    )
    query = query.select_from(events.outerjoin(deliveries, is_its)).where(
        events.c.position > wanted.after,
        events.c.position <= wanted.up_to,
        events.c.type.in_(wanted.types),
        events.c.occurred_at >= wanted.since,
        or_(deliveries.c.state.is_(None), deliveries.c.state != "pending"),
    )
    if wanted.until is not None:
        query = query.where(events.c.occurred_at < wanted.until)
    if wanted.app is not None:
        query = query.where(events.c.app == wanted.app)
    return query


# Lock in order, so transactions that lock several queues cannot deadlock.
_LOCK_QUEUES = text("""
    INSERT INTO delivery_queues AS l (subscription_id, app, subject, due_at)
    SELECT DISTINCT CAST(:subscription_id AS uuid), app, subject, CAST(:now AS timestamptz)
    FROM events
    WHERE position = ANY (CAST(:positions AS bigint[]))
    ORDER BY app, subject
    ON CONFLICT (subscription_id, app, subject) DO UPDATE
    SET due_at = LEAST(l.due_at, excluded.due_at)
""")

_MAKE_PENDING = text("""
    INSERT INTO deliveries AS d (subscription_id, position, app, subject, created_at)
    SELECT CAST(:subscription_id AS uuid), position, app, subject, CAST(:now AS timestamptz)
    FROM events
    WHERE position = ANY (CAST(:positions AS bigint[]))
    ORDER BY position
    ON CONFLICT (subscription_id, position) DO UPDATE
    SET state = 'pending', attempts = 0, settled_at = NULL, last_error = NULL
""")
