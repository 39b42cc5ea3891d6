"""Measures the time from the commit of an event until a stream sends it, with one worker."""

import asyncio
import json
import statistics
import time
from datetime import UTC, datetime
from uuid import uuid4

from app.feed import event_rows
from app.flows.rules import events
from app.flows.rules.events import FlowFacts
from app.storage import database, notifications
from bench.deliveries import worker
from bench.growth_target import Target
from bench.growth_timing import Timing

NAME = "feed lag: event committed → seen by a stream, p50"
WARM_UP = 15
COUNT = 60
BETWEEN_SECONDS = 0.04
DEADLINE_SECONDS = 120.0


async def measure(target: Target) -> Timing:
    """Append events one after the other and wait for each at the stream."""
    giving = asyncio.create_task(target.inputs.storage.notifications.run())
    try:
        async with asyncio.timeout(DEADLINE_SECONDS), worker(dict(target.environment)):
            reader, writer = await asyncio.open_connection("127.0.0.1", target.port, limit=1 << 22)
            writer.write(
                f"GET /v1/events/stream?after=latest HTTP/1.1\r\nhost: bench\r\n"
                f"authorization: Bearer {target.key}\r\n\r\n".encode()
            )
            await reader.readuntil(b"\r\n\r\n")
            taken = [await _lag(target, reader) for _ in range(WARM_UP + COUNT)][WARM_UP:]
            writer.close()
    finally:
        giving.cancel()
    return Timing(
        median_milliseconds=statistics.median(taken) * 1000,
        fastest_milliseconds=min(taken) * 1000,
        slowest_milliseconds=max(taken) * 1000,
        repetitions=len(taken),
    )


async def _lag(target: Target, reader: asyncio.StreamReader) -> float:
    """Append one event and return the seconds from its commit until the stream shows it."""
    facts = FlowFacts(app="default", flow_id=f"bench-{uuid4()}", reference=None, user_id=None)
    event = events.flow_created(facts, datetime.now(UTC))
    async with database.transaction(target.inputs.storage.engine) as connection:
        await event_rows.append(connection, [event], after_sequence=0)
    began = time.perf_counter()
    target.inputs.storage.notifications.send(notifications.APPENDED)
    while True:
        line = await reader.readuntil(b"\n")
        if line.startswith(b"data: ") and json.loads(line[6:])["id"] == str(event.id):
            taken = time.perf_counter() - began
            await asyncio.sleep(BETWEEN_SECONDS)
            return taken
