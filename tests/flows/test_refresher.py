"""Answers that are stored in one transaction, and the slots of a worker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

from sqlalchemy import text

from app.flows.refresh_due import PassResult, Refresher, refresh_due
from app.storage import background, notifications
from app.storage.subjects import Subject
from tests.all_inputs import LEASE, AllInputs, HandClock
from tests.dots.fake_dots import USER
from tests.dots.memory_dots import MemoryDots, flow_id_of
from tests.flows.due import (
    flow,
    make_due,
    sync_row,
    user,
)
from tests.stack.waiting import eventually
from tests.storage import stored

# Longer than an idle event loop needs to submit the fetched answers.
GATHER_SECONDS = 0.2
TRANSACTIONS = "SELECT count(DISTINCT xmin::text) FROM flows"


async def add_due(inputs: AllInputs, dots: MemoryDots, *numbers: int) -> list[Subject]:
    """Store flows, complete their check at Dots, and make them due."""
    for number in numbers:
        dots.add_flow(number, steps=["background-check"], user_id=USER)
    subjects = [flow(flow_id_of(number)) for number in numbers]
    await make_due(inputs, *subjects)
    await refresh_due(inputs, limit=len(subjects))
    for number in numbers:
        dots.flows[flow_id_of(number)]["completed_steps"] = ["background-check"]
    await make_due(inputs, *subjects)
    return subjects


@contextlib.asynccontextmanager
async def worker(inputs: AllInputs, *, in_flight: int = 8) -> AsyncIterator[tuple[Refresher, asyncio.TaskGroup]]:
    """Yield a running refresher, and wait for its tasks at the end."""
    refresher = Refresher(inputs, in_flight=in_flight, gather_seconds=GATHER_SECONDS)
    async with background.running(refresher.run()), asyncio.TaskGroup() as tasks:
        yield refresher, tasks


async def generations(inputs: AllInputs, *subjects: Subject) -> list[int]:
    """Return the clean generation of each subject."""
    return [(await sync_row(inputs, subject))["clean_gen"] for subject in subjects]


async def test_answers_that_arrive_together_are_one_transaction(inputs: AllInputs, dots: MemoryDots) -> None:
    """State, steps, events, submissions, due users and the log of refreshes are stored with one commit."""
    flows = await add_due(inputs, dots, 1, 2, 3)
    before = await stored.count(inputs.engine, "events")

    async with worker(inputs) as (refresher, tasks):
        await refresher.begin_due(tasks)

    assert await stored.row(inputs.engine, TRANSACTIONS) == {"count": 1}
    assert await generations(inputs, *flows) == [2, 2, 2]
    assert await stored.count(inputs.engine, "events") == before + 6
    assert await stored.rows(inputs.engine, "SELECT DISTINCT status, last_sequence FROM flows") == [
        {"status": "completed", "last_sequence": 3}
    ]
    assert await stored.row(inputs.engine, "SELECT count(*) FROM flow_steps WHERE discovered_by = 'webhook'") == {
        "count": 3
    }
    assert await stored.row(inputs.engine, "SELECT verdict FROM users") == {"verdict": "pending"}
    assert (await sync_row(inputs, user()))["dirty_gen"] == 1
    assert await stored.count(inputs.engine, "refreshes") == 6


async def test_a_lost_lease_undoes_only_its_own_answer(inputs: AllInputs, dots: MemoryDots) -> None:
    """A lost lease rolls the batch back. Then the other answers are stored alone."""
    flows = await add_due(inputs, dots, 1, 2, 3)

    async def steal() -> None:
        await stored.execute(
            inputs.engine, "UPDATE sync_rows SET lease_token = gen_random_uuid() WHERE subject_id = :id", id=flows[1].id
        )

    dots.on_request = steal
    async with worker(inputs) as (refresher, tasks):
        await refresher.begin_due(tasks)

    assert await generations(inputs, *flows) == [2, 1, 2]
    assert await stored.rows(inputs.engine, "SELECT id FROM flows WHERE status = 'open'") == [{"id": flows[1].id}]


async def test_a_locked_flow_does_not_delay_others(
    inputs: AllInputs, dots: MemoryDots, logs: list[MutableMapping[str, Any]]
) -> None:
    """While one flow is locked, the answers about the others are stored."""
    flows = await add_due(inputs, dots, 1, 2, 3)

    async def are_stored() -> bool:
        return await generations(inputs, flows[0], flows[2]) == [2, 2]

    async with inputs.engine.begin() as other:
        await other.execute(text("SELECT 1 FROM flows WHERE id = :id FOR UPDATE"), {"id": flows[1].id})
        async with worker(inputs) as (refresher, tasks):
            await refresher.begin_due(tasks)
            await eventually(are_stored)
            meanwhile = await generations(inputs, flows[1])
            await other.rollback()

    assert meanwhile == [1]
    assert "answers not stored together" not in [line["event"] for line in logs]
    assert await generations(inputs, *flows) == [2, 2, 2]


async def test_flows_of_a_worker_that_dies_before_storing_are_refreshed_again(
    inputs: AllInputs, dots: MemoryDots, clock: HandClock
) -> None:
    """After a death between the fetch and the commit, another worker refreshes when the lease ends."""
    flows = await add_due(inputs, dots, 1, 2)
    dying = Refresher(inputs, in_flight=8)  # Its writer never runs.
    tasks = asyncio.TaskGroup()

    async def die() -> None:
        async with tasks:
            await dying.begin_due(tasks)

    death = asyncio.create_task(die())
    asked = len(dots.requests) + 2

    async def are_fetched() -> bool:
        return len(dots.requests) == asked

    await eventually(are_fetched)
    death.cancel()
    await asyncio.gather(death, return_exceptions=True)
    early = await refresh_due(inputs, limit=8)
    before = await generations(inputs, *flows)
    clock.advance(LEASE)
    late = await refresh_due(inputs, limit=8)

    assert (early, before) == (PassResult(claimed=0, failed=0), [1, 1])
    assert late.claimed == 2
    assert await generations(inputs, *flows) == [2, 2]
    assert await stored.rows(inputs.engine, "SELECT DISTINCT last_sequence FROM flows") == [{"last_sequence": 3}]


async def test_hanging_calls_do_not_delay_other_flows(inputs: AllInputs, dots: MemoryDots) -> None:
    """Hanging calls occupy their slots, and the other flows use the free ones."""
    flows = await add_due(inputs, dots, 1, 2, 3, 4)
    hanging = {flows[0].id, flows[1].id}
    gate = asyncio.Event()

    async def hang() -> None:
        if dots.requests[-1].url.path.rpartition("/")[2] in hanging:
            await gate.wait()

    dots.on_request = hang
    await stored.execute(
        inputs.engine,
        "UPDATE sync_rows SET due_at = due_at - interval '1 s' WHERE subject_id = ANY(:ids)",
        ids=[*hanging],
    )

    async def are_stored() -> bool:
        await refresher.begin_due(tasks)
        return await generations(inputs, *flows[2:]) == [2, 2]

    async with worker(inputs, in_flight=3) as (refresher, tasks):
        await eventually(are_stored)
        meanwhile = await generations(inputs, *flows[:2])
        gate.set()

    assert meanwhile == [1, 1]
    assert await generations(inputs, *flows) == [2, 2, 2, 2]


async def test_a_worker_uses_no_more_than_its_slots(inputs: AllInputs, dots: MemoryDots) -> None:
    """If all slots were in use, a free slot wakes the next pass."""
    await add_due(inputs, dots, 1, 2, 3)
    dots.gate.clear()
    asked = len(dots.requests)
    notification = inputs.notifications.next(notifications.DUE)

    async with worker(inputs, in_flight=2) as (refresher, tasks):
        begun = [await refresher.begin_due(tasks), await refresher.begin_due(tasks)]
        dots.gate.set()

    assert begun == [2, 0]
    assert len(dots.requests) == asked + 2
    await asyncio.wait_for(notification.wait(), timeout=10)
