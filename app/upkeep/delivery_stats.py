"""Counts for operators: due and dead deliveries, and subscriptions by state."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# active: events are sent; broken: the circuit breaker is open; the others are paused, named after the cause.
STATES = ("active", "broken", "caller", "gone", "failing")
COUNT_LIMIT = 100_000


@dataclass(frozen=True, kw_only=True)
class DeliveryStats:
    """`due` counts the due queues of active subscriptions, `dead` the dead deliveries, `subscriptions` those by state.

    `due` counts at most COUNT_LIMIT queues of each subscription, and `dead` ends at COUNT_LIMIT.
    """

    due: int
    oldest_due_seconds: float
    dead: int
    subscriptions: Mapping[str, int]


async def take(connection: AsyncConnection, *, now: datetime) -> DeliveryStats:
    """Count. The result has a number for each of STATES."""
    row = (await connection.execute(_TAKE, {"now": now})).one()
    found = {state: count for state, count in await connection.execute(_STATES)}  # noqa: C416  # dict() rejects rows
    return DeliveryStats(
        due=row.due,
        oldest_due_seconds=row.oldest_due_seconds,
        dead=row.dead,
        subscriptions={state: found.get(state, 0) for state in STATES},
    )


# Reads the queues of each subscription separately, in the order of their index.
_TAKE = text(f"""
    SELECT count(*) AS due,
        CAST(COALESCE(extract(epoch FROM CAST(:now AS timestamptz) - min(queue.due_at)), 0) AS float8)
            AS oldest_due_seconds,
        (SELECT count(*) FROM (SELECT FROM deliveries WHERE state = 'dead' LIMIT {COUNT_LIMIT}) AS counted) AS dead
    FROM subscriptions s
    CROSS JOIN LATERAL (
        SELECT q.due_at FROM delivery_queues q
        WHERE q.subscription_id = s.id AND q.due_at <= CAST(:now AS timestamptz)
        ORDER BY q.due_at
        LIMIT {COUNT_LIMIT}
    ) AS queue
    WHERE s.paused_at IS NULL AND s.opened_at IS NULL
""")  # noqa: S608  # no input in it

_STATES = text("""
    SELECT COALESCE(paused_by, CASE WHEN opened_at IS NULL THEN 'active' ELSE 'broken' END) AS state, count(*)
    FROM subscriptions
    GROUP BY state
""")
