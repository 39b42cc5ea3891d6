"""Publish the feed to a broker, and store the broker's offset."""

from dataclasses import dataclass

import structlog

from app.brokers import offset_rows, publish_batch
from app.brokers.broker import Broker
from app.brokers.inputs import BrokerInputs
from app.brokers.offset_rows import BrokerClaim
from app.brokers.publish_batch import Outcome
from app.feed import event_rows
from app.feed.cursor import Cursor
from app.feed.event_rows import FeedState
from app.feed.events import EventRecord
from app.storage import database

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """A claim and the next events after `start`."""

    claim: BrokerClaim
    start: Cursor
    events: list[EventRecord]

    def cursor_after(self, count: int) -> Cursor:
        position = self.events[count - 1].position if count else None
        return Cursor(epoch=self.start.epoch, position=position or self.start.position)


async def publish_feed(inputs: BrokerInputs, broker: Broker, *, limit: int) -> int:
    """Publish up to `limit` events in one pass, and move the cursor after them. Returns their number.

    Returns 0 also while another process publishes. If the process dies before it has moved the cursor, the events
    are published again with the same ids. Raises BrokerUnavailableError. The cursor is then after the last confirmed
    event without a gap, and the next pass continues there.
    """
    batch = await _claim(inputs, broker.name, limit)
    if batch is None:
        return 0
    # Stop at half the lease, so the cursor is moved well before another process can claim the broker.
    until = inputs.clock() + inputs.lease / 2
    outcome = await publish_batch.publish_batch(broker, batch.events, is_over=lambda: inputs.clock() >= until)
    inputs.telemetry.published.labels("confirmed").inc(outcome.published)
    is_kept = await _move(inputs, batch, outcome)
    if outcome.error is not None:
        inputs.telemetry.published.labels("failed").inc()
        raise outcome.error
    if not is_kept:
        log.info("lease lost to another process", broker=broker.name)
        return 0
    return outcome.prefix


async def _claim(inputs: BrokerInputs, broker: str, limit: int) -> _Batch | None:
    """Claim the broker and read the next events, in one transaction that ends before the first is published."""
    now = inputs.clock()
    async with database.transaction(inputs.engine) as connection:
        claim = await offset_rows.claim(
            connection, broker, now=now, lease_until=now + inputs.lease, token=inputs.new_uuid()
        )
        if claim is None:
            return None
        state = await event_rows.state(connection)
        start = _start(inputs, claim, state)
        found = await event_rows.between(
            connection, after=start.position, up_to=state.last_position, types=None, limit=limit
        )
    return _Batch(claim=claim, start=start, events=found)


def _start(inputs: BrokerInputs, claim: BrokerClaim, state: FeedState) -> Cursor:
    """The claim's cursor, or the earliest cursor if the feed cannot continue there. That is logged and counted."""
    if claim.cursor.epoch != state.epoch or claim.cursor.position > state.last_position:
        reason, missed = "other_epoch", None
    elif claim.cursor.position < state.expired_position:
        reason, missed = "expired", state.expired_position - claim.cursor.position
    else:
        return claim.cursor
    inputs.telemetry.broker_restarts.labels(reason).inc()
    log.warning("publishing from the earliest event kept", broker=claim.broker, reason=reason, events_missed=missed)
    return Cursor(epoch=state.epoch, position=state.expired_position)


async def _move(inputs: BrokerInputs, batch: _Batch, outcome: Outcome) -> bool:
    """Save the result. Returns False if another process has the lease."""
    cursor = batch.cursor_after(outcome.prefix)
    async with database.transaction(inputs.engine) as connection:
        if outcome.error is None:
            return await offset_rows.move(connection, batch.claim, cursor, now=inputs.clock())
        error = outcome.error.detail
        log.warning("broker failed", broker=batch.claim.broker, error=error, confirmed=outcome.published)
        return await offset_rows.move_and_fail(connection, batch.claim, cursor, now=inputs.clock(), error=error)
