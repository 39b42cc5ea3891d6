"""Fixtures for every test. `tests.databases` makes the databases."""

import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage import database as storage_database
from tests import databases
from tests.databases import Server

# The fixtures of all subjects.
pytest_plugins = ["tests.surroundings"]

# What `make unit` leaves out: tests that start processes, serve real HTTP or fill a database.
SLOW = (
    "browser",
    "clients",
    "commands",
    "contracts",
    "devstack",
    "faults",
    "feed/test_feed_plans.py",
    "flows/test_claim_plans.py",
    "flows/test_starved_refreshes.py",
    "journeys",
    "processes",
    "server/test_openapi.py",
    "simulator",
    "storage/test_migrations.py",
    "storage/test_plans.py",
    "storage/test_sessions.py",
    "subscriptions/test_delivery_fairness.py",
    "test_nameless.py",
    "web/test_request_rules.py",
    "webhooks/test_processes.py",
)

SERVER = pytest.StashKey[Server]()


def _server_of(config: pytest.Config) -> Server:
    """Return the server of this run. Starts it at the first call, and stops it when pytest ends."""
    if SERVER not in config.stash:
        stack = ExitStack()
        config.add_cleanup(stack.close)
        config.stash[SERVER] = stack.enter_context(databases.server(os.environ.get("DATABASE_URL")))
    return config.stash[SERVER]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the slow tests."""
    slow = tuple(f"tests/{place}" for place in SLOW)
    for item in items:
        if item.nodeid.startswith(slow):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the controller's one server to each pytest-xdist worker."""
    server = _server_of(node.config)
    node.workerinput["database_server"] = (server.url, server.run)


@pytest.fixture(scope="session")
def database_server(request: pytest.FixtureRequest) -> Server:
    """The Postgres server of this run."""
    workerinput: dict[str, Any] | None = getattr(request.config, "workerinput", None)
    if workerinput is None:
        return _server_of(request.config)
    url, run = workerinput["database_server"]
    return Server(url=url, run=run)


@pytest.fixture(scope="session")
def database_server_url(database_server: Server) -> str:
    """The URL of that server. A test must not change the database that it names."""
    return database_server.url


@pytest.fixture(scope="session")
def database_template(database_server: Server) -> str:
    """The name of the migrated database that each test's database is a copy of."""
    return databases.ensure_template(database_server)


@pytest.fixture
def empty_database_url(database_server: Server) -> Iterator[str]:
    """A new database without tables."""
    with databases.database(database_server) as url:
        yield url


@pytest.fixture
def database_url(database_server: Server, database_template: str) -> Iterator[str]:
    """A new database with the current schema, for this test alone."""
    with databases.database(database_server, template=database_template) as url:
        yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on `database_url`, disposed afterwards."""
    engine = storage_database.create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Restore the logging after a test. Commands set it to the standard error of the test, which is closed then."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
