"""The pauses of Dots apps: Dots refuses an app's credentials, or has asked for a pause."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def pause(connection: AsyncConnection, app: str, *, until: datetime, earlier: int = 0) -> None:
    """Pause the app in all processes, because Dots refuses its credentials.

    `earlier` counts the pauses in a row before this one. Calls that are refused together give the same number.
    """
    await connection.execute(
        text("""
            INSERT INTO apps AS a (app, paused_until, pauses) VALUES (:app, :until, :pauses)
            ON CONFLICT (app) DO UPDATE
            SET pauses = GREATEST(a.pauses, excluded.pauses),
                paused_until = GREATEST(a.paused_until, excluded.paused_until)
        """),
        {"app": app, "until": until, "pauses": earlier + 1},
    )


async def hold_off(connection: AsyncConnection, app: str, *, until: datetime) -> None:
    """Pause the app in all processes, because Dots asked for it. The credentials are fine."""
    await connection.execute(
        text("""
            INSERT INTO apps AS a (app, paused_until) VALUES (:app, :until)
            ON CONFLICT (app) DO UPDATE SET paused_until = GREATEST(a.paused_until, excluded.paused_until)
        """),
        {"app": app, "until": until},
    )


async def resume(connection: AsyncConnection, app: str) -> None:
    """End the pause: Dots accepts the credentials again."""
    await connection.execute(text("UPDATE apps SET paused_until = NULL, pauses = 0 WHERE app = :app"), {"app": app})


async def paused(connection: AsyncConnection, now: datetime) -> frozenset[str]:
    """Return the apps that are paused because Dots refuses their credentials."""
    query = text("SELECT app FROM apps WHERE paused_until > :now AND pauses > 0")
    rows = await connection.scalars(query, {"now": now})
    return frozenset(rows)
