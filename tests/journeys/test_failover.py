"""A standby replaces the primary behind one address while api and worker run."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.storage import migrations
from devstack import embedded_postgres
from devstack.embedded_postgres import EmbeddedPostgres
from tests.journeys.asking import KINDS, ask, ask_one_by_one, at_most_one_failed, use_all_connections
from tests.stack import database, standby
from tests.stack.gateway import Feed
from tests.stack.processes import Stack, running_stack
from tests.stack.relay import Relay, relaying
from tests.stack.waiting import eventually

READY_WITHIN = 15.0


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A primary and its synchronous standby."""

    primary: EmbeddedPostgres
    standby: EmbeddedPostgres


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A primary and a standby for one test."""
    with embedded_postgres.running(tmp_path / "primary") as primary:
        follower = standby.start_standby(primary, tmp_path / "standby")
        try:
            yield Pair(primary=primary, standby=follower)
        finally:
            embedded_postgres.stop(follower)


@pytest.mark.parametrize("first", ["webhook", "create"])
async def test_at_most_one_request_per_process_fails_after_a_failover(pair: Pair, first: str) -> None:
    """All open connections lead to the old server, which is read-only. A failing request takes at most 5 s."""
    async with behind_an_address(pair, apis=2) as (stack, relay):
        flow = await stack.gateway.create("compliance", "payout")
        await stack.dots.walk(flow, steps=1)
        await Feed(stack.gateway).until_reported(f"flow/{flow['id']}", 3)
        await use_all_connections(stack)
        await fail_over(pair, relay)

        answers = [await ask_one_by_one(stack, first, *KINDS, *KINDS, api=api) for api in range(2)]
        await stack.dots.do(flow["id"], "payout")
        reported = await Feed(stack.gateway).until_reported(f"flow/{flow['id']}", 5)

        assert [at_most_one_failed(each) for each in answers] == [True, True], answers
        assert reported[3:] == ["flow.step_completed payout", "flow.completed"]
        acknowledged = {answer.message_id for each in answers for answer in each if answer.status == 204}
        stored = await database.column(pair.standby.url, "SELECT message_id FROM webhooks")
        assert acknowledged - {""} <= set(stored)


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A way to make the database read-only, and its end."""

    begin: Callable[[Pair, Relay], Awaitable[None]]
    end: Callable[[Pair], Awaitable[None]]


async def lead_to_standby(pair: Pair, relay: Relay) -> None:
    """Lead the address to the standby before it is promoted."""
    relay.target = port_of(pair.standby)
    await relay.end()


async def promote(pair: Pair) -> None:
    """Promote the standby."""
    await asyncio.to_thread(standby.promote, pair.standby)


async def fence(pair: Pair, _relay: Relay) -> None:
    """Make the primary read-only, also for open sessions."""
    await standby.fence(pair.primary)


async def unfence(pair: Pair) -> None:
    """Make the primary writable again."""
    await standby.unfence(pair.primary)


OUTAGES = [
    pytest.param(Outage(begin=lead_to_standby, end=promote), id="only a standby"),
    pytest.param(Outage(begin=fence, end=unfence), id="default_transaction_read_only"),
]


@pytest.mark.parametrize("outage", OUTAGES)
async def test_readiness_fails_while_the_database_is_read_only(pair: Pair, outage: Outage) -> None:
    """All writes answer 503 meanwhile. Afterwards the service works without a restart, and nothing is lost."""
    async with behind_an_address(pair) as (stack, relay):
        flow = await stack.gateway.create("compliance", "payout")
        await use_all_connections(stack)
        await outage.begin(pair, relay)
        await eventually(lambda: answers_with(stack, "readyz", 503), within=READY_WITHIN)
        await stack.dots.walk(flow)
        refused = await ask_one_by_one(stack, "webhook", "create", "readyz")
        alive = await stack.client.get(f"{stack.gateway.url}/livez")

        await outage.end(pair)
        await eventually(lambda: answers_with(stack, "readyz", 200), within=READY_WITHIN)
        served = await ask_one_by_one(stack, *KINDS)
        reported = await Feed(stack.gateway).until_reported(f"flow/{flow['id']}", 5)
        await stack.dots.all_sent(within=60)

        assert [answer.status for answer in refused] == [503, 503, 503]
        assert alive.status_code == 200
        assert [answer.status for answer in served] == [204, 201, 200, 200]
        assert reported[-1] == "flow.completed"
        assert {attempt["status"] for attempt in await stack.dots.attempts()} <= {204, 503}
        stored = await database.column(stack.database_url, "SELECT message_id FROM webhooks")
        assert await stack.dots.acknowledged() <= set(stored)


@asynccontextmanager
async def behind_an_address(pair: Pair, *, apis: int = 1) -> AsyncIterator[tuple[Stack, Relay]]:
    """Apis and a worker that reach the migrated primary through a relay."""
    await migrations.upgrade(pair.primary.url)
    await standby.require_standby(pair.primary)
    async with relaying(port_of(pair.primary)) as relay:
        parts = urlsplit(pair.primary.url)
        url = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{relay.port}").geturl()
        async with running_stack(url, apis=apis) as stack:
            yield stack, relay


async def fail_over(pair: Pair, relay: Relay) -> None:
    """Make the primary read-only, promote the standby, and lead the address to it."""
    await standby.fence(pair.primary)
    await promote(pair)
    relay.target = port_of(pair.standby)


async def answers_with(stack: Stack, kind: str, status: int) -> bool:
    """Whether the api answers a request of this kind with this status."""
    return (await ask(stack, kind)).status == status


def port_of(postgres: EmbeddedPostgres) -> int:
    """The port of a server."""
    return urlsplit(postgres.url).port or 0
