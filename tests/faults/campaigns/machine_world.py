"""The world of the state machine: what workers do in it step by step, and how it is judged at the end."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots.snapshots import FlowSnapshot, UserSnapshot
from app.feed import sequence_events
from app.flows import discover_flows, refresh_due, settle_creations
from app.flows.sync_rows import Claim
from app.storage import database
from app.subscriptions import delivery_rows
from app.webhooks import webhook_rows
from app.webhooks.webhook_rows import Webhook
from tests.all_inputs import AllInputs, HandClock
from tests.faults.campaigns import in_process, invariants
from tests.faults.campaigns.evidence import DotsState
from tests.faults.campaigns.history import Timeline
from tests.faults.campaigns.virtual_dots import VirtualDots
from tests.flows import syncing

JUDGED = ("I1", "I2", "I3", "I4", "I6", "I7", "I8", "I9")
PAYEES = 4
# How time passes at the end: creations settle within minutes, flows are refreshed daily, verdicts every six hours.
SEARCHES, BETWEEN_SEARCHES = 6, timedelta(seconds=50)
SETTLING = (timedelta(minutes=6), timedelta(minutes=40), timedelta(hours=25), timedelta(hours=7))


@dataclass(kw_only=True)
class Begun:
    """A refresh in progress: claimed, and perhaps answered already."""

    claim: Claim
    snapshot: FlowSnapshot | UserSnapshot | None = None


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What all runs share: the event loop, and the database, which each run empties.

    The `watcher` is a separate asyncpg connection that checks the database after every step.
    """

    runner: asyncio.Runner
    engine: AsyncEngine
    database_url: str
    watcher: Any


@dataclass(kw_only=True)
class World:
    """The state of one run."""

    inputs: AllInputs
    clock: HandClock
    dots: VirtualDots
    timeline: Timeline = field(default_factory=Timeline)
    begun: list[Begun] = field(default_factory=list)
    advanced: timedelta = timedelta(0)
    messages: int = 0
    best: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    cursors: list[str | None] = field(default_factory=lambda: [None])


async def claim(world: World, limit: int) -> list[Claim]:
    """Claim what is due, without asking Dots yet."""
    inputs, now = world.inputs, world.clock.now
    async with database.transaction(inputs.engine) as connection:
        return await syncing.claim_in(connection, now=now, token=inputs.new_uuid(), limit=limit, lease=inputs.lease)


async def store(engine: AsyncEngine, webhook: Webhook) -> None:
    """Store a webhook as the receiver does."""
    async with database.transaction(engine) as connection:
        await webhook_rows.store(connection, [webhook])


async def discover(inputs: AllInputs) -> None:
    """Look through Dots' list, and settle what can be settled."""
    await discover_flows.discover_flows(inputs)
    await settle_creations.settle_creations(inputs)


async def completed(watcher: Any) -> dict[str, set[str]]:
    """The steps that are stored as completed, by flow."""
    return {flow_id: set(names) - {None} for flow_id, names in await watcher.fetch(_COMPLETED)}


async def settle_and_judge(world: World, ground: Ground) -> list[str]:
    """Abandon all unfinished work, let workers run for two days of virtual time, and judge the result."""
    world.dots.is_forgetful = False
    for _ in range(SEARCHES):
        if not await ground.watcher.fetchval(_CREATIONS):
            break
        await _work_after(world, BETWEEN_SEARCHES)
    for wait in SETTLING:
        await _work_after(world, wait)
    while await sequence_events.sequence_events(world.inputs, delivery_rows, limit=1000):
        pass
    dots_state = DotsState(flows=world.dots.flows, users=world.dots.users)
    evidence = await in_process.collect(
        ground.database_url, ground.engine, world.timeline, dots_state, now=world.clock.now
    )
    for client in world.inputs.clients.values():
        await client.aclose()
    return invariants.judge(evidence, JUDGED)


async def _work_after(world: World, wait: timedelta) -> None:
    """Advance the clock, and do workers' work until nothing is due."""
    world.clock.advance(wait)
    await discover(world.inputs)
    while (await refresh_due.refresh_due(world.inputs, limit=20)).claimed:
        pass


async def empty(engine: AsyncEngine) -> None:
    """Empty the database."""
    async with database.transaction(engine) as connection:
        names = await connection.scalars(_TABLES)
        await connection.execute(text(f"TRUNCATE {', '.join(names)} RESTART IDENTITY"))
        await connection.execute(text("UPDATE feed SET expired_position = 0"))


def user(number: int) -> str:
    """The id of one of the few payees there are."""
    return str(UUID(int=1000 + number % PAYEES, version=4))


_COMPLETED = """
    SELECT f.id, array_agg(CASE WHEN s.completed_at IS NOT NULL THEN s.name END)
    FROM flows f JOIN flow_steps s ON s.flow_ref = f.ref
    WHERE f.id IS NOT NULL
    GROUP BY f.id
"""

_CREATIONS = "SELECT count(*) FROM flows WHERE status = 'creating'"

_TABLES = text("""
    SELECT table_name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_name NOT IN ('dots_gateway_version', 'feed')
""")
