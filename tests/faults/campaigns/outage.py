"""Thirty hours without a webhook, ten of them without a worker, in virtual time: sweeps alone repair everything."""

import asyncio
import heapq
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from app.dots.call_ledger import CallLedger
from app.dots.client import DotsAccess, DotsClient, DotsClients
from app.feed import sequence_events
from app.flows import discover_flows, refresh_due, settle_creations, sync_rows
from app.flows.rules.flow_request import FlowRequest
from app.storage import database
from app.storage.subjects import Subject
from app.subscriptions import delivery_rows
from simulator import simulation
from simulator.application import create_app
from simulator.settings import Settings
from tests.all_inputs import AllInputs, HandClock, gate_of, inputs_over
from tests.faults.campaigns import in_process, invariants, server
from tests.faults.campaigns.evidence import DotsState
from tests.faults.campaigns.history import Asked, Decided, Poisoned, Timeline
from tests.faults.campaigns.options import Campaign, Outcome, RunOptions
from tests.flows.creating import create
from tests.stack import dots
from tests.stack.dots import Dots

OUTAGE = timedelta(hours=30)
NO_WORKER = (timedelta(hours=10), timedelta(hours=20))
# The next daily refresh comes within a day, and the users it finds are refreshed within hours.
REPAIRED_WITHIN = timedelta(hours=34)
# A real worker looks more often, but in most virtual hours nothing is due.
TICK, LONG_TICK = timedelta(minutes=10), timedelta(minutes=30)
SIMULATOR = "http://dots.test"
JUDGED = ("I0", "I3", "I4", "I6", "I7", "I8", "I9")
STEPS = ("compliance", "id-verification", "background-check", "manage-payouts", "payout")


@dataclass(kw_only=True)
class World:
    """The simulator in memory, its payees and the gateway's inputs, all with one clock."""

    inputs: AllInputs
    clock: HandClock
    dots: Dots
    dice: Random
    timeline: Timeline = field(default_factory=Timeline)
    plans: list[tuple[datetime, int, str, str]] = field(default_factory=list)
    acted: int = 0

    async def create(self, number: int) -> None:
        """Create a flow, and plan when its payee does what during the outage."""
        user_id = await self.dots.add_user() if number % 2 else None
        request = FlowRequest(app="default", steps=STEPS, user_id=user_id, reference=f"payee-{number}")
        made = await create(self.inputs, request, caller="campaign", key=f"key-{number}")
        flow_id = str(made.answer["id"])
        self.timeline.asked.append(
            Asked(key=f"key-{number}", status=201, flow_id=flow_id, has_user=user_id is not None)
        )
        actions = (["claim"] if user_id is None else []) + list(STEPS) + ["verdict"]
        times = sorted(self.clock.now + OUTAGE * self.dice.random() for _ in actions)
        for options, (at, action) in enumerate(zip(times, actions, strict=True)):
            heapq.heappush(self.plans, (at, 100 * number + options, flow_id, action))

    async def act_until_now(self) -> None:
        """Carry out the actions that were planned up to now."""
        while self.plans and self.plans[0][0] <= self.clock.now:
            _, _, flow_id, action = heapq.heappop(self.plans)
            self.acted += 1
            if action == "claim":
                await self.dots.onboard(flow_id)
            elif action == "verdict":
                await self._decide(flow_id)
            else:
                await self.dots.do(flow_id, action, verdict="pending")

    async def work(self) -> None:
        """Do workers' work until nothing is due."""
        while (await refresh_due.refresh_due(self.inputs, limit=20)).claimed:
            pass
        await discover_flows.discover_flows(self.inputs)
        await settle_creations.settle_creations(self.inputs)
        while await sequence_events.sequence_events(self.inputs, delivery_rows, limit=1000):
            pass

    async def _decide(self, flow_id: str) -> None:
        flows = (await self.dots.ask("state"))["flows"]
        user_id = next(flow["user_id"] for flow in flows if flow["id"] == flow_id)
        verdict = self.dice.choice(("cleared", "flagged"))
        await self.dots.tell(f"users/{user_id}/verdict", {"status": verdict})
        self.timeline.decided.append(Decided(user_id=user_id, verdict=verdict))


