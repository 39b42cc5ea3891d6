"""Brokers' servers, and what publishing to them needs."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.brokers import choice, kafka_topics
from app.brokers.broker import Broker
from app.tools import Tools
from tests.brokers.real import servers
from tests.brokers.real.servers import Server
from tests.brokers.real.sites import (
    KafkaSite,
    NatsSite,
    RabbitSite,
    RedisSite,
    Site,
)
from tests.stand_in_tools import HandClock, tools_over


@pytest.fixture(scope="session")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The one RabbitMQ of a run, because it starts slowly."""
    names = servers.erlang_names(tmp_path_factory.mktemp("names"))
    rabbit = servers.rabbit(tmp_path_factory.mktemp("rabbit"), names)
    with closing(names), closing(rabbit):
        names.start()
        rabbit.start()
        yield rabbit


@pytest.fixture
def nats_site(tmp_path: Path) -> Iterator[NatsSite]:
    """A NATS server without any stream."""
    with closing(servers.nats(tmp_path)) as server:
        server.start()
        yield NatsSite(server=server)


@pytest.fixture
def redis_site(tmp_path: Path) -> Iterator[RedisSite]:
    """An empty Redis."""
    with closing(servers.redis(tmp_path)) as server:
        server.start()
        yield RedisSite(server=server)


@pytest.fixture
def kafka_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaSite]:
    """A Kafka without any topic. A test pauses it instead of killing it, which only a time-out notices."""
    monkeypatch.setattr(kafka_topics, "STEP_SECONDS", 1)
    with closing(servers.kafka(tmp_path)) as server:
        server.start()
        yield KafkaSite(server=server)


@pytest.fixture
async def rabbit_site(rabbit_server: Server) -> AsyncIterator[RabbitSite]:
    """A RabbitMQ without our exchanges and queues."""
    site = RabbitSite(server=rabbit_server)
    yield site
    await site.clear()


@pytest.fixture(params=["nats", "redis", "kafka", "rabbit"])
def site(request: pytest.FixtureRequest) -> Site:
    """Each of the brokers in turn."""
    site: Site = request.getfixturevalue(f"{request.param}_site")
    return site


@pytest.fixture
async def broker(site: Site) -> AsyncIterator[Broker]:
    """The gateway's client of the broker."""
    broker = choice.build(site.url())
    yield broker
    await broker.aclose()


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """The log lines, as data."""
    with structlog.testing.capture_logs() as logs:
        yield logs


@pytest.fixture
async def tools(engine: AsyncEngine) -> AsyncIterator[Tools]:
    """What publishing needs, over a database of its own."""
    tools = tools_over(engine, HandClock(), {})
    yield tools
    await tools.pusher.aclose()
