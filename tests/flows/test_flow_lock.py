"""Waiting for a flow's lock."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.flows import creation_rows, flow_rows
from app.flows.flow_rows import FlowRecord
from app.storage import database
from tests.flows.intents import (
    change,
    intent,
    later,
    snapshot,
)
from tests.storage.locks import until_waiting


async def lock(connection: AsyncConnection, way: str) -> FlowRecord:
    """Lock the flow by its id or by its ref."""
    found = (
        await flow_rows.lock(connection, "default", "flow-1")
        if way == "id"
        else await flow_rows.lock_ref(connection, "default", intent().ref)
    )
    assert found
    return found


async def lock_and_save(connection: AsyncConnection, *completed_steps: str, minutes: int) -> None:
    """Merge these completed steps into the flow, and keep its lock."""
    known = await lock(connection, "ref")
    said = snapshot(completed_steps=completed_steps)
    await flow_rows.save(connection, [change(known, said, discovered_by="sweep", events_added=1)], now=later(minutes))


@pytest.mark.parametrize("way", ["id", "ref"])
async def test_lock_waits_and_sees_what_was_saved_meanwhile(engine: AsyncEngine, way: str) -> None:
    """After the wait, both the flow and its steps are current. Otherwise a step would be found twice."""
    async with database.transaction(engine) as connection:
        await creation_rows.begin(connection, intent())
        await lock_and_save(connection, minutes=1)

    async def wait_for_lock() -> FlowRecord:
        async with database.transaction(engine) as connection:
            return await lock(connection, way)

    async with engine.connect() as first:
        await lock_and_save(first, "compliance", minutes=2)
        waiting = asyncio.create_task(wait_for_lock())
        await until_waiting(engine)
        await first.commit()
        found = await waiting

    assert (found.refreshed_at, found.last_sequence) == (later(2), 2)
    assert [(step.name, step.completed_at) for step in found.steps] == [("compliance", later(2)), ("payout", None)]
