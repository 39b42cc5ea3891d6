"""An action's surroundings: a database of its own, a Dots in memory, a clock set by hand."""

import asyncio
from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.actions.receive_webhook import WebhookReceiver
from app.actions.tools import Tools
from app.dots.app_ids import AppIds
from tests.actions.memory_dots import MemoryDots
from tests.actions.merging import Announcer
from tests.actions.stand_in_tools import HandClock, tools_over
from tests.contracts import emitted


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """What was logged, as data; nothing reaches the terminal."""
    with structlog.testing.capture_logs() as logs:
        yield logs


@pytest.fixture
def clock() -> HandClock:
    """The clock that everything of the test goes by."""
    return HandClock()


@pytest.fixture
async def dots() -> MemoryDots:
    """The Dots of the app `default`."""
    return MemoryDots()


@pytest.fixture
async def other_dots() -> MemoryDots:
    """The Dots of the app `eu`."""
    return MemoryDots()


@pytest.fixture
async def tools(
    engine: AsyncEngine, clock: HandClock, dots: MemoryDots, other_dots: MemoryDots
) -> AsyncIterator[Tools]:
    """Tools with two apps."""
    tools = tools_over(engine, clock, {"default": dots, "eu": other_dots})
    yield tools
    await emitted.check_stored(engine)
    await tools.pusher.aclose()
    for client in tools.clients.values():
        await client.aclose()


@pytest.fixture
async def announce(tools: Tools, clock: HandClock) -> AsyncIterator[Announcer]:
    """Sends webhooks to the receiver that Dots' come to."""
    receiver = WebhookReceiver(tools.engine, tools.hints, tools.telemetry, AppIds({}))
    writing = asyncio.create_task(receiver.run())
    yield Announcer(receiver, clock)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
