"""Dots creates flows long after the gateway gave up waiting, and workers are slow to adopt them.

In virtual time. The gateway never repeats a creation that Dots carries out within two minutes.
"""

from collections import Counter
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta

import httpx

from app.errors import CreationOutcomeUnknownError
from app.feed import sequence_events
from app.flows import discover_flows, refresh_due, settle_creations
from app.flows.rules.flow_request import FlowRequest
from app.storage import database
from app.subscriptions import delivery_rows
from tests.all_inputs import HandClock, another_process, inputs_over
from tests.faults.campaigns import in_process, invariants, server
from tests.faults.campaigns.evidence import DotsState
from tests.faults.campaigns.history import Asked, Timeline
from tests.faults.campaigns.options import Campaign, Outcome, RunOptions
from tests.faults.campaigns.virtual_dots import VirtualDots
from tests.flows.creating import create

LONGEST_DELAY = timedelta(seconds=119)
TICK = timedelta(seconds=5)
LASTS = timedelta(minutes=6)
# Workers are busy: they refresh only in one tick out of this many.
REFRESH_PROBABILITY = 0.15
JUDGED = ("I3", "I4", "I6", "I8", "I9")


async def run_late_creations(options: RunOptions) -> Outcome:
    """No POST is answered. Dots carries each out at a random moment of the next two minutes."""
    count = options.count(100, least=100)
    dice = options.random("late")
    clock, dots, timeline = HandClock(), VirtualDots(), Timeline()
    due: list[tuple[datetime, httpx.Request]] = []
    async with AsyncExitStack() as resources:
        postgres = await resources.enter_async_context(server.running(options.directory, durable=False))
        engine = database.create_engine(postgres.direct_url)
        resources.push_async_callback(engine.dispose)
        inputs = another_process(inputs_over(engine, clock, {"default": dots}), budget=in_process.AMPLE)
        for number in range(count):
            dots.next_fault = "late"
            request = FlowRequest(app="default", steps=["compliance"], reference=f"payee-{number}")
            key = f"key-{number}"
            with suppress(CreationOutcomeUnknownError):
                await create(inputs, request, caller="campaign", key=key)
            timeline.asked.append(Asked(key=key, status=504, flow_id=None, has_user=False))
            due.append((clock.now + LONGEST_DELAY * dice.random(), dots.late[-1]))
        ends_at = clock.now + LASTS
        while clock.now < ends_at:
            for at, asked in due:
                if at <= clock.now and asked in dots.late:
                    dots.catch_up(asked)
            await discover_flows.discover_flows(inputs)
            await settle_creations.settle_creations(inputs)
            if dice.random() < REFRESH_PROBABILITY:
                await refresh_due.refresh_due(inputs, limit=10)
            clock.advance(TICK)
        while (await refresh_due.refresh_due(inputs, limit=20)).claimed:
            pass
        while await sequence_events.sequence_events(inputs, delivery_rows, limit=1000):
            pass
        dots_state = DotsState(flows=dots.flows, users=dots.users)
        evidence = await in_process.collect(postgres.direct_url, engine, timeline, dots_state, now=clock.now)
        await inputs.clients.of("default").aclose()
    posts = Counter(str(post["metadata"]) for post in dots.posts)
    violations = invariants.judge(evidence, JUDGED)
    if repeated := sum(times > 1 for times in posts.values()):
        violations.append(f"I9: {repeated} creations were asked for again, which Dots was still at")
    return Outcome(events=count, faults=count, invariants=JUDGED, violations=violations)


CAMPAIGN = Campaign(name="late", summary="creations carried out late, found late, adopted late", run=run_late_creations)
