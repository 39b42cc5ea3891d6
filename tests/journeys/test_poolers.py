"""The whole service behind PgBouncer, in session mode and in transaction mode."""

import asyncio
import json
from typing import Literal
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.journeys.arrivals import by_subject, first_arrivals, has
from tests.journeys.test_stream import read
from tests.stack import database
from tests.stack.gateway import Feed
from tests.stack.pgbouncer import pooling
from tests.stack.processes import Stack, empty_stack
from tests.stack.waiting import eventually
from tests.subscriptions import subscriber
from tests.subscriptions.subscriber import Subscriber

FLOWS = 30
# Each flow: created, claimed, two steps, completed.
EVENTS = FLOWS * 5
# FEW is less than the processes open, so transactions of different processes share the connections.
FEW, MANY = 5, 80

Mode = Literal["session", "transaction"]

POOLER_CASES = [
    pytest.param("session", MANY, {}, "", id="session mode needs no setting"),
    pytest.param("transaction", FEW, {"DATABASE_POOLER": "transaction"}, "", id="transaction mode by its setting"),
    pytest.param("transaction", FEW, {}, "pgbouncer=true", id="transaction mode by the URL"),
]


@pytest.mark.parametrize(("mode", "size", "settings", "query"), POOLER_CASES)
async def test_the_service_works_behind_a_pooler(
    empty_database_url: str, mode: Mode, size: int, settings: dict[str, str], query: str
) -> None:
    """Migrate, create, receive, read, stream, push, and revoke a key, with two apis and a worker."""
    async with (
        pooling(empty_database_url, mode=mode, pool_size=size) as pooled_url,
        empty_stack(urlsplit(pooled_url)._replace(query=query).geturl(), **settings) as stack,
        subscriber.listening() as shop,
    ):
        await start(stack)
        await stack.gateway.subscribe(shop.url)
        busy = asyncio.create_task(most_backends(empty_database_url, shop))
        flows = await asyncio.gather(*(play(stack, number) for number in range(FLOWS)))
        await has(shop, EVENTS)

        feed = await Feed(stack.gateways[1]).until(lambda events: len(events) >= EVENTS)
        streamed, _ = await read(stack, api=0, count=EVENTS)
        revoked_status = await create_and_revoke_a_key(stack)

        assert len(feed) == EVENTS
        assert streamed == feed
        assert by_subject(first_arrivals(shop.received)) == by_subject(feed)
        assert {event["subject"] for event in feed} == {f"flow/{flow_id}" for flow_id in flows}
        assert {attempt["status"] for attempt in await stack.dots.attempts()} == {204}
        assert revoked_status == 401
        assert await busy <= size
        assert "Traceback" not in stack.logs.text()


COMMANDS = [("api", "--port", "0"), ("worker",), ("migrate",), ("keys", "list")]


async def test_error_names_the_missing_setting_for_transaction_mode(database_url: str) -> None:
    """Every command exits with status 1 and one line that names the pooler and the setting."""
    async with pooling(database_url, mode="transaction", pool_size=1) as pooled_url:
        await prepare_statements(pooled_url)
        async with empty_stack(pooled_url, DATABASE_WAIT_SECONDS="2") as stack:
            await stack.start_simulator()
            ended = [await stack.run(*arguments) for arguments in COMMANDS]

    for arguments, (status, output, errors) in zip(COMMANDS, ended, strict=True):
        assert (arguments, status, output) == (arguments, 1, "")
        assert errors.startswith("dots-gateway: "), errors
        assert errors.count("\n") == 1, errors
        assert "PgBouncer" in errors
        assert "DATABASE_POOLER=transaction" in errors


async def start(stack: Stack) -> None:
    """Migrate with the command, then start two apis and a worker."""
    await stack.start_simulator()
    status, _, errors = await stack.run("migrate")
    assert status == 0, errors
    await stack.create_key()
    first = await stack.start_api(name="api-1")
    await stack.start_api(name="api-2")
    await stack.start_worker()
    await stack.dots.send_webhooks_to(first.url)


async def play(stack: Stack, number: int) -> str:
    """Create a flow and complete it; its id."""
    flow = await stack.gateways[number % 2].create("compliance", "payout", reference=f"payee-{number}")
    await stack.dots.walk(flow)
    return str(flow["id"])


async def most_backends(database_url: str, shop: Subscriber) -> int:
    """The largest number of connections from the pooler to the server before all events have been pushed."""
    most = 0

    async def is_over() -> bool:
        nonlocal most
        # Exclude this test's connections and background processes such as autovacuum.
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND application_name <> 'looking'"
        )
        most = max(most, *await database.column(f"{database_url}?application_name=looking", others))
        return len({each.headers["webhook-id"] for each in shop.received}) >= EVENTS

    await eventually(is_over)
    return most


async def create_and_revoke_a_key(stack: Stack) -> int:
    """Create a key and revoke it; the status that its caller then gets."""
    key = await stack.create_key(name="short-lived", scopes="events:read")
    headers = {"Authorization": f"Bearer {key}"}

    async def call() -> int:
        return (await stack.client.get(f"{stack.gateway.url}/v1/events", headers=headers)).status_code

    assert await call() == 200
    status, output, errors = await stack.run("keys", "list", "--json")
    assert status == 0, errors
    key_id = next(each["id"] for each in json.loads(output) if each["name"] == "short-lived")
    status, _, errors = await stack.run("keys", "revoke", key_id)
    assert status == 0, errors

    async def is_refused() -> bool:
        return await call() != 200

    await eventually(is_refused)
    return await call()


async def prepare_statements(pooled_url: str) -> None:
    """Leave prepared statements on the server's connection, like another process of the service."""
    connection = await asyncpg.connect(pooled_url)
    try:
        for number in range(20):
            await connection.fetch(f"SELECT {number}")
    finally:
        connection.terminate()
