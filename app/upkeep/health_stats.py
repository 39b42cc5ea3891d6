"""Counts for operators: due, failing and dead rows, unfinished creations, overdue verdicts and the feed's position."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.feed import event_rows

# Each count of an app ends here, so that a scrape does not cost more the longer Dots is unavailable.
COUNT_LIMIT = 100_000


@dataclass(frozen=True, kw_only=True)
class HealthStats:
    """Counts of rows, and the age of the oldest due one in seconds (0 when nothing is due).

    `flows_passed_over`: open flows that wait only for steps that were passed over.
    """

    due: int
    oldest_due_seconds: float
    failing: int
    unsequenced: int
    feed_position: int
    unsettled_creations: int
    dead: int
    overdue_verdicts: int
    checks_to_review: int
    flows_passed_over: int


async def take(
    connection: AsyncConnection, *, apps: Collection[str], now: datetime, overdue_before: datetime
) -> HealthStats:
    """Count the rows of these apps; each count ends at COUNT_LIMIT per app. `resting` counts those of other apps.

    A pending background check is overdue if it was submitted before `overdue_before`.
    """
    values = {"apps": list(apps), "now": now, "overdue_before": overdue_before}
    row = (await connection.execute(_TAKE, values)).one()
    feed = await event_rows.state(connection)
    return HealthStats(**row._mapping, feed_position=feed.last_position)  # noqa: SLF001  # SQLAlchemy's documented name


async def resting(connection: AsyncConnection, apps: Collection[str]) -> dict[str, int]:
    """The waiting rows of each app that is not one of these: flows and users to refresh, and unfinished creations.

    Each count ends at COUNT_LIMIT. Apps without such rows are left out.
    """
    rows = await connection.execute(_RESTING, {"apps": list(apps)})
    return {row.app: row.resting for row in rows if row.resting}


async def given_up(connection: AsyncConnection, *, apps: Collection[str], limit: int) -> list[str]:
    """The dead letters among the flows and users of these apps, the latest first, with the code of the last error."""
    rows = await connection.execute(_DEAD, {"apps": list(apps), "limit": limit})
    return [f"{row.kind}/{row.subject_id} ({row.last_error})" for row in rows]


_DEAD = text("""
    SELECT dead.kind, dead.subject_id, dead.last_error
    FROM unnest(CAST(:apps AS text[])) AS apps (app)
    CROSS JOIN LATERAL (
        SELECT s.kind, s.subject_id, s.last_error, s.dead_at
        FROM sync_rows s
        WHERE s.app = apps.app AND s.dead_at IS NOT NULL
        ORDER BY s.dead_at DESC
        LIMIT :limit
    ) AS dead
    ORDER BY dead.dead_at DESC
    LIMIT :limit
""")

# Reads each app separately, so that it does not read the rows of other apps. Requested and swept rows are counted
# separately because each kind has its own index.
_TAKE = text(f"""
    WITH apps AS (
        SELECT unnest(CAST(:apps AS text[])) AS app
    ), due AS (
        SELECT count(*) AS count, min(d.due_at) AS first
        FROM apps CROSS JOIN LATERAL (
            (SELECT s.due_at FROM sync_rows s
             WHERE s.app = apps.app AND s.due_at <= CAST(:now AS timestamptz) AND s.due_by <> 'sweep'
             ORDER BY s.due_at LIMIT {COUNT_LIMIT})
            UNION ALL
            (SELECT s.due_at FROM sync_rows s
             WHERE s.app = apps.app AND s.due_at <= CAST(:now AS timestamptz) AND s.due_by = 'sweep'
             ORDER BY s.due_at LIMIT {COUNT_LIMIT})
        ) AS d
    )
    SELECT
        due.count AS due,
        CAST(COALESCE(extract(epoch FROM CAST(:now AS timestamptz) - due.first), 0) AS float8) AS oldest_due_seconds,
        (SELECT count(*) FROM apps CROSS JOIN LATERAL (
            SELECT FROM sync_rows s
            WHERE s.app = apps.app AND s.due_at IS NOT NULL AND s.attempts > 0 LIMIT {COUNT_LIMIT}
        ) AS counted) AS failing,
        (SELECT count(*) FROM (
            SELECT FROM events WHERE position IS NULL LIMIT {COUNT_LIMIT}
        ) AS counted) AS unsequenced,
        (SELECT count(*) FROM apps CROSS JOIN LATERAL (
            SELECT FROM flows f
            WHERE f.app = apps.app AND f.status = 'creating'
              AND f.attempted_at < CAST(:now AS timestamptz) - interval '1 minute' LIMIT {COUNT_LIMIT}
        ) AS counted) AS unsettled_creations,
        (SELECT count(*) FROM apps CROSS JOIN LATERAL (
            SELECT FROM sync_rows s WHERE s.app = apps.app AND s.dead_at IS NOT NULL LIMIT {COUNT_LIMIT}
        ) AS counted) AS dead,
        (SELECT count(*) FROM apps CROSS JOIN LATERAL (
            SELECT FROM users u
            WHERE u.app = apps.app AND u.verdict = 'pending' AND u.check_submitted_at < :overdue_before
            LIMIT {COUNT_LIMIT}
        ) AS counted) AS overdue_verdicts,
        (SELECT count(*) FROM apps CROSS JOIN LATERAL (
            SELECT FROM users u WHERE u.app = apps.app AND u.verdict = 'needs_review' LIMIT {COUNT_LIMIT}
        ) AS counted) AS checks_to_review,
        (SELECT count(*) FROM apps CROSS JOIN LATERAL (
            SELECT FROM flows f WHERE f.app = apps.app AND f.waits_for_passed_over LIMIT {COUNT_LIMIT}
        ) AS counted) AS flows_passed_over
    FROM due
""")  # noqa: S608  # no input in it

# Jumps through the indexes from app to app instead of reading all rows.
_RESTING = text(f"""
    WITH RECURSIVE known AS (
        SELECT LEAST((SELECT min(app) FROM sync_rows), (SELECT min(app) FROM flows)) AS app
        UNION ALL
        SELECT LEAST(
            (SELECT min(s.app) FROM sync_rows s WHERE s.app > known.app),
            (SELECT min(f.app) FROM flows f WHERE f.app > known.app)
        )
        FROM known
        WHERE known.app IS NOT NULL
    )
    SELECT known.app, LEAST({COUNT_LIMIT},
        (SELECT count(*) FROM (
            SELECT FROM sync_rows s
            WHERE s.app = known.app AND s.due_at IS NOT NULL AND s.due_by <> 'sweep' LIMIT {COUNT_LIMIT}
        ) AS counted)
        + (SELECT count(*) FROM (
            SELECT FROM sync_rows s
            WHERE s.app = known.app AND s.due_at IS NOT NULL AND s.due_by = 'sweep' LIMIT {COUNT_LIMIT}
        ) AS counted)
        + (SELECT count(*) FROM (
            SELECT FROM flows f WHERE f.app = known.app AND f.status = 'creating' LIMIT {COUNT_LIMIT}
        ) AS counted)
    ) AS resting
    FROM known
    WHERE known.app IS NOT NULL AND known.app <> ALL (CAST(:apps AS text[]))
""")  # noqa: S608  # no input in it
