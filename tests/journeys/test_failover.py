"""A standby takes the primary's place behind one address, while api and worker run."""

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
    """A primary, and the standby that has all it has acknowledged."""

    primary: EmbeddedPostgres
    standby: EmbeddedPostgres


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Two servers of the test's own, the second a synchronous standby of the first."""
    with embedded_postgres.running(tmp_path / "primary") as primary:
        follower = standby.start_standby(primary, tmp_path / "standby")
        try:
            yield Pair(primary=primary, standby=follower)
        finally:
            embedded_postgres.stop(follower)


@pytest.mark.parametrize("first", ["webhook", "create"])
async def test_a_failover_costs_each_process_at_most_one_request(pair: Pair, first: str) -> None:
    """Every connection is left at the old server, now read-only: one request may fail, in 5 s, and the next works."""
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
class Trouble:
    """A way in which nothing can be written, and its end."""

    begin: Callable[[Pair, Relay], Awaitable[None]]
    end: Callable[[Pair], Awaitable[None]]


async def lead_to_standby(pair: Pair, relay: Relay) -> None:
    """Change the address too early: behind it is a standby that nobody has promoted yet."""
    relay.target = port_of(pair.standby)
    await relay.end()


async def promote(pair: Pair) -> None:
    """Promote the standby."""
    await asyncio.to_thread(standby.promote, pair.standby)


async def fence(pair: Pair, _relay: Relay) -> None:
    """Make the primary read-only by its configuration, for open sessions too."""
    await standby.fence(pair.primary)


async def unfence(pair: Pair) -> None:
    """Take that back."""
    await standby.unfence(pair.primary)


TROUBLES = [
    pytest.param(Trouble(begin=lead_to_standby, end=promote), id="only a standby"),
    pytest.param(Trouble(begin=fence, end=unfence), id="default_transaction_read_only"),
]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_readiness_fails_while_nothing_can_be_written(pair: Pair, trouble: Trouble) -> None:
    """503 to everybody meanwhile; afterwards all goes on without a restart, and nothing is lost."""
    async with behind_an_address(pair) as (stack, relay):
        flow = await stack.gateway.create("compliance", "payout")
        await use_all_connections(stack)
        await trouble.begin(pair, relay)
        await eventually(lambda: answers_with(stack, "readyz", 503), within=READY_WITHIN)
        await stack.dots.walk(flow)
        refused = await ask_one_by_one(stack, "webhook", "create", "readyz")
        alive = await stack.client.get(f"{stack.gateway.url}/livez")

        await trouble.end(pair)
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
    """Apis and a worker on the primary of a migrated pair, behind an address that can be changed."""
    await migrations.upgrade(pair.primary.url)
    await standby.require_standby(pair.primary)
    async with relaying(port_of(pair.primary)) as relay:
        parts = urlsplit(pair.primary.url)
        url = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{relay.port}").geturl()
        async with running_stack(url, apis=apis) as stack:
            yield stack, relay


async def fail_over(pair: Pair, relay: Relay) -> None:
    """The usual course: the old primary stops writing, the standby is promoted, the address changes."""
    await standby.fence(pair.primary)
    await promote(pair)
    relay.target = port_of(pair.standby)


async def answers_with(stack: Stack, kind: str, status: int) -> bool:
    """Whether the api answers a request of this kind so."""
    return (await ask(stack, kind)).status == status


def port_of(postgres: EmbeddedPostgres) -> int:
    """Where a server listens."""
    return urlsplit(postgres.url).port or 0
