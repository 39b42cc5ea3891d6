"""Measures how many events per second one api process sends to many streams, while they catch up and live.

.venv/bin/python -m bench.streams --streams 200 --events 5000
"""

import argparse
import asyncio
import secrets
from base64 import b64encode
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.access import manage_keys
from app.feed import event_rows
from app.flows.rules import events
from app.flows.rules.events import FlowFacts
from app.storage import database
from bench.databases import empty_database
from bench.receivers import gateway, running
from devstack import embedded_postgres

DIRECTORY = Path(__file__).parent.parent / ".dev" / "bench"
DEADLINE_SECONDS = 120.0
BETWEEN_BATCHES_SECONDS = 0.02


class Stream:
    """An open stream that counts its events."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use the connection, on which the request was already sent."""
        self._reader = reader
        self._rest = b""
        self.writer = writer
        self.count = 0

    async def until(self, count: int) -> None:
        """Read until this number of events has arrived."""
        while self.count < count:
            chunk = await self._reader.read(1 << 18)
            if not chunk:
                raise ConnectionError(f"a stream ended after {self.count} events")
            self.count += (self._rest + chunk).count(b"\ndata: ")
            self._rest = chunk[-6:]


async def open_stream(port: int, key: str) -> Stream:
    """A stream from the earliest event on. Raises ConnectionError if it is refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /v1/events/stream HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(head.partition(b"\r\n")[0].decode())
    return Stream(reader, writer)


async def append(engine: AsyncEngine, count: int, *, flow: str) -> None:
    """Append events of one flow, without positions in the feed."""
    facts = FlowFacts(app="default", flow_id=flow, reference="payee-17", user_id=None)
    fresh = [events.step_completed(facts, datetime.now(UTC), step=f"step-{number}") for number in range(count)]
    async with database.transaction(engine) as connection:
        await event_rows.append(connection, fresh, after_sequence=0)


async def sequence(engine: AsyncEngine, *, batch: int) -> None:
    """Number all events in batches, and send a notification after each batch, as a worker does."""
    stamped = batch
    while stamped == batch:
        async with database.transaction(engine) as connection:
            pass_ = await event_rows.stamp(connection, limit=batch)
            stamped = len(pass_.positions) if pass_ else 0
            await connection.execute(text("SELECT pg_notify('dots_gateway_feed', '')"))
        await asyncio.sleep(BETWEEN_BATCHES_SECONDS)


async def measure(engine: AsyncEngine, *, port: int, options: argparse.Namespace) -> None:
    """Open the streams on an existing feed, then append events to it. Prints both rates."""
    made = await manage_keys.create_key(
        engine, name="bench", scopes=["events:read"], now=datetime.now(UTC), random_bytes=secrets.token_bytes
    )
    await append(engine, options.events, flow="flow-1")
    await sequence(engine, batch=options.events)
    began = perf_counter()
    streams = [await open_stream(port, made.key) for _ in range(options.streams)]
    await asyncio.gather(*(stream.until(options.events) for stream in streams))
    report("caught up", options, perf_counter() - began)

    await append(engine, options.events, flow="flow-2")
    began = perf_counter()
    growing = asyncio.create_task(sequence(engine, batch=options.batch))
    await asyncio.gather(*(stream.until(2 * options.events) for stream in streams))
    report("live", options, perf_counter() - began)
    await growing
    for stream in streams:
        stream.writer.close()


def report(name: str, options: argparse.Namespace, seconds: float) -> None:
    """Print the rate of one part."""
    sent = options.streams * options.events
    print(
        f"{name}: {sent:,} events to {options.streams} streams in {seconds:.2f} s, {sent / seconds:,.0f}/s", flush=True
    )


async def bench(options: argparse.Namespace) -> None:
    """Run one api process over an embedded Postgres, and measure it."""
    secret = f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(embedded_postgres.running(DIRECTORY / "postgres", durable=True))
        url = await stack.enter_async_context(empty_database(postgres.url, purpose="streams"))
        service = gateway(database_url=url, secret=secret)
        port = await stack.enter_async_context(running(service, log_directory=DIRECTORY))
        engine = database.create_engine(url)
        stack.push_async_callback(engine.dispose)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await measure(engine, port=port, options=options)


def main() -> None:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(description="Measure events per second to many streams.")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--events", type=int, default=5_000, help="of each part")
    parser.add_argument("--batch", type=int, default=100, help="live: events stamped at a time")
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    asyncio.run(bench(parser.parse_args()))


if __name__ == "__main__":
    main()
