"""The bucket of tokens of each Dots app, one for every process."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows import budget as budgets
from app.flows.budget import Budget


async def take(
    connection: AsyncConnection, app: str, wanted: int, *, budget: Budget, reserve: float, now: datetime
) -> int:
    """Take up to `wanted` tokens, leaving `reserve`; returns how many. Keeps the app's row locked."""
    values = {"app": app, "rate": budget.per_second, "burst": budget.burst, "now": now}
    tokens: float = await connection.scalar(_REFILL, values)
    granted = budgets.grant(tokens, wanted, reserve=reserve)
    if granted:
        await connection.execute(_SPEND, {"app": app, "granted": granted})
    return granted


# Refilling locks the row, so that two processes cannot count the same tokens twice.
_REFILL = text("""
    INSERT INTO apps AS a (app, tokens, tokens_at)
    VALUES (:app, CAST(:burst AS float8), CAST(:now AS timestamptz))
    ON CONFLICT (app) DO UPDATE
    SET tokens = LEAST(
            CAST(:burst AS float8),
            COALESCE(
                a.tokens + CAST(:rate AS float8) * GREATEST(0, extract(epoch FROM excluded.tokens_at - a.tokens_at)),
                CAST(:burst AS float8)
            )
        ),
        tokens_at = GREATEST(a.tokens_at, excluded.tokens_at)
    RETURNING tokens
""")

_SPEND = text("UPDATE apps SET tokens = tokens - :granted WHERE app = :app")
