"""The numbers an operator looks at first: what waits, what fails, how far the feed is."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, kw_only=True)
class VitalSigns:
    """Counts of rows, and the age of the oldest due one in seconds (0 when nothing is due)."""

    due: int
    oldest_due_seconds: float
    failing: int
    unsequenced: int
    feed_position: int
    unsettled_creations: int
    dead: int
    overdue_verdicts: int


async def take(connection: AsyncConnection, *, now: datetime, overdue_before: datetime) -> VitalSigns:
    """Count; a few index scans. A check handed in before `overdue_before` should have ended."""
    row = (await connection.execute(_TAKE, {"now": now, "overdue_before": overdue_before})).one()
    return VitalSigns(**row._mapping)  # noqa: SLF001  # SQLAlchemy's documented name


async def given_up(connection: AsyncConnection, *, limit: int) -> list[str]:
    """Flows and users given up, the latest first, each with the code of its last error."""
    return [
        f"{row.kind}/{row.subject_id} ({row.last_error})" for row in await connection.execute(_DEAD, {"limit": limit})
    ]


_DEAD = text("""
    SELECT kind, subject_id, last_error FROM sync_rows
    WHERE dead_at IS NOT NULL
    ORDER BY dead_at DESC
    LIMIT :limit
""")

_TAKE = text("""
    SELECT
        (SELECT count(*) FROM sync_rows WHERE due_at <= CAST(:now AS timestamptz)) AS due,
        (SELECT CAST(COALESCE(extract(epoch FROM CAST(:now AS timestamptz) - min(due_at)), 0) AS float8)
         FROM sync_rows WHERE due_at <= CAST(:now AS timestamptz)) AS oldest_due_seconds,
        (SELECT count(*) FROM sync_rows WHERE due_at IS NOT NULL AND attempts > 0) AS failing,
        (SELECT count(*) FROM events WHERE position IS NULL) AS unsequenced,
        (SELECT last_position FROM feed) AS feed_position,
        (SELECT count(*) FROM flows
         WHERE status = 'creating'
           AND attempted_at < CAST(:now AS timestamptz) - interval '1 minute') AS unsettled_creations,
        (SELECT count(*) FROM sync_rows WHERE dead_at IS NOT NULL) AS dead,
        (SELECT count(*) FROM users WHERE verdict = 'pending' AND check_submitted_at < :overdue_before)
            AS overdue_verdicts
""")
