"""The numbers an operator looks at for deliveries: what waits, what was given up, which subscriptions stand still."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# active: events are sent; broken: the breaker is open; the others are paused, by whom the word says.
STATES = ("active", "broken", "caller", "gone", "failing")
COUNT_LIMIT = 100_000


@dataclass(frozen=True, kw_only=True)
class DeliveryStats:
    """Lanes due and for how long in seconds (of subscriptions that are sent to), dead deliveries, subscriptions.

    No subscription counts for more than COUNT_LIMIT lanes, and no more than as many dead deliveries are counted.
    """

    due: int
    oldest_due_seconds: float
    dead: int
    subscriptions: Mapping[str, int]


async def take(connection: AsyncConnection, *, now: datetime) -> DeliveryStats:
    """Count; every one of STATES has its number."""
    row = (await connection.execute(_TAKE, {"now": now})).one()
    found = {state: count for state, count in await connection.execute(_STATES)}  # noqa: C416  # rows are no pairs to dict()
    return DeliveryStats(
        due=row.due,
        oldest_due_seconds=row.oldest_due_seconds,
        dead=row.dead,
        subscriptions={state: found.get(state, 0) for state in STATES},
    )


# Each subscription apart, in the order of the lanes' index.
_TAKE = text(f"""
    SELECT count(*) AS due,
        CAST(COALESCE(extract(epoch FROM CAST(:now AS timestamptz) - min(lane.due_at)), 0) AS float8)
            AS oldest_due_seconds,
        (SELECT count(*) FROM (SELECT FROM deliveries WHERE state = 'dead' LIMIT {COUNT_LIMIT}) AS counted) AS dead
    FROM subscriptions s
    CROSS JOIN LATERAL (
        SELECT l.due_at FROM delivery_queues l
        WHERE l.subscription_id = s.id AND l.due_at <= CAST(:now AS timestamptz)
        ORDER BY l.due_at
        LIMIT {COUNT_LIMIT}
    ) AS lane
    WHERE s.paused_at IS NULL AND s.opened_at IS NULL
""")  # noqa: S608  # no input in it

_STATES = text("""
    SELECT COALESCE(paused_by, CASE WHEN opened_at IS NULL THEN 'active' ELSE 'broken' END) AS state, count(*)
    FROM subscriptions
    GROUP BY state
""")