async def run_outage(options: RunOptions) -> Outcome:
    """Payees complete steps for thirty hours without webhooks. Two days later the gateway agrees with Dots."""
    count = options.count(60, least=12)
    async with AsyncExitStack() as resources:
        postgres = await resources.enter_async_context(server.running(options.directory, durable=False))
        world = await _build(resources, postgres.direct_url, options)
        for number in range(count):
            await world.create(number)
        await _poison(world)
        began = world.clock.now
        while (age := world.clock.now - began) < OUTAGE + REPAIRED_WITHIN:
            await world.act_until_now()
            if not NO_WORKER[0] <= age < NO_WORKER[1]:
                await world.work()
            world.clock.advance(LONG_TICK if options.is_short else TICK)
        await world.work()
        violations = await _judge(world, postgres.direct_url)
    return Outcome(events=world.acted, faults=1, invariants=JUDGED, violations=violations)


async def _build(resources: AsyncExitStack, database_url: str, options: RunOptions) -> World:
    clock = HandClock()
    settings = Settings(public_url=SIMULATOR, webhook_secret=dots.WEBHOOK_SECRET, seed=options.seed)
    simulated = simulation.build(settings, clock=clock, sleep=asyncio.sleep)
    resources.push_async_callback(simulated.close)
    transport = httpx.ASGITransport(create_app(simulated))
    client = await resources.enter_async_context(httpx.AsyncClient(transport=transport))
    access = DotsAccess(
        app="default", base_url=f"{SIMULATOR}/api", client_id=dots.CLIENT_ID, api_key=dots.API_KEY, app_id=None
    )
    engine = database.create_engine(database_url, pool_size=30)
    resources.push_async_callback(engine.dispose)
    ledger = CallLedger(engine, budget=in_process.AMPLE, now=clock)
    gate = gate_of("default", ledger, clock, in_process.AMPLE)
    dots_client = await resources.enter_async_context(DotsClient(access, gate=gate, transport=transport, now=clock))
    inputs = replace(inputs_over(engine, clock, {}), clients=DotsClients({"default": dots_client}))
    return World(inputs=inputs, clock=clock, dots=Dots(SIMULATOR, client), dice=options.random("world"))


async def _poison(world: World) -> None:
    """Make a flow due that Dots does not know."""
    subject = Subject(app="default", kind="flow", id=str(UUID(int=1, version=4)))
    world.timeline.poisoned.append(Poisoned(subject_id=subject.id))
    async with database.transaction(world.inputs.engine) as connection:
        await sync_rows.mark_due(connection, [subject], due_at=world.clock.now, due_by="webhook")


async def _judge(world: World, database_url: str) -> list[str]:
    state: dict[str, Any] = await world.dots.ask("state")
    dots_state = DotsState(
        flows={flow["id"]: flow for flow in state["flows"]}, users={user["id"]: user for user in state["users"]}
    )
    evidence = await in_process.collect(
        database_url, world.inputs.engine, world.timeline, dots_state, now=world.clock.now
    )
    violations = invariants.judge(evidence, JUDGED)
    async with database.transaction(world.inputs.engine) as connection:
        reported_by = set(await connection.scalars(text("SELECT DISTINCT discovered_by FROM flow_steps")))
    if reported_by - {None, "sweep"}:
        violations.append(f"I4: steps were found by {reported_by}, but only sweeps could find them")
    if not any(row.is_dead for row in evidence.sync_rows):
        violations.append("I3: the poison is not dead")
    return violations


CAMPAIGN = Campaign(name="outage", summary="30 hours without webhooks, in virtual time", run=run_outage)
