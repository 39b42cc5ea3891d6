"""Find deliveries and their attempts, for operators and timelines."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, and_, any_, func, literal, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from app.feed.tables import events
from app.flows.read_timeline import DeliverySeen
from app.storage import planning
from app.storage.subjects import Subject
from app.subscriptions.rules.deliveries import Attempt
from app.subscriptions.rules.subscriptions import DeliveryState
from app.subscriptions.tables import deliveries, delivery_attempts, subscriptions


@dataclass(frozen=True, kw_only=True)
class DeliveryFilter:
    """Selects deliveries of one subscription, of these types, in this state (None: any)."""

    subscription_id: UUID
    types: Collection[str]
    state: DeliveryState | None = None


@dataclass(frozen=True, kw_only=True)
class DeliveryPage:
    """Deliveries, latest events first. The next page is before the position `next_before`. None: the last page."""

    deliveries: list["DeliverySummary"]
    next_before: int | None


@dataclass(frozen=True, kw_only=True)
class DeliverySummary:
    """A delivery and its event. `last_error` is the error code of the last failed attempt."""

    subscription_id: UUID
    position: int
    event_id: UUID
    type: str
    app: str
    subject: str
    state: DeliveryState
    failed_attempts: int
    created_at: datetime
    settled_at: datetime | None
    last_error: str | None


# The most deliveries that one page searches.
SCAN_LIMIT = 10_000
_LAST_POSITION = 2**63 - 1

_FIELDS = (
    deliveries.c.subscription_id,
    deliveries.c.position,
    events.c.id.label("event_id"),
    events.c.type,
    deliveries.c.app,
    deliveries.c.subject,
    deliveries.c.state,
    deliveries.c.attempts.label("failed_attempts"),
    deliveries.c.created_at,
    deliveries.c.settled_at,
    deliveries.c.last_error,
)
_SEEN = (
    deliveries.c.subscription_id,
    events.c.id.label("event_id"),
    events.c.type,
    deliveries.c.state,
    deliveries.c.attempts.label("failed_attempts"),
    deliveries.c.created_at,
    deliveries.c.settled_at,
)
_WITH_EVENTS = deliveries.join(events, events.c.position == deliveries.c.position)


async def page(
    connection: AsyncConnection, wanted: DeliveryFilter, *, before: int | None, limit: int, scan_limit: int = SCAN_LIMIT
) -> DeliveryPage:
    """Read a page of matching deliveries with positions less than `before`, latest first.

    A page searches at most `scan_limit` deliveries, so it may be short or empty and still not be the last.
    """
    await planning.plan_for_values(connection)
    is_its = deliveries.c.subscription_id == wanted.subscription_id
    is_before = deliveries.c.position < (_LAST_POSITION if before is None else before)
    is_wanted = true() if wanted.state is None else deliveries.c.state == wanted.state
    order = deliveries.c.position.desc()
    few = await _few_pending(connection, wanted, most=scan_limit) if wanted.state == "pending" else None
    searched = select(deliveries.c.position).where(is_its, is_before).order_by(order).limit(scan_limit)
    if wanted.state == "dead":
        searched = searched.where(is_wanted)
    elif few is not None:
        searched = searched.where(deliveries.c.position == any_(literal(few, ARRAY(BigInteger))))
    places = searched.subquery()
    ends = select(func.count(), func.min(places.c.position), func.max(places.c.position)).select_from(places)
    count, first, last = (await connection.execute(ends)).one()
    # Limit the events' positions as well, because the planner may otherwise search all events for a rare type.
    is_near: list[ColumnElement[bool]]
    is_near = [column.between(first, last) for column in (deliveries.c.position, events.c.position)]
    if few is not None:
        is_near = [
            column == any_(literal(few, ARRAY(BigInteger))) for column in (deliveries.c.position, events.c.position)
        ]
    query = select(*_FIELDS).select_from(_WITH_EVENTS).where(is_its, is_before, is_wanted, *is_near)
    found = await _read(connection, query.where(events.c.type.in_(wanted.types)).order_by(order).limit(limit + 1))
    if len(found) > limit:
        return DeliveryPage(deliveries=found[:limit], next_before=found[limit - 1].position)
    return DeliveryPage(deliveries=found, next_before=first if count == scan_limit else None)


async def _few_pending(connection: AsyncConnection, wanted: DeliveryFilter, *, most: int) -> list[int] | None:
    """The positions of a subscription's pending deliveries, unordered. None if there are more than `most`.

    Their index has another order. An index in feed order would mislead the planner in the search for the first
    delivery of a queue.
    """
    is_its = and_(deliveries.c.subscription_id == wanted.subscription_id, deliveries.c.state == "pending")
    few = list((await connection.scalars(select(deliveries.c.position).where(is_its).limit(most + 1))).all())
    return None if len(few) > most else few


async def find(connection: AsyncConnection, subscription_id: UUID, event_id: UUID) -> DeliverySummary | None:
    """The delivery of one event. None if there is none."""
    found = await _read(connection, _of(subscription_id).where(events.c.id == event_id))
    return found[0] if found else None


async def attempts(connection: AsyncConnection, subscription_id: UUID, position: int, *, limit: int) -> list[Attempt]:
    """The latest attempts of a delivery, oldest first. Includes attempts before a redelivery."""
    columns = [delivery_attempts.c[name] for name in ("attempted_at", "status", "error", "took_ms")]
    is_its = and_(delivery_attempts.c.subscription_id == subscription_id, delivery_attempts.c.position == position)
    rows = await connection.execute(select(*columns).where(is_its).order_by(delivery_attempts.c.id.desc()).limit(limit))
    found = [
        Attempt(
            attempted_at=row.attempted_at,
            status=row.status,
            error=row.error,
            took=timedelta(milliseconds=row.took_ms),
        )
        for row in rows
    ]
    return found[::-1]


async def about(connection: AsyncConnection, subject: Subject, limit: int) -> list[DeliverySeen]:
    """The deliveries of a subject's latest events to all subscriptions, oldest event first."""
    # First find the subject's latest events by their index. With a single outer limit, Postgres may scan the whole
    # feed backwards if it estimates that the subject is common.
    is_its = and_(events.c.app == subject.app, events.c.subject == str(subject), events.c.position.is_not(None))
    latest = select(events.c.position).where(is_its).order_by(events.c.sequence.desc()).limit(limit)
    joined = _WITH_EVENTS.join(subscriptions, subscriptions.c.id == deliveries.c.subscription_id)
    query = select(*_SEEN).select_from(joined).where(events.c.position.in_(latest))
    order = (events.c.position.desc(), subscriptions.c.created_at.desc(), subscriptions.c.id)
    rows = await connection.execute(query.order_by(*order).limit(limit))
    return [DeliverySeen(**row._mapping) for row in rows][::-1]  # noqa: SLF001  # SQLAlchemy's documented name


def _of(subscription_id: UUID) -> Select[tuple[object, ...]]:
    return select(*_FIELDS).select_from(_WITH_EVENTS).where(deliveries.c.subscription_id == subscription_id)


async def _read(connection: AsyncConnection, query: Select[tuple[object, ...]]) -> list[DeliverySummary]:
    return [DeliverySummary(**row._mapping) for row in await connection.execute(query)]  # noqa: SLF001  # SQLAlchemy's documented name
