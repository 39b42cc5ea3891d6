"""Lanes: the pending deliveries of one subject to one subscription, sent one after the other by whoever claims it.

How a lane is claimed is in `queue_claims`.

Whoever changes deliveries holds their lane's lock, so that "nothing is pending" cannot be said of a lane to which
something is being added. Locks are taken in the order lane, delivery, subscription.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, kw_only=True)
class DeliveryQueue:
    """A claimed lane; `token` is the lease that everything done with it depends on."""

    subscription_id: UUID
    app: str
    subject: str
    token: UUID


async def lock(connection: AsyncConnection, queue: DeliveryQueue) -> bool:
    """Lock the lane for the rest of the transaction; False when its lease has gone to somebody else."""
    return await connection.scalar(_LOCK, _key(queue)) is not None


async def leave(connection: AsyncConnection, queue: DeliveryQueue, *, due_at: datetime) -> bool:
    """Give the lane back, due at that time; with nothing pending in it, it is no more, which is told by False.

    For a statement after the one that locked it, so that what is pending now is what it sees.
    """
    if (await connection.execute(_CLOSE, _key(queue))).rowcount:
        return False
    await connection.execute(_LEAVE, {**_key(queue), "due_at": due_at})
    return True


async def release(connection: AsyncConnection, queue: DeliveryQueue) -> None:
    """Give the lane back as it was."""
    await connection.execute(_RELEASE, _key(queue))


async def retry_now(connection: AsyncConnection, subscription_id: UUID, *, now: datetime) -> None:
    """Make due at once what waits for another attempt, except what is being settled at this moment.

    Waiting for that would be waiting for somebody who may wait for the subscription, which the caller has locked.
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
