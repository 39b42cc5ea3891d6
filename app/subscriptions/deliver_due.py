"""Send what is due to subscriptions: each subject's events in order, and nobody in another one's way."""

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
from app.storage import database, hints
from app.storage.front import FullLooks
from app.subscriptions import (
    delivery_rows,
    keep_secrets,
    lane_claims,
    lane_rows,
    settle_delivery,
    subscriber_health,
    subscription_secret_rows,
)
from app.subscriptions.delivery_room import DeliveryRoom
from app.subscriptions.lane_claims import ClaimedLane, KnownSubscription
from app.subscriptions.lane_rows import Lane
from app.subscriptions.push.http_push import Message
from app.subscriptions.rules import deliveries
from app.subscriptions.rules.deliveries import Attempt, Delivery
from app.tools import Tools

log = structlog.get_logger()

# Settling waits here rather than for the pool's connections, which others need too.
SETTLED_AT_ONCE = 4
# A floor lags behind by this: a lane may become visible a little after the time from which it is due, and the clocks
# of other processes may be slow.
FLOOR_LAG = timedelta(seconds=5)
# A subscription that has been sent nothing for so long needs no floor.
FLOOR_KEPT = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """The first delivery of a claimed lane, and the keys to sign it with."""

    lane: Lane
    delivery: Delivery
    keys: Sequence[bytes]


