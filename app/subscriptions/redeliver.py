"""Send events again, or events from before the subscription existed: one event, or all since a time."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from app.feed import event_rows, event_times
from app.storage import database, notifications
from app.subscriptions import manage_subscriptions, read_deliveries, redelivery_rows
from app.subscriptions.inputs import SubscriptionInputs
from app.subscriptions.redelivery_rows import RedeliveryCandidate, RedeliveryCount, RedeliveryFilter
from app.subscriptions.rules import subscriptions

# The most events made pending in one transaction, so it holds its locks briefly, and in one call.
BATCH = 1_000
CALL_LIMIT = 10_000
# The most positions searched in one transaction and in one call.
SCAN_LIMIT = 10_000
LOOK_LIMIT = 100_000


@dataclass(frozen=True, kw_only=True)
class RedeliveryRequest:
    """Selects events of these types from `since` until before `until`.

    Only types of the subscription count. `after` is the position at which an earlier call stopped.
    """

    types: Collection[str]
    since: datetime
    until: datetime | None = None
    after: int = 0


@dataclass(frozen=True, kw_only=True)
class Redelivery:
    """The counts of a redelivery or dry run. The next call continues `after` `next_after`. None: all is done."""

    count: RedeliveryCount
    is_dry_run: bool
    next_after: int | None = None


async def redeliver_one(inputs: SubscriptionInputs, subscription_id: UUID, event_id: UUID) -> None:
    """Send one event again, in any state. Raises SubscriptionNotFoundError, DeliveryNotFoundError."""
    history = await read_deliveries.read_delivery(inputs.engine, subscription_id, event_id)
    async with database.transaction(inputs.engine) as connection:
        await redelivery_rows.make_pending(connection, subscription_id, [history.delivery.position], now=inputs.clock())
    inputs.notifications.send(notifications.DELIVERABLE)


async def redeliver(
    inputs: SubscriptionInputs, subscription_id: UUID, wanted_events: RedeliveryRequest, *, is_dry_run: bool
) -> Redelivery:
    """Make the selected events pending if they were delivered, given up or never sent. A dry run only counts them.

    Raises SubscriptionNotFoundError. Expired events are not sent, and pending deliveries stay unchanged.
    """
    subscription = await manage_subscriptions.read_subscription(inputs.engine, subscription_id)
    async with database.transaction(inputs.engine) as connection:
        first, last = await _range(connection, wanted_events)
    wanted = RedeliveryFilter(
        subscription_id=subscription_id,
        app=subscription.app,
        types=subscriptions.wanted_types(subscription) & frozenset(wanted_events.types),
        since=wanted_events.since,
        until=wanted_events.until,
        after=first,
        up_to=min(last, first + LOOK_LIMIT),
    )
    if not is_dry_run:
        return await _make_pending(inputs, wanted, last=last)
    async with database.transaction(inputs.engine) as connection:
        count = await redelivery_rows.count(connection, wanted)
    return Redelivery(count=count, is_dry_run=True, next_after=_next_after(wanted.up_to, last))


async def _range(connection: AsyncConnection, wanted_events: RedeliveryRequest) -> tuple[int, int]:
    """The range of positions (after, up to) that holds all events of the selected time."""
    first = await event_times.last_before(connection, wanted_events.since - event_times.MARGIN)
    last = (await event_rows.state(connection)).last_position
    if wanted_events.until is not None:
        last = min(last, await event_times.last_before(connection, wanted_events.until + event_times.MARGIN))
    return max(first, wanted_events.after), last


async def _make_pending(inputs: SubscriptionInputs, wanted: RedeliveryFilter, *, last: int) -> Redelivery:
    done: list[RedeliveryCandidate] = []
    reached, end = wanted.after, wanted.up_to
    while reached < end and len(done) < CALL_LIMIT:
        wanted = replace(wanted, after=reached, up_to=min(reached + SCAN_LIMIT, end))
        async with database.transaction(inputs.engine) as connection:
            batch = await redelivery_rows.candidates(connection, wanted, limit=BATCH)
            positions = [candidate.position for candidate in batch]
            await redelivery_rows.make_pending(connection, wanted.subscription_id, positions, now=inputs.clock())
        inputs.notifications.send(notifications.DELIVERABLE)
        done += batch
        reached = positions[-1] if len(batch) == BATCH else wanted.up_to
    count = RedeliveryCount(
        again=sum(not candidate.is_fresh for candidate in done),
        fresh=sum(candidate.is_fresh for candidate in done),
        subjects=len({(candidate.app, candidate.subject) for candidate in done}),
    )
    return Redelivery(count=count, is_dry_run=False, next_after=_next_after(reached, last))


def _next_after(reached: int, last: int) -> int | None:
    return reached if reached < last else None
