"""The HTTP application in this process: real Postgres below it, a Dots in memory beside it."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.actions import manage_keys, watch_feed
from app.actions.receive_webhook import WebhookReceiver
from app.actions.tools import Tools
from app.actions.watch_feed import FeedWatch
from app.dots.app_ids import AppIds
from app.dots.signature import Verifier
from app.web.application import create_app
from app.web.gateway import Gateway
from tests.actions.memory_dots import MemoryDots
from tests.actions.stand_in_tools import HandClock, tools_over
from tests.web.sending import KEY, OTHER_KEY

KeyWith = Callable[..., Awaitable[dict[str, str]]]
Logs = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def logs() -> Iterator[Logs]:
    """What was logged, as data; nothing reaches the terminal."""
    with structlog.testing.capture_logs() as logs:
        yield logs


@pytest.fixture
def clock() -> HandClock:
    """The clock that everything of the test goes by."""
    return HandClock()


@pytest.fixture
async def dots() -> MemoryDots:
    """The Dots of both apps."""
    return MemoryDots()


@pytest.fixture
async def tools(engine: AsyncEngine, clock: HandClock, dots: MemoryDots) -> AsyncIterator[Tools]:
    """Tools with the apps `default` and `eu`."""
    tools = tools_over(engine, clock, {"default": dots, "eu": dots})
    yield tools
    await tools.pusher.aclose()
    for client in tools.clients.values():
        await client.aclose()


@pytest.fixture
def app_ids() -> dict[str, str | None]:
    """The ids of both apps at Dots: none are set, unless a test sets them."""
    return {}


@pytest.fixture
def gateway(tools: Tools, monkeypatch: pytest.MonkeyPatch, app_ids: dict[str, str | None]) -> Gateway:
    """What the routes work with; without a worker to give hints, the feed is looked at more often."""
    monkeypatch.setattr(watch_feed, "POLL_SECONDS", 0.05)
    return Gateway(
        tools=tools,
        verifiers={"default": Verifier([KEY]), "eu": Verifier([OTHER_KEY])},
        receiver=WebhookReceiver(tools.engine, tools.hints, tools.telemetry, AppIds(app_ids)),
        watch=FeedWatch(tools.engine, tools.hints),
    )


@pytest.fixture
def app(gateway: Gateway) -> FastAPI:
    """The application; its lifespan is not running."""
    return create_app(gateway)


@pytest.fixture
def key_with(engine: AsyncEngine, clock: HandClock) -> KeyWith:
    """Makes an API key with these scopes, for the caller `name`; returns the header to send."""

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
    """The same client with the key of an ordinary caller: everything but compliance."""
    stranger.headers.update(await key_with("flows:read", "flows:write", "events:read"))
    return stranger
