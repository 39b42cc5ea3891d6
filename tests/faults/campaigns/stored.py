"""Reads the database as evidence, in plain SQL that is independent of the code under test."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.faults.campaigns.evidence import (
    StoredCursor,
    StoredDelivery,
    StoredEvent,
    StoredFlow,
    StoredSubscription,
    StoredUser,
    StoredWebhook,
    SyncRow,
)

# A subject that has been due for so long is stuck.
LATE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The rows that are judged."""

    webhooks: dict[str, StoredWebhook]
    sync_rows: list[SyncRow]
    flows: list[StoredFlow]
    users: dict[str, StoredUser]
    events: list[StoredEvent]
    subscriptions: list[StoredSubscription]
    deliveries: list[StoredDelivery]
    cursors: list[StoredCursor]


async def read(connection: Any, now: datetime | None = None) -> Stored:
    """Read them in one transaction, as of one moment. `now` replaces the machine's clock."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        webhooks = await connection.fetch("SELECT message_id, body, received_count FROM webhooks")
        sync_rows = await connection.fetch(_SYNC_ROWS, LATE_SECONDS, now)
        flows = await connection.fetch(_FLOWS)
        users = await connection.fetch(_USERS)
        events = await connection.fetch(_EVENTS)
        subscriptions = await connection.fetch(_SUBSCRIPTIONS)
        deliveries = await connection.fetch(_DELIVERIES)
        cursors = await connection.fetch(_CURSORS)
    return Stored(
        webhooks={row[0]: StoredWebhook(body=row[1], received_count=row[2]) for row in webhooks},
        sync_rows=[SyncRow(**row) for row in sync_rows],
        flows=[_flow(row) for row in flows],
        users={row["id"]: StoredUser(**row) for row in users},
        events=[StoredEvent(**row) for row in events],
        subscriptions=[StoredSubscription(**dict(row) | {"types": tuple(row["types"])}) for row in subscriptions],
        deliveries=[StoredDelivery(**row) for row in deliveries],
        cursors=[StoredCursor(**row) for row in cursors],
    )


def _flow(row: Any) -> StoredFlow:
    fields = dict(row)
    return StoredFlow(
        **fields | {"steps": tuple(fields["steps"] or ()), "completed": frozenset(fields["completed"] or ())}
    )


_SYNC_ROWS = """
    SELECT subject_id, kind, dirty_gen, clean_gen,
        due_at < COALESCE($2, now()) - make_interval(secs => $1) IS TRUE AS is_late,
        dead_at IS NOT NULL AS is_dead, last_error
    FROM sync_rows
"""

_FLOWS = """
    SELECT ref::text, id, status, caller, idempotency_key, user_id,
        (SELECT array_agg(name ORDER BY position) FROM flow_steps s WHERE s.flow_ref = f.ref) AS steps,
        (SELECT array_agg(name) FROM flow_steps s WHERE s.flow_ref = f.ref AND completed_at IS NOT NULL) AS completed
    FROM flows f
"""

_USERS = """
    SELECT id, verdict, was_id_verified, check_submitted_at IS NOT NULL OR id_submitted_at IS NOT NULL AS is_awaited
    FROM users
"""

_EVENTS = """
    SELECT id::text, type, subject, sequence, position, data->>'step' AS step, occurred_at
    FROM events ORDER BY row_id
"""

_SUBSCRIPTIONS = "SELECT description AS name, types, with_compliance FROM subscriptions"

_DELIVERIES = """
    WITH repeated AS (
        SELECT subscription_id, position
        FROM delivery_attempts
        GROUP BY subscription_id, position
        HAVING max(id) > min(id) FILTER (WHERE error IS NULL)
    )
    SELECT s.description AS subscriber, e.id::text AS event_id, d.state, d.last_error,
        r.position IS NOT NULL AS is_attempted_after_success
    FROM deliveries d
    JOIN subscriptions s ON s.id = d.subscription_id
    JOIN events e ON e.position = d.position
    LEFT JOIN repeated r ON r.subscription_id = d.subscription_id AND r.position = d.position
"""

_CURSORS = """
    SELECT b.broker, GREATEST(feed.expired_position, (SELECT max(position) FROM events)) - b.position AS behind
    FROM broker_offsets b CROSS JOIN feed
"""
