"""The rows of the table that are passes of a worker, run as the worker runs them."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from app import settings
from app.feed import event_rows, sequence_events
from app.feed.events import Event
from app.flows import refresh_due
from app.flows.rules import events
from app.flows.rules.events import FlowFacts
from app.storage import database
from app.subscriptions import deliver_due, delivery_rows
from app.upkeep import purge_expired
from bench import growth_sizes
from bench.growth_fill import FAILING
from bench.growth_table import Row
from bench.growth_target import Target
from bench.growth_timing import Action, timed

BATCH = 8
SEQUENCE_LIMIT = 1000


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass; `prepare` gives it something to do."""

    run: Callable[[Target, int], Awaitable[object]]
    prepare: Callable[[Target, int], Awaitable[object]] | None = None

    def on(self, target: Target) -> Action:
        """Return the pass as it is timed on one database."""
        prepare = self.prepare and functools.partial(self.prepare, target)
        return Action(act=functools.partial(self.run, target), prepare=prepare)


async def refresh(target: Target, _number: int = 0) -> int:
    """Run one refresh pass and return how many rows it claimed."""
    return (await refresh_due.refresh_due(target.inputs.flows, limit=BATCH)).claimed


async def make_due(target: Target, number: int) -> None:
    """Make as many flows due as one pass takes."""
    ids = [growth_sizes.flow_id(target.flow_number(number * BATCH + each)) for each in range(BATCH)]
    await target.execute(
        "UPDATE sync_rows SET due_at = now(), due_by = 'webhook', dirty_gen = dirty_gen + 1, dead_at = NULL "
        "WHERE kind = 'flow' AND app IN ('default', 'europe') AND subject_id = ANY (:ids)",
        ids=ids,
    )


async def sequence(target: Target, _number: int = 0) -> int:
    """Run one pass of the sequencer."""
    return await sequence_events.sequence_events(target.inputs.feed, delivery_rows, limit=SEQUENCE_LIMIT)


async def append_some(target: Target, _number: int = 0) -> None:
    """Append events of as many flows, which one subscription gets."""
    await _append(target, [events.step_completed(_facts(), datetime.now(UTC), step="compliance") for _ in range(BATCH)])


async def deliver(target: Target, _number: int = 0) -> int:
    """Run one delivery pass, wait until all that it has begun to send is settled, and return how much that was."""
    async with asyncio.TaskGroup() as tasks:
        return await deliver_due.Dispatcher(
            target.inputs.subscriptions, tasks, in_flight=BATCH, at_once=BATCH
        ).deliver_due()


async def make_deliverable(target: Target, number: int) -> None:
    """Append events and make their deliveries."""
    await append_some(target, number)
    await sequence(target)


async def make_failing(target: Target, _number: int = 0) -> None:
    """Make one delivery to the subscription that fails and whose breaker closed a moment ago."""
    await target.execute(
        "UPDATE subscriptions SET closed_at = now(), opened_at = NULL, held_until = NULL, failing_since = NULL "
        "WHERE types = ARRAY[CAST(:kind AS text)]",
        kind=FAILING,
    )
    await target.execute(
        "UPDATE delivery_queues SET due_at = now() + interval '1 day' WHERE due_at < now() + interval '9 hours'"
    )
    await _append(target, [events.flow_completed(_facts(), datetime.now(UTC))])
    await sequence(target)


async def purge(target: Target, _number: int = 0) -> int:
    """Run one pass of the purge."""
    retention = purge_expired.Retention.of(settings.read(target.environment))
    return await purge_expired.purge_expired(target.inputs.upkeep, retention)


PASSES: dict[str, Pass] = {
    "claim pass, nothing due": Pass(run=refresh),
    f"refresh pass, {BATCH} flows due": Pass(run=refresh, prepare=make_due),
    "sequencer's pass, nothing new": Pass(run=sequence),
    f"sequencer's pass, {BATCH} events": Pass(run=sequence, prepare=append_some),
    "delivery pass, nothing due": Pass(run=deliver),
    f"delivery pass, {BATCH} deliveries sent": Pass(run=deliver, prepare=make_deliverable),
    "delivery pass, one delivery fails (breaker's history)": Pass(run=deliver, prepare=make_failing),
    "purge pass, nothing expired": Pass(run=purge),
}


async def rows(empty: Target, grown: Target, *, only: str) -> AsyncIterator[Row]:
    """Time every pass whose name contains `only` on both databases, in turn."""
    for name, each in PASSES.items():
        if only not in name:
            continue
        # Deliveries of the row before must not slow this one.
        for target in (empty, grown):
            while await deliver(target):
                pass
        yield Row.of_timings(name, *await timed(each.on(empty), each.on(grown)))


def _facts() -> FlowFacts:
    return FlowFacts(app="default", flow_id=f"bench-{uuid4()}", reference="payee-17", user_id=None)


async def _append(target: Target, fresh: list[Event]) -> None:
    for each in fresh:
        async with database.transaction(target.inputs.storage.engine) as connection:
            await event_rows.append(connection, [each], after_sequence=0)
