"""Fixtures for every test. How the databases come about is in `tests.databases`."""

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

SERVER = pytest.StashKey[Server]()


def _server_of(config: pytest.Config) -> Server:
    """The server of this run, started when first asked for and stopped when pytest ends."""
    if SERVER not in config.stash:
        stack = ExitStack()
        config.add_cleanup(stack.close)
        config.stash[SERVER] = stack.enter_context(databases.server(os.environ.get("DATABASE_URL")))
    return config.stash[SERVER]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells each pytest-xdist worker of the one server, which belongs to the controller."""
    server = _server_of(node.config)
    node.workerinput["database_server"] = (server.url, server.run)


@pytest.fixture(scope="session")
def database_server(request: pytest.FixtureRequest) -> Server:
    """The server that the databases of this run are made on."""
    workerinput: dict[str, Any] | None = getattr(request.config, "workerinput", None)
    if workerinput is None:
        return _server_of(request.config)
    url, run = workerinput["database_server"]
    return Server(url=url, run=run)


@pytest.fixture(scope="session")
def database_server_url(database_server: Server) -> str:
    """The URL of that server; the database it names must be left as it is."""
    return database_server.url


@pytest.fixture(scope="session")
def database_template(database_server: Server) -> str:
    """The name of the migrated database that clones are made from."""
    return databases.ensure_template(database_server)


@pytest.fixture
def empty_database_url(database_server: Server) -> Iterator[str]:
    """A brand new database without any table."""
    with databases.database(database_server) as url:
        yield url


@pytest.fixture
def database_url(database_server: Server, database_template: str) -> Iterator[str]:
    """A migrated database as migrations leave it, for this test alone."""
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
    """Puts the logging back after a test that ran a command: it logs to a standard error that ends with the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
