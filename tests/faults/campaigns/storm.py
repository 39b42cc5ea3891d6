"""The storm: thousands of webhooks over hundreds of flows, while payees walk on, consumers read and things break."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.faults.campaigns import consumers
from tests.faults.campaigns.consumers import Consumer
from tests.faults.campaigns.context import Context
from tests.faults.campaigns.payees import Payees
from tests.faults.campaigns.receivers import Receivers
from tests.faults.campaigns.svix import Fate, Svix

LOOKS_BETWEEN = 6
# With these further steps a flow makes some 20 webhooks, and more than 25 are sent, some of them being doubled.
FURTHER_STEPS = 9

# Given the sender, whose keys may be what is changed.
Fault = Callable[[Svix], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Storm:
    """How large it is, what happens to each message on its way, and how payees walk: see `Payees`."""

    flows: int
    fate: Fate = field(default_factory=Fate)
    further_steps: int = FURTHER_STEPS
    steps_at_once: int = 150
    busy_at_once: int | None = None


@dataclass(frozen=True, kw_only=True)
class Blown:
    """What a storm came to."""

    sent: int
    faults: int
    payees: Payees
    svix: Svix


async def blow(context: Context, storm: Storm, faults: Sequence[Fault] = ()) -> Blown:
    """Blow, and commit the faults one after the other, spread evenly; return when all is acknowledged."""
    fleet, options = context.fleet, context.options
    receivers = Receivers(fleet.api_urls, fleet.client)
    svix = Svix(receivers=receivers, history=fleet.history, dice=options.random("svix"), fate=storm.fate)
    payees = Payees(
        fleet=fleet,
        dice=options.random("payees"),
        further_steps=storm.further_steps,
        busy_at_once=storm.busy_at_once,
    )
    await payees.create(storm.flows)
    pace = Pace(actions=payees.actions_left, faults=len(faults))
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(svix.run())
            tasks.create_task(_walk(context, storm, payees, svix, pace))
            tasks.create_task(_break(svix, faults, pace))
        return Blown(sent=svix.sent, faults=svix.dropped + len(faults), payees=payees, svix=svix)
    finally:
        await receivers.close()


@dataclass(kw_only=True)
class Pace:
    """Keeps payees and faults in step: each fault has its share of the actions before it, and one while it lasts."""

    actions: int
    faults: int
    committed: int = 0
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def share(self, number: int) -> int:
        """How many actions go before this fault."""
        return number * self.actions // (self.faults + 1)

    def may_walk(self, walked: int) -> bool:
        """Whether payees may go on after so many actions."""
        return self.committed == self.faults or walked < self.share(self.committed + 2)

    async def wait(self, walked: int) -> None:
        """Wait until payees may go on."""
        async with self._news:
            await self._news.wait_for(lambda: self.may_walk(walked))

    async def commit(self) -> None:
        """One fault more has been committed."""
        async with self._news:
            self.committed += 1
            self._news.notify_all()


async def _walk(context: Context, storm: Storm, payees: Payees, svix: Svix, pace: Pace) -> None:
    """Let payees walk, hand on what Dots says of it, and read in between."""
    consumer = Consumer(fleet=context.fleet, dice=context.options.random("consumer"))
    looks = context.options.random("looks")
    while payees.actions_left:
        await payees.act(storm.steps_at_once)
        await svix.offer(await payees.new_messages())
        async with asyncio.TaskGroup() as reading:
            reading.create_task(consumer.read_on(3))
            for _ in range(LOOKS_BETWEEN):
                flow_id = looks.choice(payees.walks).flow_id
                await consumers.look_at(context.fleet, looks, flow_id)
        walked = pace.actions - payees.actions_left
        if not pace.may_walk(walked):
            await svix.hurry(is_in_a_hurry=True)
            await pace.wait(walked)
            await svix.hurry(is_in_a_hurry=False)
    await svix.complete()
    await consumer.read_on(5)


async def _break(svix: Svix, faults: Sequence[Fault], pace: Pace) -> None:
    """Commit each fault when its share of the webhooks is through, and some of them after the fault before it."""
    fresh = 0
    for number, fault in enumerate(faults, start=1):
        await svix.reached(max(pace.share(number), fresh))
        await fault(svix)
        fresh = svix.acknowledged + pace.share(1) // 2
        await pace.commit()
