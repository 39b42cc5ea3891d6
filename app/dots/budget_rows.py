"""The token bucket of each Dots app, shared by all processes. It grants no tokens during a pause."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.dots.budget import Budget, Grant


async def take(
    connection: AsyncConnection,
    app: str,
    wanted: int,
    *,
    budget: Budget,
    reserve: float,
    now: datetime,
    returned: int = 0,
    is_trial: bool = False,
) -> Grant:
    """Put `returned` tokens back, then take up to `wanted`, leaving `reserve`. Takes none during a pause.

    A trial of the credentials ignores a pause for refused credentials. Locks the app's row until the transaction ends.
    """
    values = {
        "app": app,
        "rate": budget.per_second,
        "burst": budget.burst,
        "wanted": wanted,
        "reserve": reserve,
        "returned": returned,
        "is_trial": is_trial,
        "now": now,
    }
    row = (await connection.execute(_TAKE, values)).one_or_none()
    if row is None:
        await connection.execute(_ADD, {"app": app})
        row = (await connection.execute(_TAKE, values)).one()
    return Grant(calls=row.calls, paused_until=row.paused_until, refusals=row.pauses)


# Locking the row first shows its latest version, so that two processes cannot count the same tokens twice. A bucket
# that grants nothing is left unwritten, because each write would leave a dead row.
_TAKE = text("""
    WITH bucket AS (
        SELECT app, paused_until, pauses, LEAST(
            CAST(:burst AS float8),
            :returned + COALESCE(
                tokens + :rate * GREATEST(
                    0, CAST(extract(epoch FROM CAST(:now AS timestamptz) - tokens_at) AS float8)
                ),
                CAST(:burst AS float8)
            )
        ) AS tokens
        FROM apps
        WHERE app = :app
        FOR UPDATE
    ), granted AS (
        SELECT app, tokens, paused_until, pauses,
            CASE WHEN paused_until > :now AND NOT (pauses > 0 AND :is_trial) THEN 0
                ELSE GREATEST(0, LEAST(:wanted, CAST(floor(tokens - :reserve) AS int)))
            END AS calls
        FROM bucket
    ), spent AS (
        UPDATE apps
        SET tokens = granted.tokens - granted.calls, tokens_at = GREATEST(apps.tokens_at, CAST(:now AS timestamptz))
        FROM granted
        WHERE apps.app = granted.app AND (granted.calls > 0 OR :returned > 0)
    )
    SELECT calls, paused_until, pauses FROM granted
""")

_ADD = text("INSERT INTO apps (app) VALUES (:app) ON CONFLICT (app) DO NOTHING")
