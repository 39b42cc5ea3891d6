"""The storm: thousands of webhooks about hundreds of flows, while payees act, consumers read and faults happen."""

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
# With these further steps a flow makes some 20 webhooks. More than 25 are sent, because some are doubled.
FURTHER_STEPS = 9

# Takes the sender, whose keys it may change.
Fault = Callable[[Svix], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Storm:
    """The size of a storm, the fate of its messages, and how payees act: see `Payees`."""

    flows: int
    fate: Fate = field(default_factory=Fate)
    further_steps: int = FURTHER_STEPS
    steps_at_once: int = 150
    busy_at_once: int | None = None


@dataclass(frozen=True, kw_only=True)
class Blown:
    """The result of a storm."""

    sent: int
    faults: int
    payees: Payees
    svix: Svix


async def blow(context: Context, storm: Storm, faults: Sequence[Fault] = ()) -> Blown:
    """Run the storm with the faults spread evenly over it. Returns when every webhook is acknowledged."""
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
    """Keeps payees and faults in step: one share of the actions comes before each fault, and one while it lasts."""

    actions: int
    faults: int
    committed: int = 0
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def share(self, number: int) -> int:
        """How many actions come before this fault."""
        return number * self.actions // (self.faults + 1)

    def may_walk(self, walked: int) -> bool:
        """Whether payees may continue after this many actions."""
        return self.committed == self.faults or walked < self.share(self.committed + 2)

    async def wait(self, walked: int) -> None:
        """Wait until payees may continue."""
        async with self._news:
            await self._news.wait_for(lambda: self.may_walk(walked))

    async def commit(self) -> None:
        """Count one more fault as done."""
        async with self._news:
            self.committed += 1
            self._news.notify_all()


async def _walk(context: Context, storm: Storm, payees: Payees, svix: Svix, pace: Pace) -> None:
    """Let payees act, send Dots' webhooks, and read in between."""
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
    """Inject each fault after its share of the webhooks, some of which must follow the previous fault."""
    fresh = 0
    for number, fault in enumerate(faults, start=1):
        await svix.reached(max(pace.share(number), fresh))
        await fault(svix)
        fresh = svix.acknowledged + pace.share(1) // 2
        await pace.commit()
