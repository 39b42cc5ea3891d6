"""Many writers, several sequencers and readers on one real Postgres produce one consistent feed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.dots.snapshots import FlowSnapshot
from app.errors import GatewayError
from app.feed import event_rows
from app.flows import apply_snapshot
from app.storage import database
from tests.all_inputs import AllInputs, HandClock, inputs_over
from tests.dots.memory_dots import MemoryDots
from tests.faults.campaigns import history, in_process, invariants, server
from tests.faults.campaigns.evidence import DotsState
from tests.faults.campaigns.history import Broke, History
from tests.faults.campaigns.options import Campaign, Outcome, RunOptions

WRITERS, SEQUENCERS, READERS = 32, 3, 2
FLOWS = 100
STEPS = tuple(f"step-{number}" for number in range(80))
JUDGED = ("I0", "I4", "I6", "I7", "I8")


class ThoughtBetterOfItError(Exception):
    """A writer rolls back, as one does whose lease was lost."""


@dataclass(kw_only=True)
class Scribes:
    """What all of them share. `dots_state`: how many steps of each flow are completed at Dots."""

    inputs: AllInputs
    engines: list[AsyncEngine]
    history: History
    dice: Random
    dots_state: dict[str, int] = field(default_factory=dict)
    writes: int = 0
    is_over: bool = False
    writers_left: int = WRITERS

    async def write(self) -> None:
        """Merge random snapshots of random flows. Some transactions are long, and some roll back."""
        try:
            await self._write_on()
        finally:
            self.writers_left -= 1

    async def _write_on(self) -> None:
        while not self.is_over:
            flow_id = f"flow-{self.dice.randrange(FLOWS)}"
            if self.dice.random() < 0.6:  # the other snapshots have nothing new
                self.dots_state[flow_id] = min(self.dots_state.get(flow_id, 0) + self.dice.randrange(1, 5), len(STEPS))
            snapshot = _snapshot(flow_id, self.dots_state.get(flow_id, 0))
            with suppress(ThoughtBetterOfItError):
                async with database.transaction(self.engines[0]) as connection:
                    await apply_snapshot.apply_flow(connection, self.inputs, "default", snapshot, discovered_by="sweep")
                    await self._dawdle(connection)
            self.writes += 1

    async def sequence(self, engine: AsyncEngine) -> None:
        """Number events in passes of random sizes, until the writers have ended and every event has its position."""
        while True:
            was_over = self.writers_left == 0
            async with database.transaction(engine) as connection:
                stamped = await event_rows.stamp(connection, limit=self.dice.choice((1, 5, 50, 1000)))
                is_done = not stamped or not stamped.positions
                left = await connection.scalar(text("SELECT count(*) FROM events WHERE position IS NULL"))
            if was_over and is_done and not left:
                return

    async def read(self, engine: AsyncEngine) -> None:
        """Read pages of random sizes, sometimes from an earlier cursor."""
        known: list[str | None] = [None]
        after: str | None = None
        while not self.is_over:
            if self.dice.random() < 0.05:  # one in twenty restarts from an earlier cursor
                after = self.dice.choice(known)
            page = await in_process.read_page(engine, after, limit=self.dice.choice((1, 10, 100)))
            self.history.note(page)
            after = page.next_cursor
            known.append(after)

    async def _dawdle(self, connection: Any) -> None:
        chance = self.dice.random()
        if chance < 0.05:  # one in twenty rolls back
            raise ThoughtBetterOfItError
        if chance < 0.25:  # one in five commits late
            await connection.execute(text("SELECT pg_sleep(0.01)"))


async def run_writers(options: RunOptions) -> Outcome:
    """32 writers, 3 sequencers and 2 readers for twenty seconds."""
    seconds = float(options.count(20, least=4))
    async with server.running(options.directory) as postgres:
        engines = [database.create_engine(postgres.direct_url, pool_size=WRITERS + 1) for _ in range(1 + SEQUENCERS)]
        kept = History(options.directory)
        inputs = inputs_over(engines[0], HandClock(), {"default": MemoryDots()})
        scribes = Scribes(inputs=inputs, engines=engines, history=kept, dice=options.random("scribes"))
        try:
            for number in range(FLOWS):  # Add each flow first. The campaign is not about races between first snapshots.
                await _meet(scribes, f"flow-{number}")
            await _all_at_once(scribes, seconds)
            violations = await _judge(postgres.direct_url, engines[0], scribes, options.directory)
        finally:
            kept.close()
            for engine in engines:
                await engine.dispose()
            for client in inputs.clients.values():
                await client.aclose()
    return Outcome(events=scribes.writes, faults=0, invariants=JUDGED, violations=violations)


async def _meet(scribes: Scribes, flow_id: str) -> None:
    async with database.transaction(scribes.engines[0]) as connection:
        await apply_snapshot.apply_flow(
            connection, scribes.inputs, "default", _snapshot(flow_id, 0), discovered_by="sweep"
        )
    scribes.dots_state[flow_id] = 0


async def _all_at_once(scribes: Scribes, seconds: float) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(WRITERS):
            tasks.create_task(_noting(scribes, scribes.write))
        for engine in scribes.engines[1:]:
            tasks.create_task(_noting(scribes, partial(scribes.sequence, engine)))
        for _ in range(READERS):
            tasks.create_task(_noting(scribes, partial(scribes.read, scribes.engines[1])))
        asyncio.get_running_loop().call_later(seconds, lambda: setattr(scribes, "is_over", True))


async def _noting(scribes: Scribes, work: Callable[[], Awaitable[None]]) -> None:
    """Run the work. Any exception is unexpected, and ends the run."""
    try:
        await work()
    except Exception as error:  # noqa: BLE001  # The campaign looks for every kind of error.
        cause = error if isinstance(error, GatewayError) else getattr(error, "orig", error)
        scribes.history.note(Broke(line=f"{type(error).__name__}: {cause}"))
        scribes.is_over = True


async def _judge(url: str, engine: AsyncEngine, scribes: Scribes, directory: Path) -> list[str]:
    timeline = history.read(directory)
    evidence = await in_process.collect(url, engine, timeline, DotsState(flows={}, users={}))
    done = {flow.id: len(flow.completed) for flow in evidence.flows}
    # The last snapshot of a flow may have been rolled back. The stored state may be behind Dots, but never ahead.
    flows = {flow_id: _as_dots(flow_id, min(count, done[flow_id])) for flow_id, count in scribes.dots_state.items()}
    return invariants.judge(replace(evidence, dots_state=DotsState(flows=flows, users={})), JUDGED)


def _snapshot(flow_id: str, done: int) -> FlowSnapshot:
    return FlowSnapshot(
        id=flow_id,
        steps=STEPS,
        completed_steps=STEPS[:done],
        user_id=None,
        link=None,
        metadata=None,
        client_ref=None,
        payout_link_id=None,
        created_at=None,
    )


def _as_dots(flow_id: str, done: int) -> dict[str, Any]:
    return {
        "id": flow_id,
        "steps": list(STEPS),
        "completed_steps": list(STEPS[:done]),
        "user_id": None,
        "metadata": None,
    }


CAMPAIGN = Campaign(
    name="writers", summary="32 writers, 3 sequencers, 2 readers: the feed is dense and fixed", run=run_writers
)
