"""Send due deliveries to subscribers, in order within a subject. One subscriber does not delay another."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import DatabaseUnavailableError, EncryptionUnavailableError
from app.feed import cloudevents
from app.storage import database, notifications
from app.storage.scan_floor import FullScans
from app.subscriptions import (
    delivery_rows,
    manage_secrets,
    queue_claims,
    queue_rows,
    settle_delivery,
    subscriber_health,
    subscription_secret_rows,
)
from app.subscriptions.delivery_slots import DeliverySlots
from app.subscriptions.inputs import SubscriptionInputs
from app.subscriptions.push.http_push import Message
from app.subscriptions.queue_claims import ClaimedQueue, KnownSubscription
from app.subscriptions.queue_rows import DeliveryQueue
from app.subscriptions.rules import deliveries
from app.subscriptions.rules.deliveries import Attempt, Delivery

log = structlog.get_logger()

# The most results that are saved at the same time, so other work still gets a database connection.
SETTLED_AT_ONCE = 4
# A floor lags behind the clock by this much, because a queue may become visible shortly after its due time, and the
# clocks of other processes may be slow.
FLOOR_LAG = timedelta(seconds=5)
# A floor is forgotten after this time without deliveries.
FLOOR_KEPT = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """The first delivery of a claimed queue, and its signing keys."""

    queue: DeliveryQueue
    delivery: Delivery
    keys: Sequence[bytes]


class Dispatcher:
    """Sends the deliveries of one worker process: up to `in_flight` concurrently, and `at_once` to a subscription.

    A pass starts deliveries and returns. Each delivery is one of `tasks`, so a slow subscriber does not delay the
    others. A delivery that ends wakes the next pass if there may be more to send.
    """

    def __init__(self, inputs: SubscriptionInputs, tasks: asyncio.TaskGroup, *, in_flight: int, at_once: int) -> None:
        """Store the inputs. The first pass sends."""
        self._inputs = inputs
        self._tasks = tasks
        self._slots = DeliverySlots(in_flight=in_flight, at_once=at_once)
        self._floors: dict[UUID, datetime] = {}
        self._full_scans = FullScans()
        self._settling = asyncio.Semaphore(SETTLED_AT_ONCE)

    async def deliver_due(self) -> int:
        """Claim due queues for the free slots, and start to send the first delivery of each. Returns their number."""
        slow = self._slots.slow(time.monotonic())
        if self._slots.left(slow).total <= 0:
            return 0
        async with database.transaction(self._inputs.engine) as connection:
            claimed = await self._claim(connection, slow)
            outgoing = await self._prepare(connection, [each.queue for each in claimed])
        self._raise_floors(claimed)
        slow_queues = {each.queue for each in claimed if each.is_slow}
        for one in outgoing:
            is_slow = one.queue in slow_queues
            self._slots.begin(one.queue, one.queue.subscription_id, now=time.monotonic(), is_slow=is_slow)
            self._tasks.create_task(self._carry(one))
        return len(outgoing)

    async def _claim(self, connection: AsyncConnection, slow: set[UUID]) -> list[ClaimedQueue]:
        inputs, now, began = self._inputs, self._inputs.clock(), time.monotonic()
        is_full = self._full_scans.is_due(began)
        floors = {} if is_full else self._floors
        busy = self._slots.busy
        claimed = await queue_claims.claim_due(
            connection,
            slots=self._slots.left(slow),
            known={
                each: KnownSubscription(busy=busy.get(each, 0), is_slow=each in slow, floor=floors.get(each))
                for each in {*busy, *slow, *floors}
            },
            now=now,
            lease_until=now + inputs.delivery_lease,
            probe_until=now + deliveries.BREAKER_PAUSE,
            token=inputs.new_uuid(),
        )
        if is_full:
            ended = time.monotonic()
            self._full_scans.took(ended - began, now=ended)
            self._floors = {each: floor for each, floor in self._floors.items() if floor > now - FLOOR_KEPT}
        return claimed

    def _raise_floors(self, claimed: Sequence[ClaimedQueue]) -> None:
        """Let later claims skip the dead rows that these queues will leave.

        The queues of a subscription are claimed in order of `due_at`, so all queues due earlier are claimed as well.
        """
        settled = self._inputs.clock() - FLOOR_LAG
        for each in claimed:
            subscription_id, floor = each.queue.subscription_id, min(each.due_at, settled)
            self._floors[subscription_id] = max(floor, self._floors.get(subscription_id, floor))

    async def _prepare(self, connection: AsyncConnection, queues: Sequence[DeliveryQueue]) -> list[Outgoing]:
        """Read the first delivery of each queue. Queues without one are released."""
        if not queues:
            return []
        now = self._inputs.clock()
        heads = await delivery_rows.heads(connection, queues)
        keys = await self._keys(connection, {queue.subscription_id for queue in queues})
        outgoing = []
        for queue, head in zip(queues, heads, strict=True):
            if head is None:
                await queue_rows.leave(connection, queue, due_at=now)
            elif queue.subscription_id not in keys:
                await queue_rows.release(connection, queue)
            else:
                outgoing.append(Outgoing(queue=queue, delivery=head, keys=keys[queue.subscription_id]))
        return outgoing

    async def _keys(
        self, connection: AsyncConnection, subscription_ids: Collection[UUID]
    ) -> Mapping[UUID, list[bytes]]:
        """The signing keys by subscription, newest first. Holds subscriptions whose secrets cannot be decrypted."""
        inputs, now = self._inputs, self._inputs.clock()
        keys: dict[UUID, list[bytes]] = {}
        records = await subscription_secret_rows.live_of_all(connection, subscription_ids, now=now)
        for subscription_id in sorted(records):  # in one order, so locks cannot deadlock
            try:
                keys[subscription_id] = manage_secrets.decrypt_all(inputs.secret_cipher, records[subscription_id])
            except EncryptionUnavailableError:
                log.error("subscription held: its secrets cannot be decrypted", subscription=str(subscription_id))  # noqa: TRY400  # a traceback adds nothing
                await subscriber_health.hold(connection, subscription_id, until=now + deliveries.BREAKER_PAUSE)
        return keys

    async def _carry(self, one: Outgoing) -> None:
        """Send one delivery and save the result. If that fails, the lease expires and the delivery is sent again."""
        has_made_due = False
        try:
            has_made_due = await self._send(one)
        except DatabaseUnavailableError:
            log.warning("delivery not settled: it will be sent again", subscription=str(one.queue.subscription_id))
        except Exception:  # A bug in one delivery must not stop the dispatcher.
            log.exception("delivery failed", subscription=str(one.queue.subscription_id))
        finally:
            # If all slots were taken, more queues may be due than were claimed.
            was_full = self._slots.end(one.queue)
            if has_made_due or was_full:
                self._inputs.notifications.wake(notifications.DELIVERABLE)

    async def _send(self, one: Outgoing) -> bool:
        """Send, and save the result. Returns whether another delivery has become due."""
        inputs, delivery = self._inputs, one.delivery
        now = inputs.clock()
        body = cloudevents.encoded(delivery.event)
        message = Message(id=str(delivery.event.id), body=body, sent_at=now, keys=one.keys)
        answer = await inputs.pusher.push(delivery.url, message)
        self._slots.answered(delivery.subscription_id, answer.took)
        attempt = Attempt(
            attempted_at=now,
            status=answer.status,
            error=answer.error,
            took=answer.took,
            retry_after=answer.retry_after,
        )
        async with self._settling:
            settlement = await settle_delivery.settle_delivery(inputs, one.queue, delivery, attempt)
        inputs.telemetry.deliveries.labels(settlement.outcome).inc()
        inputs.telemetry.delivery_seconds.observe(answer.took.total_seconds())
        log.info(
            "delivery attempted",
            subscription=str(delivery.subscription_id),
            event_id=str(delivery.event.id),
            attempts=delivery.attempts + 1,
            outcome=settlement.outcome,
            error=answer.error,
        )
        return settlement.has_made_due
