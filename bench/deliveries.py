"""Measures the delay of deliveries to a healthy subscriber, alone and beside a slow and a dead one.

.venv/bin/python -m bench.deliveries [--rounds 5 --seconds 10 --rate 50]: exits 1 if the other two raise its p99 by more
than a fifth. It also prints how many deliveries per second one worker makes to one subscriber from a backlog.
"""

import argparse
import asyncio
import os
import secrets
import statistics
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from uuid import UUID

from app import settings
from app.feed import event_rows
from app.flows.rules import events
from app.flows.rules.events import FlowFacts
from app.processes import wiring
from app.processes.wiring import Inputs
from app.storage import database, migrations, notifications
from app.subscriptions import manage_subscriptions
from app.subscriptions.rules.subscriptions import SubscriptionRequest
from bench.databases import empty_database
from bench.receivers import free_port, gateway
from devstack import embedded_postgres
from tests.subscriptions import subscriber
from tests.subscriptions.subscriber import Received

DIRECTORY = Path(__file__).parent.parent / ".dev" / "bench"
LARGEST_SHARE = 1.2
FLOWS = 200
BURST = 2000
DEADLINE_SECONDS = 120.0


class Clocked:
    """Records the delay of each event from its occurrence to its arrival, in seconds."""

    def __init__(self, expected: int) -> None:
        """Expect this number of events."""
        self.taken: list[float] = []
        self._expected = expected
        self._are_here = asyncio.Event()

    def answer(self, received: Received) -> tuple[int, dict[str, str]]:
        """Record an event and answer with success."""
        self.taken.append((datetime.now(UTC) - datetime.fromisoformat(received.event["time"])).total_seconds())
        if len(self.taken) >= self._expected:
            self._are_here.set()
        return 204, {}

    async def all(self) -> list[float]:
        """Wait for all events. Returns their delays."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self._are_here.wait()
        return self.taken


class Bench:
    """One worker, and events that occur at a steady rate."""

    def __init__(self, inputs: Inputs, *, rate: float, seconds: float) -> None:
        """Use the inputs of the worker's database."""
        self._inputs = inputs
        self._rate = rate
        self._seconds = seconds
        self._occurred = 0

    async def p99(self, *neighbours: str) -> float:
        """The healthy subscriber's 99th percentile in seconds, beside subscriptions to these URLs."""
        count = round(self._rate * self._seconds)
        clocked = Clocked(count)
        async with subscriber.listening(clocked.answer) as healthy, self._subscribed(healthy.url, *neighbours):
            for _ in range(count):
                await self._occur()
                await asyncio.sleep(1 / self._rate)
            return statistics.quantiles(await clocked.all(), n=100)[98]

    async def deliveries_per_second(self) -> float:
        """The deliveries per second to one subscriber from a backlog."""
        clocked = Clocked(BURST)
        async with subscriber.listening(clocked.answer) as healthy, self._subscribed(healthy.url) as [waiting]:
            await manage_subscriptions.pause_subscription(self._inputs.subscriptions, waiting)
            for _ in range(BURST):
                await self._occur()
            await self._sequenced()
            began = perf_counter()
            await manage_subscriptions.resume_subscription(self._inputs.subscriptions, waiting)
            await clocked.all()
            return BURST / (perf_counter() - began)

    async def _occur(self) -> None:
        """Append the next event of one of the flows."""
        flow, sequence = self._occurred % FLOWS, self._occurred // FLOWS
        facts = FlowFacts(app="default", flow_id=f"flow-{flow}", reference="payee-17", user_id=None)
        fresh = events.step_completed(facts, datetime.now(UTC), step=f"step-{sequence}")
        async with database.transaction(self._inputs.storage.engine) as connection:
            await event_rows.append(connection, [fresh], after_sequence=sequence)
        self._inputs.storage.notifications.send(notifications.APPENDED)
        self._occurred += 1

    async def _sequenced(self) -> None:
        """Wait until every event has its position in the feed, and so its delivery."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            position = 0
            while position < self._occurred:
                async with database.transaction(self._inputs.storage.engine) as connection:
                    position = (await event_rows.state(connection)).last_position

    @asynccontextmanager
    async def _subscribed(self, *urls: str) -> AsyncIterator[list[UUID]]:
        """Create subscriptions to all events, and delete them at the end."""
        created: list[UUID] = []
        for url in urls:
            request = SubscriptionRequest(url=url, types=("*",))
            new = await manage_subscriptions.create_subscription(self._inputs.subscriptions, request, caller="bench")
            created.append(new.subscription.id)
        try:
            yield created
        finally:
            for each in created:
                await manage_subscriptions.delete_subscription(self._inputs.subscriptions, each)


async def run(arguments: argparse.Namespace) -> bool:
    """Run all rounds and print the figures. Returns whether the median ratio is within the limit."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(embedded_postgres.running(DIRECTORY / "postgres"))
        url = await stack.enter_async_context(empty_database(postgres.url, purpose="deliveries"))
        await migrations.upgrade(url)
        environment = environment_for(url)
        inputs = await stack.enter_async_context(wiring.open_inputs(settings.read(environment)))
        carrying = asyncio.create_task(inputs.storage.notifications.run())
        stack.callback(carrying.cancel)
        await stack.enter_async_context(worker(environment))
        slow = await stack.enter_async_context(subscriber.listening())
        slow.is_open.clear()
        dead = f"http://127.0.0.1:{free_port()}/"
        bench = Bench(inputs, rate=arguments.rate, seconds=arguments.seconds)
        await bench.p99()  # The first round warms up.
        rounds = [(await bench.p99(), await bench.p99(slow.url, dead)) for _ in range(arguments.rounds)]
        per_second = await bench.deliveries_per_second()
    for alone, beside in rounds:
        print(f"p99 alone {alone * 1000:6.1f} ms, beside a slow and a dead one {beside * 1000:6.1f} ms")
    share = statistics.median(beside / alone for alone, beside in rounds)
    print(f"median of the rounds' ratios: {share:.2f} (limit {LARGEST_SHARE})")
    print(f"one worker, one subscriber: {per_second:.0f} deliveries/s")
    return share <= LARGEST_SHARE


def environment_for(database_url: str) -> dict[str, str]:
    """The settings of the worker, which never calls Dots."""
    receiver = gateway(database_url=database_url, secret=f"whsec_{b64encode(secrets.token_bytes(24)).decode()}")
    return {
        **receiver.environment,
        "ENCRYPTION_KEYS": f"bench:{b64encode(secrets.token_bytes(32)).decode()}",
        "SUBSCRIBERS_ALLOWED": "127.0.0.0/8:1-65535",
        "LOG_LEVEL": "warning",
    }


@asynccontextmanager
async def worker(environment: dict[str, str]) -> AsyncIterator[None]:
    """One worker, as it is deployed."""
    command = Path(sys.executable).parent / "dots-gateway"
    with (DIRECTORY / "worker.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            command, "worker", env={**os.environ, **environment}, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="Measure deliveries, alone and beside a slow and a dead subscriber.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=50.0, help="events per second")
    sys.exit(0 if asyncio.run(run(parser.parse_args())) else 1)


if __name__ == "__main__":
    main()
