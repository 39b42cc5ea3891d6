"""Many streams of one process: one look at the database for all of them."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.access import manage_keys
from app.feed import event_stream, events, feed_tail, read_feed, watch_feed
from app.feed.cursor import Cursor
from app.feed.feed_reading import Reading
from app.server.gateway import Gateway
from app.storage import hints
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.storage import statements

STREAMS = 50
DEADLINE_SECONDS = 10


@pytest.fixture
async def reading(app: FastAPI, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reading]:
    """A reading of everything, in an application that looks at the feed only when it is told to."""
    monkeypatch.setattr(watch_feed, "POLL_SECONDS", 60)
    monkeypatch.setattr(watch_feed, "STALE_SECONDS", 60)
    engine = gateway.tools.engine
    made = await manage_keys.create_key(
        engine, name="shop", scopes=["events:read"], now=gateway.tools.clock(), random_bytes=bytes
    )
    key = await manage_keys.check_key(engine, made.key)
    async with app.router.lifespan_context(app):
        yield Reading(gate=gateway, key=key, types=frozenset(events.TYPES), start=await read_feed.earliest(engine))


async def look(reading: Reading) -> None:
    """Have the feed looked at, and wait until it was."""
    start = await read_feed.latest(reading.gate.tools.engine)
    before = Cursor(epoch=start.epoch, position=start.position - 1)
    reading.gate.tools.hints.wake(hints.FEED)
    assert await reading.gate.watch.wait_beyond(before, at_most_seconds=DEADLINE_SECONDS)


async def steps(stream: AsyncGenerator[bytes], count: int) -> list[str]:
    """The steps that the next so many events of a stream are about."""
    found: list[str] = []
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(found) < count:
            lines = (await anext(stream)).decode().splitlines()
            found += [json.loads(line[6:])["data"]["step"] for line in lines if line.startswith("data: ")]
    return found


async def test_live_streams_do_not_ask_the_database(reading: Reading, engine: AsyncEngine) -> None:
    """Fifty streams, three events: the events are read once, and by nobody but the watch."""
    await feeding.feed(engine, step_events(1))
    await look(reading)
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(aclosing(event_stream.messages(reading))) for _ in range(STREAMS)]
        first = [await steps(stream, 1) for stream in streams]
        waiting = [asyncio.create_task(steps(stream, 3)) for stream in streams]
        await asyncio.wait(waiting, timeout=0.05)
        held = engine.sync_engine.pool.checkedout()  # type: ignore[attr-defined]  # a QueuePool, as always
        await feeding.feed(engine, step_events(4)[1:], after_sequence=1)
        with statements.noted(engine) as sent:
            reading.gate.tools.hints.wake(hints.FEED)
            then = await asyncio.gather(*waiting)

    assert first == [["step-1"]] * STREAMS
    assert then == [["step-2", "step-3", "step-4"]] * STREAMS
    assert len([statement for statement in sent if "WHERE events.position" in statement]) == 1
    assert len(sent) <= 3  # the keys, how far the feed reaches, and the events
    assert held <= 1  # that which hints are listened for on


async def test_slow_reader_holds_nobody_up_and_misses_nothing(
    reading: Reading, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one does not read, the others go on; later it catches up from the database, then from memory."""
    monkeypatch.setattr(feed_tail, "LENGTH", 10)
    monkeypatch.setattr(event_stream, "BATCH", 4)
    await feeding.feed(engine, step_events(40))
    await look(reading)
    async with aclosing(event_stream.messages(reading)) as slow, aclosing(event_stream.messages(reading)) as quick:
        begun = await steps(slow, 4)
        everything = await steps(quick, 40)
        with statements.noted(engine) as sent:
            rest = await steps(slow, 36)

    assert everything == [f"step-{number}" for number in range(1, 41)]
    assert begun + rest == everything
    assert (
        len([statement for statement in sent if "WHERE events.position" in statement]) == 7
    )  # 28 by fours; then from memory


async def test_silent_stream_is_kept_alive(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment now and then, by which proxies see that somebody is there."""
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.01)
    async with aclosing(event_stream.messages(reading)) as stream, asyncio.timeout(DEADLINE_SECONDS):
        sent = [await anext(stream) for _ in range(3)]

    assert sent[1:] == [b": ping\n\n"] * 2


async def test_key_is_let_go_when_its_stream_ends(reading: Reading) -> None:
    """Nobody looks after the key of a reader who has gone."""
    stream = event_stream.messages(reading)
    await anext(stream)
    waiting = asyncio.create_task(anext(stream))
    await asyncio.wait([waiting], timeout=0.05)
    is_held = reading.gate.watch.keys.is_good(reading.key.id)
    waiting.cancel()
    await asyncio.wait([waiting])
    await stream.aclose()

    assert (is_held, reading.gate.watch.keys.is_good(reading.key.id)) == (True, False)
