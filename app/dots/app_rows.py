"""Which Dots apps may not be called now: Dots refuses their credentials, or has asked for a pause."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def pause(connection: AsyncConnection, app: str, *, until: datetime, earlier: int = 0) -> None:
    """Stop asking Dots for this app until then; every process heeds it.

    `earlier` is how many pauses came before this one: of a whole batch that is refused, each says the same.
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
    """Ask Dots nothing for this app until then, because Dots asked for it; nothing is wrong."""
    await connection.execute(
        text("""
            INSERT INTO apps AS a (app, paused_until) VALUES (:app, :until)
            ON CONFLICT (app) DO UPDATE SET paused_until = GREATEST(a.paused_until, excluded.paused_until)
        """),
        {"app": app, "until": until},
    )


async def resume(connection: AsyncConnection, app: str) -> None:
    """Dots accepts the credentials again."""
    await connection.execute(text("UPDATE apps SET paused_until = NULL, pauses = 0 WHERE app = :app"), {"app": app})


async def paused(connection: AsyncConnection, now: datetime) -> frozenset[str]:
    """The apps whose credentials Dots refused when last asked."""
    query = text("SELECT app FROM apps WHERE paused_until > :now AND pauses > 0")
    rows = await connection.scalars(query, {"now": now})
    return frozenset(rows)
