"""Events: appended in the transaction that made them true, stamped with a place in the feed afterwards."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.events import Event, EventRecord
from app.storage.tables import events, feed

# Any number will do as long as nothing else in the database uses it; the migrations' lock is another.
SEQUENCER_LOCK = 7_300_002


@dataclass(frozen=True, kw_only=True)
class FeedState:
    """How far the feed reaches: events after `expired_position` up to `last_position` are there."""

    epoch: UUID
    last_position: int
    expired_position: int


_FIELDS = [events.c[name] for name in EventRecord.__dataclass_fields__]


async def append(connection: AsyncConnection, fresh: Sequence[Event], *, after_sequence: int) -> None:
    """Append events of one subject, whose row the transaction has locked, behind its last `after_sequence`."""
    if not fresh:
        return
    rows = [
        {
            "id": event.id,
            "app": event.app,
            "type": event.type,
            "subject": event.subject,
            "sequence": sequence,
            "occurred_at": event.occurred_at,
            "data": event.data,
        }
        for sequence, event in enumerate(fresh, start=after_sequence + 1)
    ]
    await connection.execute(insert(events), rows)


async def stamp(connection: AsyncConnection, *, limit: int) -> int:
    """Give the oldest unsequenced events the next positions; returns how many, 0 also while another process does.

    The lock is taken in a statement of its own: only the next statement's snapshot is sure to see what the lock's
    last holder committed.
    """
    is_ours = await connection.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": SEQUENCER_LOCK})
    if not is_ours:
        return 0
    return (await connection.scalar(_STAMP, {"limit": limit})) or 0


async def hold_off_sequencer(connection: AsyncConnection) -> None:
    """Let nothing be stamped, and no delivery be made, until the transaction ends."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": SEQUENCER_LOCK})


async def state(connection: AsyncConnection) -> FeedState:
    """How far the feed reaches now."""
    row = (await connection.execute(select(feed.c.epoch, feed.c.last_position, feed.c.expired_position))).one()
    return FeedState(epoch=row.epoch, last_position=row.last_position, expired_position=row.expired_position)


async def between(
    connection: AsyncConnection, *, after: int, up_to: int, types: Collection[str] | None, limit: int
) -> list[EventRecord]:
    """The events at positions after `after` up to `up_to`, of these types (None: of all), in feed order."""
    query = (
        select(*_FIELDS)
        .where(events.c.position > after, events.c.position <= up_to)
        .order_by(events.c.position)
        .limit(limit)
    )
    if types is not None:
        query = query.where(events.c.type.in_(types))
    return [EventRecord(**row._mapping) for row in await connection.execute(query)]  # noqa: SLF001  # SQLAlchemy's documented name


async def about(connection: AsyncConnection, app: str, subject: str, *, limit: int) -> list[EventRecord]:
    """The latest events of a subject, in its order."""
    query = select(*_FIELDS).where(events.c.app == app, events.c.subject == subject)
    latest = query.order_by(events.c.sequence.desc()).limit(limit)
    return [EventRecord(**row._mapping) for row in await connection.execute(latest)][::-1]  # noqa: SLF001  # SQLAlchemy's documented name


_STAMP = text("""
    WITH next AS (
        SELECT row_id, row_number() OVER (ORDER BY row_id) AS nth
        FROM (SELECT row_id FROM events WHERE position IS NULL ORDER BY row_id LIMIT :limit) AS unsequenced
    ), stamped AS (
        UPDATE events
        SET position = feed.last_position + next.nth
        FROM next, feed
        WHERE events.row_id = next.row_id
        RETURNING events.position
    )
    UPDATE feed
    SET last_position = (SELECT max(position) FROM stamped)
    WHERE EXISTS (SELECT FROM stamped)
    RETURNING (SELECT count(*) FROM stamped)
""")
