"""A consumer during restarts of the service, over real connections."""

import asyncio
from contextlib import aclosing

from sqlalchemy.ext.asyncio import AsyncEngine

from dots_gateway_client import CursorStore, Gateway, MemoryCursor, StepCompleted
from tests.clients import serving
from tests.clients.following import DEADLINE_SECONDS, steps, steps_of, take
from tests.dots.memory_dots import MemoryDots
from tests.feed import feeding
from tests.feed.feeding import step_events
from tests.stack.relay import relaying


class Consumer:
    """Reads the feed and records the steps. It pauses at event number `halt`."""

    def __init__(self, gateway: Gateway, cursors: CursorStore, *, halt: int, end: int) -> None:
        """Pause at event `halt` and stop at event `end`."""
        self.gateway = gateway
        self.cursors = cursors
        self.halt = halt
        self.end = end
        self.seen: list[str] = []
        self.has_halted = asyncio.Event()
        self.may_continue = asyncio.Event()

    async def run(self) -> None:
        """Read up to event `end`."""
        async with aclosing(self.gateway.events(self.cursors, page_size=3)) as feed:
            async for event in feed:
                assert isinstance(event, StepCompleted)
                self.seen.append(event.step)
                if len(self.seen) == self.halt:
                    self.has_halted.set()
                    await self.may_continue.wait()
                if len(self.seen) == self.end:
                    break


class Pauses:
    """A `sleep` that the test ends. `has_begun` is set when the client first pauses."""

    def __init__(self) -> None:
        """Start without a pause."""
        self.has_begun = asyncio.Event()
        self.is_over = asyncio.Event()

    async def __call__(self, _seconds: float) -> None:
        """Pause."""
        self.has_begun.set()
        await self.is_over.wait()


async def test_consumer_gets_every_event_across_a_restart_of_the_service(engine: AsyncEngine, dots: MemoryDots) -> None:
    """The service stops while a consumer catches up. New events happen before another process starts."""
    await feeding.feed(engine, step_events(20))
    key, pauses = await serving.key(engine, *serving.READER), Pauses()
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        relaying(0) as relay,
        Gateway(serving.url(relay.port), key, sleep=pauses) as gateway,
        asyncio.TaskGroup() as tasks,
    ):
        consumer = Consumer(gateway, MemoryCursor(), halt=10, end=40)
        async with serving.service(engine, dots) as relay.target:
            running = tasks.create_task(consumer.run())
            await consumer.has_halted.wait()
        await feeding.feed(engine, step_events(40)[20:], after_sequence=20)
        consumer.may_continue.set()
        await pauses.has_begun.wait()
        seen_before_the_start = list(consumer.seen)
        async with serving.service(engine, dots) as relay.target:
            pauses.is_over.set()
            await running

    assert seen_before_the_start == steps(1, 12), "only the page it had"
    assert consumer.seen == steps(1, 40)


async def test_truncated_answer_is_requested_again(engine: AsyncEngine, dots: MemoryDots) -> None:
    """The client ignores a partial page and requests the same page again."""
    await feeding.feed(engine, step_events(2))
    key, pauses = await serving.key(engine, *serving.READER), Pauses()
    cut_off = await asyncio.start_server(answer_half, "127.0.0.1", 0)
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        cut_off,
        relaying(cut_off.sockets[0].getsockname()[1]) as relay,
        Gateway(serving.url(relay.port), key, sleep=pauses) as gateway,
        serving.service(engine, dots) as port,
        asyncio.TaskGroup() as tasks,
    ):
        taking = tasks.create_task(take(gateway, 2))
        await pauses.has_begun.wait()
        relay.target = port
        pauses.is_over.set()

    assert steps_of(taking.result()) == steps(1, 2)


async def answer_half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a request with the beginning of a page and close the connection."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{"events": [')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
