"""How much slower refreshing and delivering become while webhooks arrive and another session's transaction stays open.

Such a transaction keeps every row version that has died since it began. There is always more to refresh and to
deliver than one worker can do, so that its rates show what each piece of work costs.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from bench import growth_receiving
from bench.databases import connected
from bench.deliveries import worker
from bench.dots_stand_in import DotsStandIn
from bench.growth_fill import WELL
from bench.growth_receiving import Load
from bench.growth_sizes import DAYS
from bench.growth_target import Target

WEBHOOKS_PER_SECOND = 200.0
CONNECTIONS = 16
# The measurement leaves out the start of the worker.
SETTLING_SECONDS = 10.0
SLICE_SECONDS = 10.0
BACKLOG_PER_SECOND = 400
UNLIMITED = {"DOTS_CALLS_PER_SECOND": "10000", "DOTS_CALLS_BURST": "100000"}


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The rates of one worker per second, for each slice of time."""

    refreshes: list[float]
    deliveries: list[float]
    webhooks: float

    @property
    def late_refreshes(self) -> float:
        """Refreshes a second in the last third of the time."""
        return _late(self.refreshes)

    @property
    def late_deliveries(self) -> float:
        """Deliveries a second in the last third of the time."""
        return _late(self.deliveries)


def _late(slices: list[float]) -> float:
    chosen = slices[-max(1, len(slices) // 3) :]
    return sum(chosen) / len(chosen)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The same load for the same time, first without the open transaction and then with it."""

    without: Rates
    beside: Rates

    def markdown(self, minutes: float) -> str:
        """Return a Markdown table of the rates and of the share that is kept."""
        rates = (
            ("refreshes", self.without.late_refreshes, self.beside.late_refreshes),
            ("deliveries", self.without.late_deliveries, self.beside.late_deliveries),
            ("acknowledged webhooks", self.without.webhooks, self.beside.webhooks),
        )
        load = f"each second, beside {WEBHOOKS_PER_SECOND:.0f} webhooks"
        lines = [
            f"| {load} | no open transaction | one open for {minutes:g} min | share kept |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {without:,.0f} | {beside:,.0f} | {f'{beside / without:.2f}' if without else ''} |"
            for name, without, beside in rates
        ]
        return "\n".join(lines)


async def compare(target: Target, dots: DotsStandIn, *, minutes: float, directory: Path) -> Compared:
    """Measure the rates without and with the open transaction."""
    without = await _rates(target, dots, minutes=minutes, directory=directory)
    await target.execute("VACUUM")
    async with _open_transaction(target):
        beside = await _rates(target, dots, minutes=minutes, directory=directory)
    return Compared(without=without, beside=beside)


@asynccontextmanager
async def _open_transaction(target: Target) -> AsyncIterator[None]:
    """Hold one transaction with a snapshot and a write of its own, as a forgotten session does."""
    async with connected(target.database_url) as connection:
        await connection.execute(text("BEGIN ISOLATION LEVEL REPEATABLE READ"))
        await connection.execute(text("SELECT pg_current_xact_id(), count(*) FROM apps"))
        try:
            yield
        finally:
            await connection.execute(text("ROLLBACK"))


async def _rates(target: Target, dots: DotsStandIn, *, minutes: float, directory: Path) -> Rates:
    seconds = minutes * 60
    await _make_backlog(target, round((seconds + SETTLING_SECONDS) * BACKLOG_PER_SECOND))
    load = Load(seconds=seconds + SETTLING_SECONDS, connections=CONNECTIONS, rate=WEBHOOKS_PER_SECOND)
    async with worker({**target.environment, **UNLIMITED}):
        sending = asyncio.create_task(growth_receiving.send(target, load, directory=directory))
        await asyncio.sleep(SETTLING_SECONDS)
        refreshes, deliveries = [], []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            answered, began = dots.answered, time.perf_counter()
            target.subscriber.received.clear()
            await asyncio.sleep(min(SLICE_SECONDS, seconds))
            took = time.perf_counter() - began
            refreshes.append((dots.answered - answered) / took)
            deliveries.append(len(target.subscriber.received) / took)
        result = await sending
    return Rates(refreshes=refreshes, deliveries=deliveries, webhooks=result.acknowledged / result.seconds)


async def _make_backlog(target: Target, count: int) -> None:
    """Make more flows due for a sweep and more deliveries pending than one worker can process in the time."""
    await target.execute(
        "UPDATE sync_rows SET due_at = now(), due_by = 'sweep' WHERE (app, kind, subject_id) IN "
        "(SELECT app, kind, subject_id FROM sync_rows WHERE kind = 'flow' AND dead_at IS NULL LIMIT :count)",
        count=count,
    )
    found = json.loads(await target.client.get("/v1/subscriptions"))["subscriptions"]
    subscription_id = next(each["id"] for each in found if each["types"] == [WELL])
    since = datetime.now(UTC) - timedelta(days=DAYS)
    order: dict[str, object] = {"since": since.isoformat(), "dry_run": False}
    pending = 0
    while pending < count:
        body = await target.client.post(f"/v1/subscriptions/{subscription_id}/redeliver", json.dumps(order).encode())
        done = json.loads(body)
        pending += done["again"] + done["fresh"]
        if done["next_cursor"] is None:
            break
        order["after"] = done["next_cursor"]
