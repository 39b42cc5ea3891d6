"""Deliveries: created when an event is numbered, and updated by each attempt."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.feed import events
from app.feed.events import EventRecord
from app.subscriptions.queue_rows import DeliveryQueue
from app.subscriptions.rules.deliveries import Attempt, Delivery


async def make(connection: AsyncConnection, *, positions: range, now: datetime) -> int:
    """Create the deliveries of the events at these positions to all matching subscriptions. Returns their number.

    Call it in the transaction that has numbered the events and holds the sequencer's lock.
    """
    values = {
        "first": positions.start,
        "beyond": positions.stop,
        "now": now,
        "compliance": sorted(events.COMPLIANCE_TYPES),
    }
    return (await connection.execute(_MAKE, values)).rowcount


async def fan_out(connection: AsyncConnection) -> int:
    """The number of subscriptions, which is the most deliveries that one event may need."""
    return (await connection.scalar(_FAN_OUT)) or 0


async def heads(connection: AsyncConnection, queues: Sequence[DeliveryQueue]) -> list[Delivery | None]:
    """The earliest pending delivery of each queue, in the order of `queues`.

    None if there is none or the subscription is paused. Call it in a later statement than the one that locked or
    claimed the queues, because only a later snapshot sees everything that their last holder committed.
    """
    values = {
        "subscription_ids": [queue.subscription_id for queue in queues],
        "apps": [queue.app for queue in queues],
        "subjects": [queue.subject for queue in queues],
    }
    found: list[Delivery | None] = [None] * len(queues)
    for row in (await connection.execute(_HEADS, values)).mappings():
        event = EventRecord(**{name: row[name] for name in EventRecord.__dataclass_fields__})
        found[row["nth"] - 1] = Delivery(
            subscription_id=row["subscription_id"], url=row["url"], event=event, attempts=row["attempts"]
        )
    return found


async def settle(connection: AsyncConnection, delivery: Delivery, attempt: Attempt) -> None:
    """Record the successful attempt."""
    await connection.execute(_DELIVERED, _values(delivery, attempt))


async def fail(connection: AsyncConnection, delivery: Delivery, attempt: Attempt, *, is_last: bool) -> None:
    """Record a failed attempt. After the last attempt the delivery is dead."""
    await connection.execute(_FAILED, {**_values(delivery, attempt), "state": "dead" if is_last else "pending"})


def _values(delivery: Delivery, attempt: Attempt) -> dict[str, object]:
    return {
        "subscription_id": delivery.subscription_id,
        "position": delivery.event.position,
        "attempted_at": attempt.attempted_at,
        "settled_at": attempt.attempted_at + attempt.took,
        "status": attempt.status,
        "error": attempt.error,
        "took_ms": round(attempt.took / timedelta(milliseconds=1)),
    }


_FAN_OUT = text("SELECT count(*) FROM subscriptions")

# An existing queue keeps its due time, which may be that of a retry. DO NOTHING would not wait for a transaction that
# is deleting the queue because it was empty.
_MAKE = text("""
    WITH fresh AS (
        SELECT s.id AS subscription_id, e.position, e.app, e.subject
        FROM events e
        JOIN subscriptions s ON e.position >= :first AND e.position < :beyond AND (s.app IS NULL OR s.app = e.app)
            AND (s.with_compliance OR e.type <> ALL (CAST(:compliance AS text[])))
            AND EXISTS (
                SELECT FROM unnest(s.types) AS pattern
                WHERE pattern = e.type
                   OR (right(pattern, 1) = '*' AND starts_with(e.type, left(pattern, -1)))
            )
    ), opened AS (
        INSERT INTO delivery_queues AS l (subscription_id, app, subject, due_at)
        SELECT DISTINCT subscription_id, app, subject, CAST(:now AS timestamptz)
        FROM fresh
        ORDER BY subscription_id, app, subject
        ON CONFLICT (subscription_id, app, subject) DO UPDATE SET due_at = l.due_at
    )
    INSERT INTO deliveries (subscription_id, position, app, subject, created_at)
    SELECT subscription_id, position, app, subject, :now FROM fresh
""")

_HEADS = text("""
    SELECT queue.nth, s.id AS subscription_id, s.url, d.attempts,
        e.id, e.app, e.type, e.subject, e.sequence, e.occurred_at, e.data, e.position
    FROM unnest(CAST(:subscription_ids AS uuid[]), CAST(:apps AS text[]), CAST(:subjects AS text[]))
        WITH ORDINALITY AS queue (subscription_id, app, subject, nth)
    JOIN subscriptions s ON s.id = queue.subscription_id AND s.paused_at IS NULL
    CROSS JOIN LATERAL (
        SELECT position, attempts
        FROM deliveries
        WHERE subscription_id = queue.subscription_id AND app = queue.app AND subject = queue.subject
          AND state = 'pending'
        ORDER BY position
        LIMIT 1
    ) d
    JOIN events e ON e.position = d.position
""")

_NOTE_ATTEMPT = """
    INSERT INTO delivery_attempts (subscription_id, position, attempted_at, status, error, took_ms)
    VALUES (:subscription_id, :position, :attempted_at, :status, :error, :took_ms)
"""

_DELIVERED = text(f"""
    WITH noted AS ({_NOTE_ATTEMPT})
    UPDATE deliveries
    SET state = 'delivered', settled_at = :settled_at, last_error = NULL
    WHERE subscription_id = :subscription_id AND position = :position
""")  # noqa: S608  # no input in it

_FAILED = text(f"""
    WITH noted AS ({_NOTE_ATTEMPT})
    UPDATE deliveries
    SET state = :state, settled_at = CASE WHEN :state = 'dead' THEN CAST(:settled_at AS timestamptz) END,
        attempts = attempts + 1, last_error = :error
    WHERE subscription_id = :subscription_id AND position = :position
""")  # noqa: S608  # no input in it
