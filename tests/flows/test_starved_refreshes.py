"""Refreshes, listings and creations while the pool has no free connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.dots.client import DotsClients
from app.errors import CreationOutcomeUnknownError, DatabaseUnavailableError
from app.flows import refresh_due as refresh_due_module
from app.flows.discover_flows import discover_flows
from app.flows.due_scan_floor import DueScanFloor
from app.flows.refresh_due import PassResult, refresh_due, refresh_now
from app.flows.rules.flow_request import FlowRequest
from app.flows.settle_creations import settle_creations
from app.storage import background, database
from tests.all_inputs import AllInputs, HandClock
from tests.dots.fake_dots import NOW
from tests.dots.memory_dots import MemoryDots, flow_id_of, refusal
from tests.flows.creating import create
from tests.flows.due import flow, make_due
from tests.stack.waiting import eventually
from tests.storage import stored

POOL_SIZE = 3
FLOW = flow(flow_id_of(1))
ROW = "SELECT clean_gen, lease_token, attempts, last_error FROM sync_rows"
# Makes each refresh so slow that 32 of them on one connection take longer than the pool's timeout.
DAWDLE = (
    "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.03); RETURN NEW; END $$",
    "CREATE TRIGGER dawdle BEFORE INSERT ON refreshes FOR EACH ROW EXECUTE FUNCTION dawdle()",
)

Logs = list[MutableMapping[str, Any]]


@pytest.fixture
async def small(inputs: AllInputs, database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AllInputs]:
    """Yield the inputs of a process with the smallest pool. The test reads through a larger one."""
    monkeypatch.setattr(database, "POOL_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(refresh_due_module, "_CALLER_WAIT", timedelta(seconds=1))
    engine = database.create_engine(database_url, pool_size=POOL_SIZE)
    yield replace(inputs, engine=engine, loop_connections=asyncio.Semaphore(background.connections_of(POOL_SIZE)))
    await engine.dispose()


@asynccontextmanager
async def taken(engine: AsyncEngine, number: int) -> AsyncIterator[list[AsyncConnection]]:
    """Take this number of connections from a pool."""
    connections = [await engine.connect() for _ in range(number)]
    try:
        yield connections
    finally:
        for connection in connections:
            await connection.close()


def starving(small: AllInputs, dots: MemoryDots) -> Callable[[], Awaitable[None]]:
    """Take all connections during the next call to Dots. The returned function gives them back."""
    held: list[AsyncConnection] = []

    async def starve() -> None:
        if not held:
            held.extend([await small.engine.connect() for _ in range(POOL_SIZE)])

    async def feed() -> None:
        for connection in held:
            await connection.close()

    dots.on_request = starve
    return feed


async def until_logged(logs: Logs, event: str) -> None:
    """Wait until this event is logged."""

    async def is_logged() -> bool:
        return event in [line["event"] for line in logs]

    await eventually(is_logged)


async def test_more_refreshes_than_connections_all_succeed(small: AllInputs, dots: MemoryDots, logs: Logs) -> None:
    """32 refreshes on the one free connection of a pool all get their turn."""
    for statement in DAWDLE:
        await stored.execute(small.engine, statement)
    for number in range(1, 33):
        dots.add_flow(number)
    await make_due(small, *(flow(flow_id_of(number)) for number in range(1, 33)))
    scan_floor = DueScanFloor()

    async with taken(small.engine, 2):
        tallies = await asyncio.gather(*(refresh_due(small, limit=8, scan_floor=scan_floor) for _ in range(4)))

    assert tallies == [PassResult(claimed=8, failed=0)] * 4
    assert {line["event"] for line in logs} == {"refreshed"}


async def test_answer_is_kept_while_the_database_is_away(small: AllInputs, dots: MemoryDots, logs: Logs) -> None:
    """The retry is logged, and the answer is stored without a second call once there is a connection."""
    dots.add_flow(1)
    await make_due(small, FLOW)
    feed = starving(small, dots)

    refreshing = asyncio.create_task(refresh_due(small, limit=8))
    await until_logged(logs, "not stored yet, trying again")
    await feed()
    step_counts = await refreshing

    assert step_counts == PassResult(claimed=1, failed=0)
    assert len(dots.requests) == 1
    assert (await stored.row(small.engine, ROW))["clean_gen"] == 1


async def test_failure_is_noted_when_the_database_is_back(small: AllInputs, dots: MemoryDots, logs: Logs) -> None:
    """A failure of Dots is recorded once there is a connection, without waiting for the lease to end."""
    dots.faults = [refusal(500, "oops")]
    await make_due(small, FLOW)
    feed = starving(small, dots)

    refreshing = asyncio.create_task(refresh_due(small, limit=8))
    await until_logged(logs, "not stored yet, trying again")
    await feed()
    await refreshing

    assert await stored.row(small.engine, ROW) == {
        "clean_gen": 0,
        "lease_token": None,
        "attempts": 1,
        "last_error": "dots_failed",
    }


async def test_answer_is_dropped_when_its_lease_has_ended(
    small: AllInputs, dots: MemoryDots, clock: HandClock, logs: Logs
) -> None:
    """The answer is too old then, which is logged, and another worker asks Dots."""
    dots.add_flow(1)
    await make_due(small, FLOW)
    feed = starving(small, dots)

    refreshing = asyncio.create_task(refresh_due(small, limit=8))
    await until_logged(logs, "not stored yet, trying again")
    clock.advance(small.lease)
    step_counts = await refreshing
    await feed()

    assert step_counts == PassResult(claimed=1, failed=1)
    assert "not stored before its lease ended" in [line["event"] for line in logs]


async def test_caller_does_not_wait_for_a_whole_lease(small: AllInputs, dots: MemoryDots) -> None:
    """The caller of a refresh gets an error after a short wait."""
    dots.add_flow(1)
    feed = starving(small, dots)

    async with asyncio.timeout(20):
        with pytest.raises(DatabaseUnavailableError):
            await refresh_now(small, FLOW)
    await feed()

    assert len(dots.requests) == 1


async def test_listing_is_free_again_when_the_database_is_back(small: AllInputs, dots: MemoryDots, logs: Logs) -> None:
    """The page is stored once there is a connection, and the next listing need not wait for the lease."""
    dots.add_flow(1)
    feed = starving(small, dots)

    listing = asyncio.create_task(discover_flows(small))
    await until_logged(logs, "not stored yet, trying again")
    await feed()
    found = await listing

    assert found == 1
    assert len(dots.requests) == 1
    assert await stored.rows(small.engine, "SELECT listing_until FROM apps WHERE app = 'default'") == [
        {"listing_until": None}
    ]


async def test_listing_without_a_permit_is_released(
    small: AllInputs, dots: MemoryDots, clock: HandClock, logs: Logs
) -> None:
    """If the database fails between two pages, the listing ends and is due again in 30 seconds."""
    for number in (1, 2):
        dots.add_flow(number)
    dots.page_size = 1
    await stored.execute(
        small.engine,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.tokens IS DISTINCT FROM OLD.tokens THEN RAISE 'no' USING ERRCODE = '57P03'; END IF; "
        "RETURN NEW; END $$",
    )
    await stored.execute(
        small.engine, "CREATE TRIGGER refuse BEFORE UPDATE ON apps FOR EACH ROW EXECUTE FUNCTION refuse()"
    )

    await discover_flows(small)

    assert "flows not listed" in [line["event"] for line in logs]
    rows = await stored.rows(small.engine, "SELECT listing_until, listing_due_at FROM apps WHERE app = 'default'")
    assert [row["listing_until"] for row in rows] == [None]
    assert (rows[0]["listing_due_at"] - clock.now).total_seconds() == 30


async def test_creation_that_cannot_be_settled_now_is_logged(
    small: AllInputs, dots: MemoryDots, clock: HandClock, logs: Logs
) -> None:
    """The pass continues with the others, and the creation stays for a later pass."""
    dots.faults = [httpx.ReadTimeout("never arrived")]
    request = FlowRequest(app="default", steps=["compliance"], reference="payee-17")
    with pytest.raises(CreationOutcomeUnknownError):
        await create(small, request, key="key-1")
    await stored.execute(small.engine, "UPDATE flows SET searches = 3")
    clock.now = NOW + small.discover_every
    feed = starving(small, dots)

    attempted = await settle_creations(replace(small, clients=DotsClients({"default": small.clients["default"]})))
    await feed()

    assert attempted == 1
    assert "creation still without outcome" in [line["event"] for line in logs]
    assert await stored.rows(small.engine, "SELECT status FROM flows") == [{"status": "creating"}]