class Courier:
    """Sends for one worker process: `in_flight` deliveries at the same time, of those `at_once` to a subscription.

    A pass only begins: what it has begun goes on by itself, as one of `tasks`, so that a subscriber that takes its
    time takes nobody else's; when it ends, it wakes the next pass if that may find something.
    """

    def __init__(self, tools: Tools, tasks: asyncio.TaskGroup, *, in_flight: int, at_once: int) -> None:
        """Take what is needed; nothing is sent before the first pass."""
        self._tools = tools
        self._tasks = tasks
        self._room = DeliveryRoom(in_flight=in_flight, at_once=at_once)
        self._floors: dict[UUID, datetime] = {}
        self._full_looks = FullLooks()
        self._settling = asyncio.Semaphore(SETTLED_AT_ONCE)

    async def deliver_due(self) -> int:
        """One pass: claim due lanes where there is room, and begin to send the first delivery of each."""
        slow = self._room.slow(time.monotonic())
        if self._room.left(slow).total <= 0:
            return 0
        async with database.transaction(self._tools.engine) as connection:
            claimed = await self._claim(connection, slow)
            outgoing = await self._prepare(connection, [each.lane for each in claimed])
        self._raise_floors(claimed)
        slow_lanes = {each.lane for each in claimed if each.is_slow}
        for one in outgoing:
            is_slow = one.lane in slow_lanes
            self._room.begin(one.lane, one.lane.subscription_id, now=time.monotonic(), is_slow=is_slow)
            self._tasks.create_task(self._carry(one))
        return len(outgoing)

    async def _claim(self, connection: AsyncConnection, slow: set[UUID]) -> list[ClaimedLane]:
        tools, now, began = self._tools, self._tools.clock(), time.monotonic()
        is_full = self._full_looks.is_due(began)
        floors = {} if is_full else self._floors
        busy = self._room.busy
        claimed = await lane_claims.claim_due(
            connection,
            room=self._room.left(slow),
            known={
                each: KnownSubscription(busy=busy.get(each, 0), is_slow=each in slow, floor=floors.get(each))
                for each in {*busy, *slow, *floors}
            },
            now=now,
            lease_until=now + tools.delivery_lease,
            probe_until=now + deliveries.BREAKER_PAUSE,
            token=tools.new_uuid(),
        )
        if is_full:
            ended = time.monotonic()
            self._full_looks.took(ended - began, now=ended)
            self._floors = {each: floor for each, floor in self._floors.items() if floor > now - FLOOR_KEPT}
        return claimed

    def _raise_floors(self, claimed: Sequence[ClaimedLane]) -> None:
        """Begin later looks behind the dead rows that these lanes are about to leave.

        The lanes of a subscription are claimed in the order of `due_at`, so what was due before is claimed too.
        """
        settled = self._tools.clock() - FLOOR_LAG
        for each in claimed:
            subscription_id, floor = each.lane.subscription_id, min(each.due_at, settled)
            self._floors[subscription_id] = max(floor, self._floors.get(subscription_id, floor))

    async def _prepare(self, connection: AsyncConnection, lanes: Sequence[Lane]) -> list[Outgoing]:
        """The first delivery of each lane; lanes that have none to send are given back."""
        if not lanes:
            return []
        now = self._tools.clock()
        heads = await delivery_rows.heads(connection, lanes)
        keys = await self._keys(connection, {lane.subscription_id for lane in lanes})
        outgoing = []
        for lane, head in zip(lanes, heads, strict=True):
            if head is None:
                await lane_rows.leave(connection, lane, due_at=now)
            elif lane.subscription_id not in keys:
                await lane_rows.release(connection, lane)
            else:
                outgoing.append(Outgoing(lane=lane, delivery=head, keys=keys[lane.subscription_id]))
        return outgoing

    async def _keys(
        self, connection: AsyncConnection, subscription_ids: Collection[UUID]
    ) -> Mapping[UUID, list[bytes]]:
        """What to sign with, newest first; a subscription whose secrets cannot be opened is left alone for a while."""
        tools, now = self._tools, self._tools.clock()
        keys: dict[UUID, list[bytes]] = {}
        records = await subscription_secret_rows.live_of_all(connection, subscription_ids, now=now)
        for subscription_id in sorted(records):  # in the same order as others who lock some of them
            try:
                keys[subscription_id] = keep_secrets.open_all(tools.vault, records[subscription_id])
            except EncryptionUnavailableError:
                log.error("subscription held: its secrets cannot be opened", subscription=str(subscription_id))  # noqa: TRY400  # a traceback would say no more
                await subscriber_health.hold(connection, subscription_id, until=now + deliveries.BREAKER_PAUSE)
        return keys

    async def _carry(self, one: Outgoing) -> None:
        """Send one delivery and note what came of it; whatever goes wrong, the lease runs out and it is sent again."""
        has_made_due = False
        try:
            has_made_due = await self._send(one)
        except DatabaseUnavailableError:
            log.warning("delivery not settled: it will be sent again", subscription=str(one.lane.subscription_id))
        except Exception:  # One delivery's bug must not end the courier.
            log.exception("delivery broke", subscription=str(one.lane.subscription_id))
        finally:
            # Where there was no room left, more may be waiting than was claimed.
            was_full = self._room.end(one.lane)
            if has_made_due or was_full:
                self._tools.hints.wake(hints.DELIVERABLE)

    async def _send(self, one: Outgoing) -> bool:
        """Send and settle; whether there is something to be sent now that could not be before."""
        tools, delivery = self._tools, one.delivery
        now = tools.clock()
        body = cloudevents.encoded(delivery.event)
        message = Message(id=str(delivery.event.id), body=body, sent_at=now, keys=one.keys)
        answer = await tools.pusher.push(delivery.url, message)
        self._room.answered(delivery.subscription_id, answer.took)
        attempt = Attempt(
            attempted_at=now,
            status=answer.status,
            error=answer.error,
            took=answer.took,
            asked_for=answer.retry_after,
        )
        async with self._settling:
            settlement = await settle_delivery.settle_delivery(tools, one.lane, delivery, attempt)
        tools.telemetry.deliveries.labels(settlement.outcome).inc()
        tools.telemetry.delivery_seconds.observe(answer.took.total_seconds())
        log.info(
            "delivery attempted",
            subscription=str(delivery.subscription_id),
            event_id=str(delivery.event.id),
            attempts=delivery.attempts + 1,
            outcome=settlement.outcome,
            error=answer.error,
        )
        return settlement.has_made_due
