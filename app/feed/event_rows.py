"""Rows of events: appended in the transaction that causes them, and numbered after its commit."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.feed.events import Event, EventRecord
from app.feed.tables import events, feed

# The last position of the feed, for a row of `feed`. It is not stored, because a row that every pass updates and every
# reader reads would collect dead versions while any transaction stays open. One statement sees the events and the
# expired position consistently, because the purge changes both in one transaction.
LAST_POSITION_SQL = "GREATEST(feed.expired_position, (SELECT max(position) FROM events))"

# The number only has to differ from other advisory locks, such as that of the migrations. An advisory lock covers the
# whole database, so the schema is part of it: another schema may hold another gateway.
SEQUENCER_LOCK = "7300002, hashtext(current_schema()::text)"


@dataclass(frozen=True, kw_only=True)
class FeedState:
    """The range of the feed: it holds the events after `expired_position` up to `last_position`."""

    epoch: UUID
    last_position: int
    expired_position: int


@dataclass(frozen=True, kw_only=True)
class Stamped:
    """The result of one pass: the new positions, the number of events scanned, and the last scanned `row_id`."""

    positions: range
    looked_at: int
    reached: int | None


LAST_POSITION: ColumnElement[int] = literal_column(LAST_POSITION_SQL, BigInteger).label("last_position")

_FIELDS = [events.c[name] for name in EventRecord.__dataclass_fields__]


async def append(connection: AsyncConnection, fresh: Sequence[Event], *, after_sequence: int) -> None:
    """Append events of one subject after `after_sequence`. The transaction must hold the lock of the subject."""
    await append_all(connection, [(fresh, after_sequence)])


async def append_all(connection: AsyncConnection, groups: Iterable[tuple[Sequence[Event], int]]) -> None:
    """Append events of several subjects: for each, its events and its last sequence. Its lock must be held."""
    rows = [(event, sequence) for fresh, last in groups for sequence, event in enumerate(fresh, start=last + 1)]
    if not rows:
        return
    await connection.execute(
        _APPEND,
        {
            "ids": [event.id for event, _ in rows],
            "apps": [event.app for event, _ in rows],
            "types": [event.type for event, _ in rows],
            "subjects": [event.subject for event, _ in rows],
            "sequences": [sequence for _, sequence in rows],
            "moments": [event.occurred_at for event, _ in rows],
            "data": [json.dumps(event.data) for event, _ in rows],
        },
    )


async def stamp(connection: AsyncConnection, *, limit: int, floor: int = 0) -> Stamped | None:
    """Give the oldest events without positions the next positions. None while another process does.

    Only events with a `row_id` above `floor` are scanned. An event waits if an earlier event of its subject has no
    position and a `row_id` at or below the floor. A pass without a floor numbers both in order.

    A separate statement takes the lock, because only the next statement's snapshot sees everything that the last
    holder committed.
    """
    is_ours = await connection.scalar(_TRY_LOCK)
    if not is_ours:
        return None
    row = (await connection.execute(_STAMP, {"limit": limit, "floor": floor})).one()
    last = row.last_position or 0
    positions = range(last - row.stamped + 1, last + 1)
    return Stamped(positions=positions, looked_at=row.looked_at, reached=row.reached)


async def hold_off_sequencer(connection: AsyncConnection) -> None:
    """Stop the numbering of events and the creation of deliveries until the transaction ends."""
    await connection.execute(_LOCK)


async def state(connection: AsyncConnection) -> FeedState:
    """The current range of the feed."""
    row = (await connection.execute(select(feed.c.epoch, LAST_POSITION, feed.c.expired_position))).one()
    return FeedState(epoch=row.epoch, last_position=row.last_position, expired_position=row.expired_position)


async def between(
    connection: AsyncConnection, *, after: int, up_to: int, types: Collection[str] | None, limit: int
) -> list[EventRecord]:
    """The events after position `after` up to `up_to`, of these types (None: all), in feed order."""
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
    """The latest events of a subject, oldest first."""
    query = select(*_FIELDS).where(events.c.app == app, events.c.subject == subject)
    latest = query.order_by(events.c.sequence.desc()).limit(limit)
    return [EventRecord(**row._mapping) for row in await connection.execute(latest)][::-1]  # noqa: SLF001  # SQLAlchemy's documented name


# Insert in order, because the feed is in order of `row_id`.
_APPEND = text("""
    INSERT INTO events (id, app, type, subject, sequence, occurred_at, data)
    SELECT id, app, type, subject, sequence, occurred_at, CAST(data AS jsonb)
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:apps AS text[]), CAST(:types AS text[]), CAST(:subjects AS text[]),
        CAST(:sequences AS int[]), CAST(:moments AS timestamptz[]), CAST(:data AS text[])
    ) WITH ORDINALITY AS event (id, app, type, subject, sequence, occurred_at, data, place)
    ORDER BY place
""")

_TRY_LOCK = text(f"SELECT pg_try_advisory_xact_lock({SEQUENCER_LOCK})")
_LOCK = text(f"SELECT pg_advisory_xact_lock({SEQUENCER_LOCK})")

# A subject's events are committed in order, so its events in `unsequenced` have no gap. The event before the first of
# them decides for all, which takes one look-up per subject instead of one per event.
_STAMP = text(f"""
    WITH unsequenced AS (
        SELECT row_id, app, subject, sequence FROM events
        WHERE position IS NULL AND row_id > :floor
        ORDER BY row_id LIMIT :limit
    ), held AS (
        SELECT first.app, first.subject
        FROM (SELECT app, subject, min(sequence) AS sequence FROM unsequenced GROUP BY app, subject) AS first
        CROSS JOIN LATERAL (
            SELECT row_id, position FROM events
            WHERE app = first.app AND subject = first.subject AND sequence < first.sequence
            ORDER BY sequence DESC LIMIT 1
        ) AS before
        WHERE before.position IS NULL AND before.row_id <= :floor
    ), next AS (
        SELECT row_id, row_number() OVER (ORDER BY row_id) AS nth
        FROM unsequenced
        WHERE (app, subject) NOT IN (SELECT app, subject FROM held)
    ), stamped AS (
        UPDATE events
        SET position = last.position + next.nth
        FROM next, (SELECT {LAST_POSITION_SQL} AS position FROM feed) AS last
        WHERE events.row_id = next.row_id
        RETURNING events.position
    )
    SELECT count(*) AS stamped, max(position) AS last_position,
        (SELECT count(*) FROM unsequenced) AS looked_at, (SELECT max(row_id) FROM unsequenced) AS reached
    FROM stamped
""")  # noqa: S608  # no input in it
