"""The order of claims on a table that is large enough for another query plan."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.dots.fake_dots import NOW
from tests.flows.syncing import claim_due
from tests.storage import stored

FILL = """
    INSERT INTO sync_rows (app, kind, subject_id, due_at, due_by, dirty_gen)
    SELECT 'default', 'flow', number, CAST(:now AS timestamptz) - ((number * 7919) % 5000) * interval '1 second',
        'webhook', 1
    FROM generate_series(1, 5000) AS number
"""
DUE_AT = "SELECT subject_id, due_at FROM sync_rows"


async def test_longest_due_comes_first_in_a_large_batch(engine: AsyncEngine) -> None:
    """The claims are in the order of the due times."""
    await stored.execute(engine, FILL, now=NOW)
    await stored.execute(engine, "ANALYZE sync_rows")

    claims = await claim_due(engine, limit=100)

    due_at = {row["subject_id"]: row["due_at"] for row in await stored.rows(engine, DUE_AT)}
    assert [due_at[claim.subject.id] for claim in claims] == [
        NOW - timedelta(seconds=seconds) for seconds in range(4999, 4899, -1)
    ]
