"""Query plans of the feed and the deliveries on a database with many rows, on Postgres 16 and 18."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.brokers import offset_rows
from app.feed import event_rows, event_times, events
from app.storage import database as storage_database
from app.storage import migrations
from app.subscriptions import (
    delivery_rows,
    delivery_search,
    queue_claims,
    redelivery_rows,
)
from app.subscriptions.delivery_search import DeliveryFilter
from app.subscriptions.queue_claims import FreeSlots
from app.subscriptions.queue_rows import DeliveryQueue
from app.subscriptions.redelivery_rows import RedeliveryFilter
from devstack import embedded_postgres
from tests import databases
from tests.dots.fake_dots import NOW
from tests.feed import grown_feed
from tests.feed.grown_feed import EVENTS
from tests.storage import plans
from tests.storage.plans import Act
from tests.subscriptions.subscribed import subscription

ALL, RARE = list(events.TYPES), [events.CHECK_FLAGGED]
SHOP = subscription(1).id
LATER = NOW + timedelta(days=2)


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query and its limit in pages. It may scan the tables in `may_scan` completely."""

    act: Act
    most_pages: int
    may_scan: frozenset[str] = field(default=frozenset({"feed", "subscriptions"}))


def redelivery(after: int, up_to: int) -> RedeliveryFilter:
    """All events in a range of positions."""
    return RedeliveryFilter(subscription_id=SHOP, app=None, types=ALL, since=NOW, until=None, after=after, up_to=up_to)


def listed(state: str | None, types: list[str]) -> Act:
    """A page of deliveries in this state."""
    wanted = DeliveryFilter(subscription_id=SHOP, types=types, state=state)  # type: ignore[arg-type]  # a literal
    return lambda connection: delivery_search.page(connection, wanted, before=None, limit=50, scan_limit=1_000)


def claim_due(slots: int) -> Act:
    """A claim of delivery queues."""
    return lambda connection: queue_claims.claim_due(
        connection,
        slots=FreeSlots(total=slots, slow=slots, at_once=8),
        known={},
        now=LATER,
        lease_until=LATER,
        probe_until=LATER,
        token=uuid4(),
    )


QUERIES = {
    "end of the feed": Query(act=event_rows.state, most_pages=10),
    "empty pass of the sequencer": Query(
        act=lambda connection: event_rows.stamp(connection, limit=1000), most_pages=20
    ),
    "page of the feed": Query(
        act=lambda connection: event_rows.between(connection, after=9_000, up_to=19_000, types=ALL, limit=100),
        most_pages=120,
    ),
    "page of a rare type": Query(
        act=lambda connection: event_rows.between(connection, after=11_000, up_to=13_000, types=RARE, limit=100),
        most_pages=120,
    ),
    "position of a time": Query(
        act=lambda connection: event_times.position_before(connection, NOW + timedelta(seconds=EVENTS // 2)),
        most_pages=150,
    ),
    "position of a future time": Query(
        act=lambda connection: event_times.position_before(connection, LATER), most_pages=150
    ),
    "deliveries created": Query(
        act=lambda connection: delivery_rows.make(connection, positions=range(EVENTS, EVENTS), now=NOW), most_pages=20
    ),
    "delivery queues claimed": Query(
        act=claim_due(8), most_pages=250, may_scan=frozenset({"feed", "subscriptions", "delivery_queues"})
    ),
    "first pending deliveries of queues": Query(
        act=lambda connection: delivery_rows.heads(
            connection,
            [
                DeliveryQueue(subscription_id=SHOP, app="default", subject=f"flow/{n}", token=uuid4())
                for n in range(800, 6400, 800)
            ],
        ),
        most_pages=120,
    ),
    "states of brokers": Query(
        act=offset_rows.broker_states, most_pages=20, may_scan=frozenset({"feed", "broker_offsets"})
    ),
    "redelivery counted": Query(
        act=lambda connection: redelivery_rows.count(connection, redelivery(20_000, 21_000)), most_pages=5_000
    ),
    "redelivery candidates": Query(
        act=lambda connection: redelivery_rows.candidates(connection, redelivery(20_000, 21_000), limit=100),
        most_pages=700,
    ),
    "deliveries listed": Query(act=listed(None, ALL), most_pages=300),
    "deliveries of a rare type listed": Query(act=listed(None, RARE), most_pages=4_500),
    "pending deliveries listed": Query(act=listed("pending", ALL), most_pages=100),
    "dead deliveries listed": Query(act=listed("dead", ALL), most_pages=100),
}


@pytest.fixture(scope="module", params=[16, 18])
def grown_database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A grown database on a server of this version."""
    with (
        tempfile.TemporaryDirectory(prefix="dots-gateway-plans-", dir=databases.fast_directory()) as directory,
        embedded_postgres.running(Path(directory), durable=False, version=request.param) as postgres,
    ):
        databases.run_apart(_fill(postgres.url))
        yield postgres.url


async def _fill(url: str) -> None:
    await migrations.upgrade(url)
    engine = storage_database.create_engine(url)
    await grown_feed.fill(engine)
    await engine.dispose()


@pytest.fixture
async def grown(grown_database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the grown database, which no test changes."""
    engine = storage_database.create_engine(grown_database_url)
    yield engine
    await engine.dispose()


@pytest.mark.parametrize("mode", plans.MODES)
@pytest.mark.parametrize("name", QUERIES)
async def test_query_is_bounded_on_a_grown_database(grown: AsyncEngine, name: str, mode: str) -> None:
    """The query scans no large table completely, and reads few pages."""
    query = QUERIES[name]

    found = await plans.explain(grown, query.act, mode=mode)

    assert set().union(*(plan.read_as_a_whole for plan in found)) <= query.may_scan
    assert sum(plan.pages for plan in found) <= query.most_pages
