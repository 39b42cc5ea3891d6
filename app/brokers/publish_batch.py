"""Publish a batch of events: in order within a subject, several subjects at once."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.brokers.broker import Broker
from app.errors import BrokerUnavailableError
from app.feed.events import EventRecord

SUBJECTS_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a batch: `published` events were confirmed, and the first `prefix` events without a gap.

    Events confirmed after a gap are published again, with the same ids.
    """

    prefix: int
    published: int
    error: BrokerUnavailableError | None


async def publish_batch(broker: Broker, events: Sequence[EventRecord], *, is_over: Callable[[], bool]) -> Outcome:
    """Publish until all are done, one fails, or `is_over`. An event waits for earlier events of its subject."""
    queues: defaultdict[tuple[str, str], deque[int]] = defaultdict(deque)
    for index, event in enumerate(events):
        queues[event.app, event.subject].append(index)
    waiting = deque(queues.values())
    confirmed = [False] * len(events)
    errors: list[BrokerUnavailableError] = []

    async def publish_queues() -> None:
        while waiting:
            for index in waiting.popleft():
                if errors or is_over():
                    return
                try:
                    await broker.publish(events[index])
                except BrokerUnavailableError as error:
                    errors.append(error)
                    return
                confirmed[index] = True

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(SUBJECTS_AT_ONCE, len(waiting))):
            tasks.create_task(publish_queues())
    prefix = next((index for index, is_confirmed in enumerate(confirmed) if not is_confirmed), len(events))
    return Outcome(prefix=prefix, published=sum(confirmed), error=errors[0] if errors else None)
