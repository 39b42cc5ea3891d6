"""A database with many events and deliveries, and current statistics."""

from sqlalchemy.ext.asyncio import AsyncEngine

from app.feed import events
from tests.dots.fake_dots import NOW
from tests.storage import stored
from tests.subscriptions.subscribed import add, subscription

EVENTS = 40_000
SUBSCRIPTIONS = 20
# Only the first subscriptions have deliveries, one of every event. One in RARE of them is pending, and one is dead.
WITH_DELIVERIES = 3
RARE = 4_000

_EVENTS = """
    INSERT INTO events (id, app, type, subject, sequence, occurred_at, data, position)
    SELECT gen_random_uuid(), 'default', CASE WHEN n % 10000 = 0 THEN :rare ELSE :usual END, 'flow/' || n / 5,
        n % 5 + 1, CAST(:at AS timestamptz) + n * interval '1 second', '{"step": "payout"}', n
    FROM generate_series(1, :count) n
"""
_DELIVERIES = """
    INSERT INTO deliveries (subscription_id, position, app, subject, state, created_at, settled_at)
    SELECT s.id, e.position, e.app, e.subject, kind.state, e.occurred_at,
        CASE WHEN kind.state <> 'pending' THEN e.occurred_at END
    FROM (SELECT id FROM subscriptions ORDER BY id LIMIT :subscriptions) s CROSS JOIN events e
    CROSS JOIN LATERAL (
        SELECT CASE e.position % :every WHEN 0 THEN 'pending' WHEN 1 THEN 'dead' ELSE 'delivered' END AS state
    ) kind
"""
_QUEUES = """
    INSERT INTO delivery_queues (subscription_id, app, subject, due_at)
    SELECT DISTINCT subscription_id, app, subject, CAST(:at AS timestamptz) FROM deliveries WHERE state = 'pending'
"""


async def fill(engine: AsyncEngine) -> None:
    """Fill the database and analyze it."""
    await add(engine, *(subscription(number) for number in range(1, SUBSCRIPTIONS + 1)))
    await stored.execute(engine, _EVENTS, at=NOW, count=EVENTS, rare=events.CHECK_FLAGGED, usual=events.STEP_COMPLETED)
    await stored.execute(engine, _DELIVERIES, subscriptions=WITH_DELIVERIES, every=RARE)
    await stored.execute(engine, _QUEUES, at=NOW)
    await stored.vacuum(engine)
