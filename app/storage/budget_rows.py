"""The bucket of tokens of each Dots app, one for every process."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.budget import Budget


async def take(
    connection: AsyncConnection,
    app: str,
    wanted: int,
    *,
    budget: Budget,
    reserve: float,
    now: datetime,
    returned: int = 0,
) -> int:
    """Take up to `wanted` tokens, leaving `reserve`; returns how many. `returned` ones go back into the bucket first.

    Keeps the app's row locked until the transaction ends.
    """
    values = {
        "app": app,
        "rate": budget.per_second,
        "burst": budget.burst,
        "wanted": wanted,
        "reserve": reserve,
        "returned": returned,
        "now": now,
    }
    granted: int | None = await connection.scalar(_TAKE, values)
    if granted is None:
        await connection.execute(_ADD, {"app": app})
        granted = await connection.scalar(_TAKE, values)
    return granted or 0


# Locking the row first shows its latest version, so that two processes cannot count the same tokens twice. A bucket
# that grants nothing is left unwritten, because each write would leave a dead row.
_TAKE = text("""
    WITH bucket AS (
        SELECT app, LEAST(
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
        SELECT app, tokens, GREATEST(0, LEAST(:wanted, CAST(floor(tokens - :reserve) AS int))) AS calls
        FROM bucket
    ), spent AS (
        UPDATE apps
        SET tokens = granted.tokens - granted.calls, tokens_at = GREATEST(apps.tokens_at, CAST(:now AS timestamptz))
        FROM granted
        WHERE apps.app = granted.app AND (granted.calls > 0 OR :returned > 0)
    )
    SELECT calls FROM granted
""")

_ADD = text("INSERT INTO apps (app) VALUES (:app) ON CONFLICT (app) DO NOTHING")
