"""Runs the service on a port, and creates keys and clients for it."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.access import manage_keys
from app.dots.signature import Verifier
from app.server.application import create_app
from dots_gateway_client import Gateway as Client
from tests.all_inputs import HandClock, gateway_over, inputs_over
from tests.dots.fake_dots import NOW
from tests.dots.memory_dots import MemoryDots
from tests.webhooks import sending

READER = ("events:read",)
CALLER = ("events:read", "flows:read", "flows:write")
OFFICER = ("events:read", "compliance:read")


@asynccontextmanager
async def service(engine: AsyncEngine, dots: MemoryDots) -> AsyncIterator[int]:
    """Run a service on this database; its port. At the end of the block it shuts down like an api process."""
    inputs = inputs_over(engine, HandClock(), {"default": dots})
    gateway = gateway_over(inputs, {"default": Verifier([sending.KEY])})
    async with AsyncExitStack() as ending:
        for client in inputs.clients.values():
            ending.push_async_callback(client.aclose)
        port = await ending.enter_async_context(sending.serving(create_app(gateway)))
        ending.callback(gateway.watch.close)
        yield port


@asynccontextmanager
async def client_of(
    engine: AsyncEngine, dots: MemoryDots, *, scopes: tuple[str, ...] = READER, **options: Any
) -> AsyncIterator[Client]:
    """Run a service; a client of it whose key has these scopes."""
    async with service(engine, dots) as port, Client(url(port), await key(engine, *scopes), **options) as client:
        yield client


async def key(engine: AsyncEngine, *scopes: str) -> str:
    """A new API key with these scopes."""
    made = await manage_keys.create_key(engine, name="shop", scopes=scopes, now=NOW, random_bytes=secrets.token_bytes)
    return made.key


def url(port: int) -> str:
    """The URL of a service on this port."""
    return f"http://127.0.0.1:{port}"
