"""Postgres crashes under load and restarts. No acknowledged webhook is lost, and no process needs a restart."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from devstack import embedded_postgres
from devstack.embedded_postgres import EmbeddedPostgres
from tests.stack import database
from tests.stack.gateway import Feed
from tests.stack.processes import Stack, empty_stack
from tests.stack.relay import relaying
from tests.stack.waiting import eventually

STORM = 300


class OwnPostgres:
    """A durable Postgres that one test may crash."""

    def __init__(self, directory: Path) -> None:
        """Start it for the first time."""
        self._directory = directory
        self.server: EmbeddedPostgres = embedded_postgres.start(directory)

    @property
    def port(self) -> int:
        """Its port, which changes with each start."""
        return urlsplit(self.server.url).port or 0

    def url_at(self, port: int) -> str:
        """Its URL as seen through a relay."""
        parts = urlsplit(self.server.url)
        return parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()

    def crash(self) -> None:
        """Kill it, as a power cut would."""
        self.server.process.send_signal(signal.SIGQUIT)
        self.server.process.wait(30)

    def start_again(self) -> None:
        """Start it on its data, which it recovers first."""
        self.server = embedded_postgres.start(self._directory)


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[OwnPostgres]:
    """A Postgres of the test's own; never the one that DATABASE_URL names."""
    postgres = OwnPostgres(tmp_path / "postgres")
    yield postgres
    embedded_postgres.stop(postgres.server)


async def test_a_crash_of_postgres_loses_nothing_that_was_acknowledged(own_postgres: OwnPostgres) -> None:
    """Webhooks and callers get 503 while it is down. Afterwards api and worker continue by themselves."""
    async with relaying(own_postgres.port) as relay, empty_stack(own_postgres.url_at(relay.port)) as stack:
        await start_all(stack)
        flow = await stack.gateway.create("compliance", "payout", user_id=await stack.dots.add_user())
        await stack.dots.turn(webhooks={"shuffle_seconds": 2.0, "speed": 50.0})
        sent = set(await asyncio.gather(*(stack.dots.send(event="x", transfer_id="t") for _ in range(STORM))))
        await eventually(lambda: acknowledged_at_least(stack, STORM // 8))

        own_postgres.crash()
        await stack.dots.do(flow["id"], "compliance")
        refused = await stack.gateway.get("/v1/flows")
        not_ready = await stack.gateway.get("/readyz")
        alive = await stack.gateway.get("/livez")
        await eventually(lambda: any_refused(stack))
        acknowledged = await stack.dots.acknowledged()
        own_postgres.start_again()
        relay.target = own_postgres.port
        stored = await stored_messages(stack)
        await eventually(lambda: is_ready(stack))
        await stack.dots.do(flow["id"], "payout")
        reported = await Feed(stack.gateway).until_reported(f"flow/{flow['id']}", 4)
        await stack.dots.all_sent(within=60)

        assert [answer.status_code for answer in (refused, not_ready, alive)] == [503, 503, 200]
        assert refused.json()["code"] == "database_unavailable"
        assert int(refused.headers["Retry-After"]) > 0
        assert STORM // 8 <= len(acknowledged & sent) < STORM
        assert acknowledged <= stored
        assert sent <= await stack.dots.acknowledged() <= await stored_messages(stack)
        assert {attempt["status"] for attempt in await stack.dots.attempts()} == {204, 503}
        assert reported[1:] == ["flow.step_completed compliance", "flow.step_completed payout", "flow.completed"]


async def start_all(stack: Stack) -> None:
    """Migrate by the real command, then start an api and a worker."""
    await stack.start_simulator()
    status, _, errors = await stack.run("migrate")
    assert status == 0, errors
    await stack.create_key()
    api = await stack.start_api()
    await stack.start_worker()
    await stack.dots.send_webhooks_to(api.url)


async def acknowledged_at_least(stack: Stack, count: int) -> bool:
    """Whether this many webhooks were answered with 2xx."""
    return len(await stack.dots.acknowledged()) >= count


async def any_refused(stack: Stack) -> bool:
    """Whether some webhook has been answered 503."""
    return any(attempt["status"] == 503 for attempt in await stack.dots.attempts())


async def is_ready(stack: Stack) -> bool:
    """Whether the api is ready for requests."""
    return (await stack.gateway.get("/readyz")).status_code == 200


async def stored_messages(stack: Stack) -> set[str]:
    """The ids of the webhooks in the database."""
    return set(await database.column(stack.database_url, "SELECT message_id FROM webhooks"))
