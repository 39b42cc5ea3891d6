"""Making deliveries pending once more, and making those of events from before a subscription was there."""

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
    """Which events a subscription is to get (again): of one app or all, of these types, that occurred in this time.

    What is pending anyway is not among them. Only events at positions after `after` and up to `up_to` are looked at.
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
    """An event that matches; `is_fresh` when there never was a delivery of it."""

    position: int
    app: str
    subject: str
    is_fresh: bool


@dataclass(frozen=True, kw_only=True)
class RedeliveryCount:
    """So many events `again`, so many for the first time (`fresh`), about so many flows and users."""

    again: int
    fresh: int
    subjects: int


async def count(connection: AsyncConnection, wanted: RedeliveryFilter) -> RedeliveryCount:
    """How many events match."""
    # Grouped, because counting distinct subjects would sort every event.
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
    """The first events that match, in feed order."""
    is_fresh = deliveries.c.position.is_(None).label("is_fresh")
    query = _matching(select(events.c.position, events.c.app, events.c.subject, is_fresh), wanted)
    rows = await connection.execute(query.order_by(events.c.position).limit(limit))
    return [RedeliveryCandidate(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's documented name


async def make_pending(
    connection: AsyncConnection, subscription_id: UUID, positions: Sequence[int], *, now: datetime
) -> None:
    """Let the events at these positions be sent from now on, with a fresh count of attempts.

    Raises SubscriptionNotFoundError when the subscription has gone meanwhile.
    """
    values = {"subscription_id": subscription_id, "positions": list(positions), "now": now}
    try:
        # In a statement of its own: whoever settles one of the lanes has ended when the next statement looks.
        await connection.execute(_LOCK_QUEUES, values)
    except IntegrityError as error:
        raise SubscriptionNotFoundError from error
    await connection.execute(_MAKE_PENDING, values)


def _matching(query: Select[*tuple[Any, ...]], wanted: RedeliveryFilter) -> Select[*tuple[Any, ...]]:
    is_its = and_(
        deliveries.c.subscription_id == wanted.subscription_id,
        deliveries.c.position == events.c.position,
        # It follows from the events' positions, but the planner does not see that.
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


# Locked in order, so that this and another who locks several lanes cannot deadlock.
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
