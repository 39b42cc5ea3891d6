"""Many streams of one process: the events they get and the queries they cost, without HTTP."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.access import manage_keys
from app.feed import event_stream, events, read_feed, watch_feed
from app.feed.cursor import Cursor
from app.feed.feed_reading import Reading
from app.server.gateway import Gateway
from app.storage import notifications
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.storage import statements, stored

STREAMS = 20
DEADLINE_SECONDS = 10


@pytest.fixture
async def reading(app: FastAPI, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reading]:
    """A reader of all events, in an application whose watch queries the feed only when it is notified."""
    monkeypatch.setattr(watch_feed, "POLL_SECONDS", 60)
    engine = gateway.storage.engine
    made = await manage_keys.create_key(
        engine, name="shop", scopes=["events:read"], now=gateway.storage.clock(), random_bytes=bytes
    )
    key = await manage_keys.check_key(engine, made.key)
    async with app.router.lifespan_context(app):
        yield Reading(
            storage=gateway.storage,
            watch=gateway.watch,
            key=key,
            types=frozenset(events.TYPES),
            start=await read_feed.earliest(engine),
        )


async def query_feed(reading: Reading) -> None:
    """Notify the watch, and wait until it has queried the feed."""
    start = await read_feed.latest(reading.storage.engine)
    before = Cursor(epoch=start.epoch, position=start.position - 1)
    reading.storage.notifications.wake(notifications.FEED)
    assert await reading.watch.wait_beyond(before, at_most_seconds=DEADLINE_SECONDS)


async def steps(stream: AsyncGenerator[bytes], count: int) -> list[str]:
    """The steps of the next `count` events of a stream."""
    found: list[str] = []
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(found) < count:
            lines = (await anext(stream)).decode().splitlines()
            found += [json.loads(line[6:])["data"]["step"] for line in lines if line.startswith("data: ")]
    return found


async def test_every_stream_gets_every_event_in_order(reading: Reading, engine: AsyncEngine) -> None:
    """Every stream gets the stored and the later events. No stream holds a connection while it waits."""
    await feeding.feed(engine, step_events(1))
    await query_feed(reading)
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(aclosing(event_stream.messages(reading))) for _ in range(STREAMS)]
        first = [await steps(stream, 1) for stream in streams]
        waiting = [asyncio.create_task(steps(stream, 3)) for stream in streams]
        await asyncio.wait(waiting, timeout=0.05)
        held = engine.sync_engine.pool.checkedout()  # type: ignore[attr-defined]  # a QueuePool, as always
        await feeding.feed(engine, step_events(4)[1:], after_sequence=1)
        reading.storage.notifications.wake(notifications.FEED)
        then = await asyncio.gather(*waiting)

    assert first == [["step-1"]] * STREAMS
    assert then == [["step-2", "step-3", "step-4"]] * STREAMS
    assert held <= 1  # the connection that listens for notifications


async def test_idle_stream_queries_only_its_key(
    reading: Reading, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two heartbeats cost two queries of the key; the feed is not read."""
    await feeding.feed(engine, step_events(1))
    await query_feed(reading)
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.01)
    async with aclosing(event_stream.messages(reading)) as stream, asyncio.timeout(DEADLINE_SECONDS):
        await steps(stream, 1)
        with statements.noted(engine) as sent:
            heartbeats = [await anext(stream) for _ in range(2)]

    assert heartbeats == [b": ping\n\n"] * 2
    assert ["api_keys" in statement for statement in sent] == [True, True]


async def test_slow_reader_does_not_delay_others(
    reading: Reading, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other streams continue while one is not read. Later the slow reader gets every event."""
    monkeypatch.setattr(event_stream, "BATCH", 4)
    await feeding.feed(engine, step_events(40))
    await query_feed(reading)
    async with aclosing(event_stream.messages(reading)) as slow, aclosing(event_stream.messages(reading)) as quick:
        begun = await steps(slow, 4)
        everything = await steps(quick, 40)
        rest = await steps(slow, 36)

    assert everything == [f"step-{number}" for number in range(1, 41)]
    assert begun + rest == everything


async def test_busy_stream_of_a_revoked_key_ends(
    reading: Reading, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that never waits checks its key too, and sends nothing after the check."""
    monkeypatch.setattr(event_stream, "BATCH", 1)
    await feeding.feed(engine, step_events(3))
    await query_feed(reading)
    async with aclosing(event_stream.messages(reading)) as stream, asyncio.timeout(DEADLINE_SECONDS):
        monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0)
        await steps(stream, 1)
        await stored.execute(engine, "UPDATE api_keys SET revoked_at = now()")
        rest = [message async for message in stream]

    assert rest == []
