"""Save the result of an attempt: update the delivery, its queue and the subscription."""

from dataclasses import dataclass
from typing import Literal

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage import database
from app.subscriptions import (
    delivery_rows,
    queue_rows,
    subscriber_health,
    subscription_rows,
)
from app.subscriptions.inputs import SubscriptionInputs
from app.subscriptions.queue_rows import DeliveryQueue
from app.subscriptions.rules import deliveries
from app.subscriptions.rules.deliveries import Attempt, Delivery
from app.subscriptions.rules.subscriptions import PausedBy

log = structlog.get_logger()

GONE = 410
TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """The result: `delivered`, `failed` (to be retried), `dead`, or `fenced`.

    Fenced: another process has the queue's lease and sends the event again, so nothing was saved. `has_made_due`:
    another delivery has become due.
    """

    outcome: Literal["delivered", "failed", "dead", "fenced"]
    has_made_due: bool = False


async def settle_delivery(
    inputs: SubscriptionInputs, queue: DeliveryQueue, delivery: Delivery, attempt: Attempt
) -> Settlement:
    """Record the attempt and release the queue, in one transaction."""
    async with database.transaction(inputs.engine) as connection:
        if not await queue_rows.lock(connection, queue):
            return Settlement(outcome="fenced")
        if attempt.error is None:
            return await _succeed(connection, inputs, queue, delivery, attempt)
        return await _fail(connection, inputs, queue, delivery, attempt)


async def _succeed(
    connection: AsyncConnection, inputs: SubscriptionInputs, queue: DeliveryQueue, delivery: Delivery, attempt: Attempt
) -> Settlement:
    now = inputs.clock()
    await delivery_rows.settle(connection, delivery, attempt)
    has_more = await queue_rows.leave(connection, queue, due_at=now)
    has_recovered = await subscriber_health.note_success(connection, delivery.subscription_id, now=now)
    if has_recovered:
        log.info("breaker closed", subscription=str(delivery.subscription_id))
        # The receiver works again, so retry earlier failures now.
        await queue_rows.retry_now(connection, delivery.subscription_id, now=now)
    return Settlement(outcome="delivered", has_made_due=has_more or has_recovered)


async def _fail(
    connection: AsyncConnection, inputs: SubscriptionInputs, queue: DeliveryQueue, delivery: Delivery, attempt: Attempt
) -> Settlement:
    now = inputs.clock()
    retry_at = deliveries.next_attempt_at(
        delivery.attempts + 1, now=now, jitter=inputs.jitter(), retry_after=attempt.retry_after
    )
    is_dead = retry_at is None
    await delivery_rows.fail(connection, delivery, attempt, is_last=is_dead)
    has_more = await queue_rows.leave(connection, queue, due_at=retry_at or now)
    await _record_failure(connection, inputs, delivery, attempt)
    return Settlement(outcome="dead", has_made_due=has_more) if is_dead else Settlement(outcome="failed")


async def _record_failure(
    connection: AsyncConnection, inputs: SubscriptionInputs, delivery: Delivery, attempt: Attempt
) -> None:
    """Pause the subscription, hold it, or open its breaker, if the failure requires that."""
    now, subscription_id = inputs.clock(), delivery.subscription_id
    health = await subscriber_health.note_failure(connection, subscription_id, now=now)
    if health is None:
        return
    pause_by: PausedBy | None = "gone" if attempt.status == GONE else None
    if now - health.failing_since >= deliveries.PAUSED_AFTER:
        pause_by = "failing"
    if pause_by:
        await subscription_rows.pause(connection, subscription_id, by=pause_by, now=now)
        log.error("subscription paused", subscription=str(subscription_id), by=pause_by, error=attempt.error)
        return
    if attempt.status == TOO_MANY_REQUESTS and attempt.retry_after:
        until = now + min(attempt.retry_after, deliveries.LONGEST_HOLD)
        await subscriber_health.hold(connection, subscription_id, until=until)
    latest = await subscriber_health.latest_failed(
        connection, subscription_id, since=health.closed_at, limit=deliveries.BREAKER_WINDOW
    )
    if health.opened_at or deliveries.is_broken(latest):
        until = now + deliveries.BREAKER_PAUSE
        await subscriber_health.open_breaker(connection, subscription_id, now=now, until=until)
        if not health.opened_at:
            log.warning("breaker opened", subscription=str(subscription_id), error=attempt.error)
