"""Fixtures: servers of brokers, and the inputs of publishing."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.brokers import choice, kafka_topics
from app.brokers.broker import Broker
from tests.all_inputs import AllInputs, HandClock, inputs_over
from tests.brokers.real import servers
from tests.brokers.real.real_brokers import (
    RealBroker,
    RealKafka,
    RealNats,
    RealRabbit,
    RealRedis,
)
from tests.brokers.real.servers import Server


@pytest.fixture(scope="session")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One RabbitMQ for the whole run, because it starts slowly."""
    names = servers.erlang_names(tmp_path_factory.mktemp("names"))
    rabbit = servers.rabbit(tmp_path_factory.mktemp("rabbit"), names)
    with closing(names), closing(rabbit):
        names.start()
        rabbit.start()
        yield rabbit


@pytest.fixture
def real_nats(tmp_path: Path) -> Iterator[RealNats]:
    """A NATS server without streams."""
    with closing(servers.nats(tmp_path)) as server:
        server.start()
        yield RealNats(server=server)


@pytest.fixture
def real_redis(tmp_path: Path) -> Iterator[RealRedis]:
    """An empty Redis."""
    with closing(servers.redis(tmp_path)) as server:
        server.start()
        yield RealRedis(server=server)


@pytest.fixture
def real_kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealKafka]:
    """A Kafka without topics. `kill` pauses it, so clients only notice by a time-out."""
    monkeypatch.setattr(kafka_topics, "STEP_SECONDS", 1)
    with closing(servers.kafka(tmp_path)) as server:
        server.start()
        yield RealKafka(server=server)


@pytest.fixture
async def real_rabbit(rabbit_server: Server) -> AsyncIterator[RealRabbit]:
    """A RabbitMQ without our exchanges and queues."""
    real_broker = RealRabbit(server=rabbit_server)
    yield real_broker
    await real_broker.clear()


@pytest.fixture(params=["nats", "redis", "kafka", "rabbit"])
def real_broker(request: pytest.FixtureRequest) -> RealBroker:
    """Each of the brokers in turn."""
    real_broker: RealBroker = request.getfixturevalue(f"real_{request.param}")
    return real_broker


@pytest.fixture
async def broker(real_broker: RealBroker) -> AsyncIterator[Broker]:
    """The gateway's client of the broker."""
    broker = choice.build(real_broker.url())
    yield broker
    await broker.aclose()


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """The log lines, as data."""
    with structlog.testing.capture_logs() as logs:
        yield logs


@pytest.fixture
async def inputs(engine: AsyncEngine) -> AsyncIterator[AllInputs]:
    """The inputs of publishing, with a new database."""
    inputs = inputs_over(engine, HandClock(), {})
    yield inputs
    await inputs.pusher.aclose()
