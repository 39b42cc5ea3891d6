"""Lanes: the pending deliveries of one subject to one subscription, sent one after the other by whoever claims it.

Whoever changes deliveries holds their lane's lock, so that "nothing is pending" cannot be said of a lane to which
something is being added. Locks are taken in the order lane, delivery, subscription.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A claimed lane; `token` is the lease that everything done with it depends on."""

    subscription_id: UUID
    app: str
    subject: str
    token: UUID


async def claim_due(
    connection: AsyncConnection,
    *,
    busy: Mapping[UUID, int],
    at_once: int,
    now: datetime,
    lease_until: datetime,
    probe_until: datetime,
    token: UUID,
) -> list[Lane]:
    """Claim due lanes, of each subscription at most `at_once` less those `busy` here.

    Of a subscription whose breaker is open one lane is claimed, by one process, and no other before `probe_until`.
    """
    values = {
        "busy": list(busy),
        "counts": list(busy.values()),
        "at_once": at_once,
        "now": now,
        "lease_until": lease_until,
        "probe_until": probe_until,
        "token": token,
    }
    rows = await connection.execute(_CLAIM_DUE, values)
    return [Lane(**row._mapping, token=token) for row in rows]  # noqa: SLF001  # SQLAlchemy's documented name


async def lock(connection: AsyncConnection, lane: Lane) -> bool:
    """Lock the lane for the rest of the transaction; False when its lease has gone to somebody else."""
    return await connection.scalar(_LOCK, _key(lane)) is not None


async def leave(connection: AsyncConnection, lane: Lane, *, due_at: datetime) -> bool:
    """Give the lane back, due at that time; with nothing pending in it, it is no more, which is told by False.

    For a statement after the one that locked it, so that what is pending now is what it sees.
    """
    if (await connection.execute(_CLOSE, _key(lane))).rowcount:
        return False
    await connection.execute(_LEAVE, {**_key(lane), "due_at": due_at})
    return True


async def release(connection: AsyncConnection, lane: Lane) -> None:
    """Give the lane back as it was."""
    await connection.execute(_RELEASE, _key(lane))


async def hasten(connection: AsyncConnection, subscription_id: UUID, *, now: datetime) -> None:
    """Make due at once what waits for another attempt, except what is being settled at this moment.

    Waiting for that would be waiting for somebody who may wait for the subscription, which the caller has locked.
    """
    await connection.execute(_HASTEN, {"subscription_id": subscription_id, "now": now})


def _key(lane: Lane) -> dict[str, object]:
    return {
        "subscription_id": lane.subscription_id,
        "app": lane.app,
        "subject": lane.subject,
        "token": lane.token,
    }


_CLAIM_DUE = text("""
    WITH probed AS (
        UPDATE subscriptions s
        SET held_until = :probe_until
        WHERE s.opened_at IS NOT NULL AND s.held_until <= :now AND s.paused_at IS NULL
          AND EXISTS (
              SELECT FROM delivery_lanes l
              WHERE l.subscription_id = s.id AND l.due_at <= :now AND (l.lease_until IS NULL OR l.lease_until <= :now)
          )
        RETURNING s.id
    ), ready AS (
        SELECT id, 1 AS free FROM probed
        UNION ALL
        SELECT s.id, CAST(:at_once AS integer) - COALESCE(busy.lanes, 0)
        FROM subscriptions s
        LEFT JOIN unnest(CAST(:busy AS uuid[]), CAST(:counts AS integer[])) AS busy (id, lanes) ON busy.id = s.id
        WHERE s.opened_at IS NULL AND s.paused_at IS NULL AND (s.held_until IS NULL OR s.held_until <= :now)
    ), due AS (
        SELECT l.subscription_id, l.app, l.subject
        FROM ready
        CROSS JOIN LATERAL (
            SELECT l.subscription_id, l.app, l.subject
            FROM delivery_lanes l
            WHERE l.subscription_id = ready.id
              AND l.due_at <= :now AND (l.lease_until IS NULL OR l.lease_until <= :now)
            ORDER BY l.due_at
            LIMIT GREATEST(ready.free, 0)
            FOR UPDATE SKIP LOCKED
        ) l
    )
    UPDATE delivery_lanes l
    SET lease_token = :token, lease_until = :lease_until
    FROM due
    WHERE (l.subscription_id, l.app, l.subject) = (due.subscription_id, due.app, due.subject)
    RETURNING l.subscription_id, l.app, l.subject
""")

_IS_OURS = "subscription_id = :subscription_id AND app = :app AND subject = :subject AND lease_token = :token"

_LOCK = text(f"SELECT 1 FROM delivery_lanes WHERE {_IS_OURS} FOR UPDATE")  # noqa: S608  # no input in it

_CLOSE = text(f"""
    DELETE FROM delivery_lanes l
    WHERE {_IS_OURS} AND NOT EXISTS (
        SELECT FROM deliveries d
        WHERE d.subscription_id = l.subscription_id AND d.app = l.app AND d.subject = l.subject AND d.state = 'pending'
    )
""")  # noqa: S608  # likewise

_LEAVE = text(
    f"UPDATE delivery_lanes SET due_at = :due_at, lease_token = NULL, lease_until = NULL WHERE {_IS_OURS}"  # noqa: S608  # likewise
)

_RELEASE = text(
    f"UPDATE delivery_lanes SET lease_token = NULL, lease_until = NULL WHERE {_IS_OURS}"  # noqa: S608  # likewise
)

_HASTEN = text("""
    UPDATE delivery_lanes l
    SET due_at = :now
    FROM (
        SELECT app, subject FROM delivery_lanes
        WHERE subscription_id = :subscription_id AND due_at > :now
        FOR UPDATE SKIP LOCKED
    ) AS waiting
    WHERE l.subscription_id = :subscription_id AND l.app = waiting.app AND l.subject = waiting.subject
""")
