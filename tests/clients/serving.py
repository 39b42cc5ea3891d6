"""A service that listens, keys for it, and clients of it that do not dawdle."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.access import manage_keys
from app.dots.app_ids import AppIds
from app.dots.signature import Verifier
from app.feed.watch_feed import FeedWatch
from app.processes import wiring
from app.server.application import create_app
from app.server.gateway import Gateway
from app.webhooks.receive_webhook import WebhookReceiver
from dots_gateway_client import Gateway as Client
from tests.dots.fake_dots import NOW
from tests.dots.memory_dots import MemoryDots
from tests.stand_in_tools import HandClock, tools_over
from tests.webhooks import sending

READER = ("events:read",)
CALLER = ("events:read", "flows:read", "flows:write")
OFFICER = ("events:read", "compliance:read")


@asynccontextmanager
async def service(engine: AsyncEngine, dots: MemoryDots) -> AsyncIterator[int]:
    """The port of a service over this database, until the end of the block; it then ends as an api process does."""
    tools = tools_over(engine, HandClock(), {"default": dots})
    gateway = Gateway(
        tools=tools,
        verifiers={"default": Verifier([sending.KEY])},
        receiver=WebhookReceiver(engine, tools.notifications, tools.telemetry, AppIds({})),
        watch=FeedWatch(engine, tools.notifications),
        neighbours=wiring.TIMELINE_NEIGHBOURS,
    )
    async with AsyncExitStack() as ending:
        for client in tools.clients.values():
            ending.push_async_callback(client.aclose)
        port = await ending.enter_async_context(sending.serving(create_app(gateway)))
        ending.callback(gateway.watch.close)
        yield port


@asynccontextmanager
async def client_of(
    engine: AsyncEngine, dots: MemoryDots, *, scopes: tuple[str, ...] = READER, **more: Any
) -> AsyncIterator[Client]:
    """A client, with a key of these scopes, of a service of its own."""
    async with service(engine, dots) as port, Client(url(port), await key(engine, *scopes), **more) as client:
        yield client


async def key(engine: AsyncEngine, *scopes: str) -> str:
    """A new API key with these scopes."""
    made = await manage_keys.create_key(engine, name="shop", scopes=scopes, now=NOW, random_bytes=secrets.token_bytes)
    return made.key


def url(port: int) -> str:
    """Where a service listens."""
    return f"http://127.0.0.1:{port}"
