"""Delivery queues: the pending deliveries of one subject to one subscription, sent one at a time.

`queue_claims` claims them. A transaction that changes deliveries first locks their queue, so a queue cannot be deleted
as empty while a delivery is added. Locks are taken in the order queue, delivery, subscription.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, kw_only=True)
class DeliveryQueue:
    """A claimed queue. Every write to it needs the lease `token`."""

    subscription_id: UUID
    app: str
    subject: str
    token: UUID


async def lock(connection: AsyncConnection, queue: DeliveryQueue) -> bool:
    """Lock the queue until the end of the transaction. Returns False if another process has its lease."""
    return await connection.scalar(_LOCK, _key(queue)) is not None


async def leave(connection: AsyncConnection, queue: DeliveryQueue, *, due_at: datetime) -> bool:
    """Release the queue with this due time, or delete it if it is empty. Returns False in that case.

    Call it in a later statement than the one that locked the queue, so it sees all pending deliveries.
    """
    if (await connection.execute(_CLOSE, _key(queue))).rowcount:
        return False
    await connection.execute(_LEAVE, {**_key(queue), "due_at": due_at})
    return True


async def release(connection: AsyncConnection, queue: DeliveryQueue) -> None:
    """Release the queue with its due time unchanged."""
    await connection.execute(_RELEASE, _key(queue))


async def retry_now(connection: AsyncConnection, subscription_id: UUID, *, now: datetime) -> None:
    """Make all queues that wait for a retry due now, except queues that are locked.

    Their holder may be waiting for the subscription, which the caller has locked, so waiting could deadlock.
    """
    await connection.execute(_RETRY_NOW, {"subscription_id": subscription_id, "now": now})


def _key(queue: DeliveryQueue) -> dict[str, object]:
    return {
        "subscription_id": queue.subscription_id,
        "app": queue.app,
        "subject": queue.subject,
        "token": queue.token,
    }


_IS_OURS = "subscription_id = :subscription_id AND app = :app AND subject = :subject AND lease_token = :token"

_LOCK = text(f"SELECT 1 FROM delivery_queues WHERE {_IS_OURS} FOR UPDATE")  # noqa: S608  # no input in it

_CLOSE = text(f"""
    DELETE FROM delivery_queues l
    WHERE {_IS_OURS} AND NOT EXISTS (
        SELECT FROM deliveries d
        WHERE d.subscription_id = l.subscription_id AND d.app = l.app AND d.subject = l.subject AND d.state = 'pending'
    )
""")  # noqa: S608  # likewise

_LEAVE = text(
    f"UPDATE delivery_queues SET due_at = :due_at, lease_token = NULL, lease_until = NULL WHERE {_IS_OURS}"  # noqa: S608  # likewise
)

_RELEASE = text(
    f"UPDATE delivery_queues SET lease_token = NULL, lease_until = NULL WHERE {_IS_OURS}"  # noqa: S608  # likewise
)

_RETRY_NOW = text("""
    UPDATE delivery_queues l
    SET due_at = :now
    FROM (
        SELECT app, subject FROM delivery_queues
        WHERE subscription_id = :subscription_id AND due_at > :now
        FOR UPDATE SKIP LOCKED
    ) AS waiting
    WHERE l.subscription_id = :subscription_id AND l.app = waiting.app AND l.subject = waiting.subject
""")
