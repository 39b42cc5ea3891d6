"""Claim due delivery queues: as many as a process has free slots, shared fairly between subscriptions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.subscriptions.queue_rows import DeliveryQueue


@dataclass(frozen=True, kw_only=True)
class FreeSlots:
    """How many more deliveries a process can start: `total`, of these at most `slow` to slow subscribers.

    `at_once` is the most deliveries in flight to one subscription.
    """

    total: int
    slow: int
    at_once: int


@dataclass(frozen=True, kw_only=True)
class KnownSubscription:
    """The process's own knowledge of a subscription: its deliveries in flight, and whether its subscriber is slow.

    Queues due before `floor` are skipped (None: no queue is).
    """

    busy: int
    is_slow: bool
    floor: datetime | None


@dataclass(frozen=True, kw_only=True)
class ClaimedQueue:
    """A claimed queue, its due time, and whether it takes a slow subscriber's slot."""

    queue: DeliveryQueue
    due_at: datetime
    is_slow: bool


async def claim_due(
    connection: AsyncConnection,
    *,
    slots: FreeSlots,
    known: Mapping[UUID, KnownSubscription],
    now: datetime,
    lease_until: datetime,
    probe_until: datetime,
    token: UUID,
) -> list[ClaimedQueue]:
    """Claim due queues for the free slots. No other queue is locked.

    Subscriptions with the fewest deliveries in flight in this process come first, and of these the longest waiting.
    While a breaker is open, one process claims one queue of its subscription, and the next only after `probe_until`.
    Failing subscribers count as slow.
    """
    values = {
        "ids": list(known),
        "busy": [each.busy for each in known.values()],
        "slow": [each.is_slow for each in known.values()],
        "floors": [each.floor for each in known.values()],
        "slots": slots.total,
        "slow_slots": min(slots.slow, slots.total),
        "at_once": slots.at_once,
        "now": now,
        "lease_until": lease_until,
        "probe_until": probe_until,
        "token": token,
    }
    rows = await connection.execute(_CLAIM_DUE, values)
    return [
        ClaimedQueue(
            queue=DeliveryQueue(subscription_id=row.subscription_id, app=row.app, subject=row.subject, token=token),
            due_at=row.due_at,
            is_slow=row.is_slow,
        )
        for row in rows
    ]


_IS_DUE = "l.due_at <= :now AND (l.lease_until IS NULL OR l.lease_until <= :now)"
_IS_ITS = f"l.subscription_id = ready.id AND l.due_at >= ready.floor AND {_IS_DUE}"

# `turns` counts the due queues of each subscription without a lock, and `shares` divides the slots. Only `due` locks
# rows, at most one per slot, and skips rows that another process has locked meanwhile. Probes come first, because
# their subscriptions would otherwise wait a minute for the next one.
_CLAIM_DUE = text(f"""
    WITH known AS (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:busy AS integer[]), CAST(:slow AS boolean[]), CAST(:floors AS timestamptz[])
        ) AS known (id, busy, is_slow, floor)
    ), probed AS (
        UPDATE subscriptions s
        SET held_until = :probe_until
        FROM (
            SELECT s.id FROM subscriptions s
            LEFT JOIN known ON known.id = s.id
            WHERE s.opened_at IS NOT NULL AND s.held_until <= :now AND s.paused_at IS NULL
              AND EXISTS (
                  SELECT FROM delivery_queues l
                  WHERE l.subscription_id = s.id AND l.due_at >= COALESCE(known.floor, '-infinity') AND {_IS_DUE}
              )
            ORDER BY s.held_until
            LIMIT :slow_slots
            FOR NO KEY UPDATE OF s SKIP LOCKED
        ) AS waiting
        WHERE s.id = waiting.id
        RETURNING s.id
    ), ready AS (
        SELECT id, -1 AS busy, 1 AS free, TRUE AS is_slow, CAST('-infinity' AS timestamptz) AS floor FROM probed
        UNION ALL
        SELECT s.id, COALESCE(known.busy, 0), CAST(:at_once AS integer) - COALESCE(known.busy, 0),
            COALESCE(known.is_slow, FALSE) OR s.failing_since IS NOT NULL,
            COALESCE(known.floor, '-infinity')
        FROM subscriptions s
        LEFT JOIN known ON known.id = s.id
        WHERE s.opened_at IS NULL AND s.paused_at IS NULL AND (s.held_until IS NULL OR s.held_until <= :now)
          AND COALESCE(known.busy, 0) < :at_once
    ), turns AS (
        SELECT ready.id, ready.is_slow, ready.busy + l.nth AS turn, l.due_at
        FROM ready
        CROSS JOIN LATERAL (
            SELECT waiting.due_at, row_number() OVER (ORDER BY waiting.due_at) AS nth
            FROM (
                SELECT l.due_at FROM delivery_queues l WHERE {_IS_ITS}
                ORDER BY l.due_at LIMIT LEAST(ready.free, CAST(:slots AS integer))
            ) AS waiting
        ) l
    ), shares AS (
        SELECT id, count(*) AS share
        FROM (
            SELECT id
            FROM (SELECT *, row_number() OVER (PARTITION BY is_slow ORDER BY turn, due_at) AS nth FROM turns) AS ranked
            WHERE NOT is_slow OR nth <= :slow_slots
            ORDER BY turn, due_at
            LIMIT :slots
        ) AS chosen
        GROUP BY id
    ), due AS (
        SELECT l.subscription_id, l.app, l.subject, l.due_at, ready.is_slow
        FROM ready
        JOIN shares ON shares.id = ready.id
        CROSS JOIN LATERAL (
            SELECT l.subscription_id, l.app, l.subject, l.due_at
            FROM delivery_queues l
            WHERE {_IS_ITS}
            ORDER BY l.due_at
            LIMIT shares.share
            FOR UPDATE SKIP LOCKED
        ) l
    )
    UPDATE delivery_queues l
    SET lease_token = :token, lease_until = :lease_until
    FROM due
    WHERE (l.subscription_id, l.app, l.subject) = (due.subscription_id, due.app, due.subject)
    RETURNING l.subscription_id, l.app, l.subject, l.due_at, due.is_slow
""")  # noqa: S608  # no input in it
