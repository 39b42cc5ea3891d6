"""Listings of Dots' flows: when one is due, its lease, and the creations that it is to find."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.tables import flows

# After an outage there may be thousands, each with its request. The others follow when the first ones are settled.
UNSETTLED_LIMIT = 1000


@dataclass(frozen=True, kw_only=True)
class Unsettled:
    """A creation with an unknown outcome. `searches` counts the complete listings that did not contain it."""

    ref: UUID
    caller: str
    idempotency_key: str | None
    attempted_at: datetime
    searches: int
    request: dict[str, Any]


async def claim(
    connection: AsyncConnection, app: str, *, now: datetime, until: datetime, unsettled_before: datetime
) -> bool:
    """Claim the app's listing if it is due, or if a creation from before `unsettled_before` has no outcome.

    Another process may claim it after `until`.
    """
    values = {"app": app, "now": now, "until": until, "unsettled_before": unsettled_before}
    return (await connection.execute(_CLAIM, values)).rowcount == 1


async def extend(connection: AsyncConnection, app: str, *, held_until: datetime, until: datetime) -> bool:
    """Extend the lease of the listing from `held_until` to `until`. Returns False if another process has claimed it."""
    values = {"app": app, "held_until": held_until, "until": until}
    return (await connection.execute(_EXTEND, values)).rowcount == 1


async def release(connection: AsyncConnection, app: str, *, held_until: datetime, due_at: datetime) -> bool:
    """End the listing and make the next one due at `due_at`. Returns False if another process has claimed it."""
    values = {"app": app, "held_until": held_until, "due_at": due_at}
    return (await connection.execute(_RELEASE, values)).rowcount == 1


async def unknown(connection: AsyncConnection, app: str, flow_ids: Collection[str]) -> frozenset[str]:
    """Return those of the ids that no stored flow has."""
    query = select(flows.c.id).where(flows.c.app == app, flows.c.id.in_(flow_ids))
    return frozenset(flow_ids) - frozenset(await connection.scalars(query))


async def unsettled(connection: AsyncConnection, app: str, *, before: datetime) -> list[Unsettled]:
    """Return the creations from before then that have no outcome, oldest first, at most UNSETTLED_LIMIT."""
    columns = [flows.c[name] for name in Unsettled.__dataclass_fields__]
    is_unsettled = (flows.c.app == app) & (flows.c.status == "creating") & (flows.c.attempted_at < before)
    query = select(*columns).where(is_unsettled).order_by(flows.c.attempted_at).limit(UNSETTLED_LIMIT)
    return [Unsettled(**row._mapping) for row in await connection.execute(query)]  # noqa: SLF001  # SQLAlchemy's documented name


async def count_search(connection: AsyncConnection, refs: Collection[UUID]) -> None:
    """Note that a complete listing did not contain these creations."""
    await connection.execute(
        update(flows).where(flows.c.ref.in_(refs), flows.c.status == "creating").values(searches=flows.c.searches + 1)
    )


async def forget_searches(connection: AsyncConnection, refs: Collection[UUID]) -> None:
    """Reset the counts of these creations, because a listing contained them."""
    await connection.execute(update(flows).where(flows.c.ref.in_(refs), flows.c.searches > 0).values(searches=0))


async def attempt_again(connection: AsyncConnection, creation: Unsettled, *, now: datetime) -> bool:
    """Note that the POST is sent again. Returns False if another process has done so or the flow has been found."""
    is_as_seen = (
        (flows.c.ref == creation.ref) & (flows.c.status == "creating") & (flows.c.attempted_at == creation.attempted_at)
    )
    result = await connection.execute(update(flows).where(is_as_seen).values(attempted_at=now, searches=0))
    return result.rowcount == 1


_CLAIM = text("""
    INSERT INTO apps AS a (app, listing_until) VALUES (:app, :until)
    ON CONFLICT (app) DO UPDATE SET listing_until = excluded.listing_until
    WHERE (a.listing_until IS NULL OR a.listing_until <= :now)
      AND (a.paused_until IS NULL OR a.paused_until <= :now)
      AND (
          a.listing_due_at IS NULL OR a.listing_due_at <= :now
          OR EXISTS (
              SELECT FROM flows f
              WHERE f.app = a.app AND f.status = 'creating' AND f.attempted_at < :unsettled_before
          )
      )
""")

# A later claim always has a later `listing_until`, so the time identifies the claim.
_EXTEND = text("UPDATE apps SET listing_until = :until WHERE app = :app AND listing_until = :held_until")

_RELEASE = text("""
    UPDATE apps SET listing_until = NULL, listing_due_at = :due_at WHERE app = :app AND listing_until = :held_until
""")
