"""One filled database with the api process, key, worker's inputs and subscriber of a measurement."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from sqlalchemy import text

from app import settings
from app.access import manage_keys
from app.processes import wiring
from app.processes.wiring import Inputs
from bench import growth_fill, growth_settings
from bench.databases import connected, database_url
from bench.growth_client import Client
from bench.growth_fill import FAILING, PAUSED, WELL
from bench.growth_sizes import Sizes
from bench.receivers import running
from tests.subscriptions import subscriber
from tests.subscriptions.subscriber import Received, Subscriber

PATHS = {kind: growth_fill.SUBSCRIPTIONS[kind] for kind in (WELL, FAILING, PAUSED)}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A measured database. `client` is a connection to its api, `inputs` are those of a worker."""

    name: str
    sizes: Sizes
    database_url: str
    environment: Mapping[str, str]
    port: int
    key: str
    client: Client
    inputs: Inputs
    subscriber: Subscriber

    def flow_number(self, number: int) -> int:
        """Return one of the flows, another for each of the first thousands of numbers."""
        return 1 + (number * 7919 + 10) % self.sizes.flows

    async def execute(self, statement: str, **values: object) -> None:
        """Execute one statement outside the service."""
        async with connected(self.database_url) as connection:
            await connection.execute(text(statement), values)

    async def scalar(self, statement: str) -> Any:
        """Return the one value of a query outside the service."""
        async with connected(self.database_url) as connection:
            return await connection.scalar(text(statement))


@asynccontextmanager
async def opened(
    server_url: str, name: str, sizes: Sizes, *, directory: Path, dots_url: str, uses_jit: bool
) -> AsyncIterator[Target]:
    """Yield a copy of the filled database of this size with an api process on it; drop it at the end."""
    template = await growth_fill.ensure_template(server_url, sizes)
    logs = directory / f"growth-{name}"
    logs.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(_copy(server_url, template, uses_jit=uses_jit))
        receiver = await stack.enter_async_context(subscriber.listening(answer))
        await _send_to(url, receiver)
        service = growth_settings.service(url, dots_url=dots_url)
        inputs = await stack.enter_async_context(wiring.open_inputs(settings.read(service.environment)))
        made = await manage_keys.create_key(
            inputs.storage.engine,
            name="bench",
            scopes=manage_keys.SCOPES,
            now=datetime.now(UTC),
            random_bytes=secrets.token_bytes,
        )
        port = await stack.enter_async_context(running(service, log_directory=logs))
        client = Client(port, made.key)
        stack.callback(client.close)
        yield Target(
            name=name,
            sizes=sizes,
            database_url=url,
            environment=service.environment,
            port=port,
            key=made.key,
            client=client,
            inputs=inputs,
            subscriber=receiver,
        )


def answer(received: Received) -> tuple[int, dict[str, str]]:
    """Take every event except those that the failing subscription gets."""
    return (503 if received.event["type"] == FAILING else 204), {}


@asynccontextmanager
async def _copy(server_url: str, template: str, *, uses_jit: bool) -> AsyncIterator[str]:
    name = f"growth_copy_{uuid4().hex[:8]}"
    async with connected(server_url) as connection:
        await connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy'))
        if not uses_jit:
            await connection.execute(text(f'ALTER DATABASE "{name}" SET jit = off'))
    try:
        yield database_url(server_url, name)
    finally:
        async with connected(server_url) as connection:
            await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _send_to(url: str, receiver: Subscriber) -> None:
    """Point the subscriptions at the receiver that listens now."""
    base = urlsplit(receiver.url)
    async with connected(url) as connection:
        for kind, path in PATHS.items():
            await connection.execute(
                text("UPDATE subscriptions SET url = :url WHERE types = ARRAY[:kind]"),
                {"url": f"http://{base.netloc}{path}", "kind": kind},
            )
