"""Fixtures that all subjects share: Dots in memory, a clock set by hand, and the HTTP application in this process."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.access import manage_keys
from app.dots.app_ids import AppIds
from app.dots.signature import Verifier
from app.feed import watch_feed
from app.server.application import create_app
from app.server.gateway import Gateway
from app.webhooks.receive_webhook import WebhookReceiver
from tests.all_inputs import AllInputs, HandClock, gateway_over, inputs_over
from tests.contracts import emitted
from tests.dots.memory_dots import MemoryDots
from tests.flows.merging import Announcer
from tests.webhooks.sending import KEY, OTHER_KEY

KeyWith = Callable[..., Awaitable[dict[str, str]]]
Logs = list[MutableMapping[str, Any]]


@pytest.fixture
def logs() -> Iterator[Logs]:
    """Capture the log lines as data. The terminal shows none of them."""
    with structlog.testing.capture_logs() as logs:
        yield logs


@pytest.fixture
def clock() -> HandClock:
    """The clock of the service. A test sets it by hand."""
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
async def inputs(
    engine: AsyncEngine, clock: HandClock, dots: MemoryDots, other_dots: MemoryDots, logs: Logs
) -> AsyncIterator[AllInputs]:
    """AllInputs with the apps `default` and `eu`. Every event that a test emits is checked against its schema."""
    del logs
    inputs = inputs_over(engine, clock, {"default": dots, "eu": other_dots})
    yield inputs
    await emitted.check_stored(engine)
    await inputs.pusher.aclose()
    for client in inputs.clients.values():
        await client.aclose()


@pytest.fixture
async def announce(inputs: AllInputs, clock: HandClock) -> AsyncIterator[Announcer]:
    """Sends webhooks to a receiver, as Dots does."""
    receiver = WebhookReceiver(inputs.engine, inputs.notifications, inputs.telemetry, AppIds({}))
    writing = asyncio.create_task(receiver.run())
    yield Announcer(receiver, clock)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


@pytest.fixture
def app_ids() -> dict[str, str | None]:
    """Dots' ids of the apps by name. It is empty; a test may override it."""
    return {}


@pytest.fixture
def gateway(inputs: AllInputs, monkeypatch: pytest.MonkeyPatch, app_ids: dict[str, str | None]) -> Gateway:
    """What the routes work with. The feed watch polls more often, because no worker notifies it."""
    monkeypatch.setattr(watch_feed, "POLL_SECONDS", 0.05)
    return gateway_over(inputs, {"default": Verifier([KEY]), "eu": Verifier([OTHER_KEY])}, app_ids)


@pytest.fixture
def app(gateway: Gateway) -> FastAPI:
    """The application. Its lifespan is not running."""
    return create_app(gateway)


@pytest.fixture
def key_with(engine: AsyncEngine, clock: HandClock) -> KeyWith:
    """Creates an API key with these scopes for the caller `name`. Returns the header to send."""

    async def make(*scopes: str, name: str = "shop") -> dict[str, str]:
        made = await manage_keys.create_key(
            engine, name=name, scopes=scopes, now=clock(), random_bytes=secrets.token_bytes
        )
        return {"Authorization": f"Bearer {made.key}"}

    return make


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running application, without a key."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://gw") as client:
        yield client


@pytest.fixture
async def client(stranger: httpx.AsyncClient, key_with: KeyWith) -> httpx.AsyncClient:
    """The same client, with a key for flows and events."""
    stranger.headers.update(await key_with("flows:read", "flows:write", "events:read"))
    return stranger
