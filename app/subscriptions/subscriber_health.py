"""The health of a subscription's receiver: since when it fails, and its circuit breaker."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, kw_only=True)
class SubscriberHealth:
    """`opened_at` is set while the breaker is open. Attempts before `closed_at` do not count for it."""

    failing_since: datetime
    opened_at: datetime | None
    closed_at: datetime | None


async def note_success(connection: AsyncConnection, subscription_id: UUID, *, now: datetime) -> bool:
    """Clear earlier failures. Returns whether this closed the breaker. Does not lock a healthy subscription."""
    found = (await connection.execute(_HEALTHY, {"id": subscription_id, "now": now})).one_or_none()
    return found is not None and found.was_open


async def note_failure(connection: AsyncConnection, subscription_id: UUID, *, now: datetime) -> SubscriberHealth | None:
    """Record a failure, and lock the subscription. None if it was deleted."""
    row = (await connection.execute(_FAILING, {"id": subscription_id, "now": now})).one_or_none()
    return None if row is None else SubscriberHealth(**row._mapping)  # noqa: SLF001  # SQLAlchemy's documented name


async def latest_failed(
    connection: AsyncConnection, subscription_id: UUID, *, since: datetime | None, limit: int
) -> list[bool]:
    """Whether each of the latest `limit` attempts failed, last first. Attempts before `since` are left out."""
    values = {"id": subscription_id, "since": since, "limit": limit}
    return list((await connection.scalars(_LATEST, values)).all())


async def open_breaker(connection: AsyncConnection, subscription_id: UUID, *, now: datetime, until: datetime) -> None:
    """Open the breaker: no delivery before `until`, and then one probe at a time."""
    await connection.execute(_OPEN, {"id": subscription_id, "now": now, "until": until})


async def hold(connection: AsyncConnection, subscription_id: UUID, *, until: datetime) -> None:
    """Hold the subscription: no delivery before `until`."""
    await connection.execute(_HOLD, {"id": subscription_id, "until": until})


# RETURNING shows the new row, so a subquery reads the old one.
_HEALTHY = text("""
    UPDATE subscriptions s
    SET failing_since = NULL, opened_at = NULL,
        held_until = CASE WHEN s.opened_at IS NULL THEN s.held_until END,
        closed_at = CASE WHEN s.opened_at IS NULL THEN s.closed_at ELSE CAST(:now AS timestamptz) END
    FROM (SELECT id, opened_at IS NOT NULL AS was_open FROM subscriptions WHERE id = :id) AS before
    WHERE s.id = before.id AND (s.failing_since IS NOT NULL OR s.opened_at IS NOT NULL)
    RETURNING before.was_open
""")

_FAILING = text("""
    UPDATE subscriptions
    SET failing_since = COALESCE(failing_since, CAST(:now AS timestamptz))
    WHERE id = :id
    RETURNING failing_since, opened_at, closed_at
""")

# The limit is applied before `since`. Otherwise, a recent `since` makes Postgres scan the subscription's whole history.
# BETWEEN and the first ORDER BY column force the index that begins with the subscription. With an equality, Postgres
# may scan the attempts of all subscriptions by id.
_LATEST = text("""
    SELECT error IS NOT NULL
    FROM (
        SELECT id, attempted_at, error
        FROM delivery_attempts
        WHERE subscription_id BETWEEN :id AND :id
        ORDER BY subscription_id DESC, id DESC
        LIMIT :limit
    ) AS latest
    WHERE CAST(:since AS timestamptz) IS NULL OR attempted_at >= CAST(:since AS timestamptz)
    ORDER BY id DESC
""")

_OPEN = text("UPDATE subscriptions SET opened_at = COALESCE(opened_at, :now), held_until = :until WHERE id = :id")

_HOLD = text("UPDATE subscriptions SET held_until = GREATEST(held_until, :until) WHERE id = :id")
