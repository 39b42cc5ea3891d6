"""Makes the tests' databases: a server, one migrated template on it, and one clone of the template per test.

Postgres copies about 400 files per clone. That takes 18 to 25 ms in memory, and 113 to 340 ms on a disk. Emptying the
tables would take half as long, but would not restore sequences, seeded rows and open sessions.
"""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from app.storage import migrations
from devstack import embedded_postgres

# The name of a run that several pytest processes share, with its template. The process that set it cleans up.
RUN_VARIABLE = "TEST_DATABASE_RUN"
# Linux' directory in memory. In containers it is often too small for all clones and their write-ahead log.
MEMORY, FREE_BYTES = Path("/dev/shm"), 4 * 2**30  # noqa: S108  # every directory made in it has a random name


@dataclass(frozen=True, kw_only=True)
class Server:
    """A Postgres server. Tests do not change the database that `url` names. `run` is part of the names they create."""

    url: str
    run: str

    @property
    def template(self) -> str:
        """The name of the migrated database that the clones are copies of."""
        return f"test_{self.run}_template"


@contextmanager
def server(url: str | None) -> Iterator[Server]:
    """Yield the server at `url`, or an embedded one if None. Removes all that the tests created on it."""
    run, shared_run = secrets.token_hex(4), os.environ.get(RUN_VARIABLE)
    if url is None:
        with (
            tempfile.TemporaryDirectory(prefix="dots-gateway-tests-", dir=fast_directory()) as directory,
            embedded_postgres.running(Path(directory), durable=False) as postgres,
        ):
            yield Server(url=postgres.url, run=run)
        return
    # SQLAlchemy's spelling of the URL names a driver, which asyncpg does not understand.
    existing = Server(url=urlsplit(url)._replace(scheme="postgresql").geturl(), run=shared_run or run)
    try:
        yield existing
    finally:
        if shared_run is None:
            run_apart(_drop_all(existing))


def fast_directory() -> Path | None:
    """Return the directory in memory if it has enough room, else None, for the usual temporary directory."""
    has_space = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= FREE_BYTES
    return MEMORY if has_space else None


@contextmanager
def database(server: Server, *, template: str | None = None) -> Iterator[str]:
    """Yield the URL of a new database, empty or a copy of `template`. Drops it at the end, with its open sessions."""
    name = f"test_{server.run}_{secrets.token_hex(4)}"
    # template1 may have been changed; template0 has not.
    run_apart(_execute(server, f"CREATE DATABASE {name} TEMPLATE {template or 'template0'} STRATEGY file_copy"))
    try:
        yield url_of(server, name)
    finally:
        run_apart(_execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


def url_of(server: Server, database_name: str) -> str:
    """Return the server's URL with another database."""
    return urlsplit(server.url)._replace(path=f"/{database_name}").geturl()


def ensure_template(server: Server) -> str:
    """Return the name of the migrated template. The first pytest-xdist worker that asks makes it."""
    run_apart(_ensure_template(server))
    return server.template


def run_apart(work: Coroutine[None, None, None]) -> None:
    """Run `work` in its own thread, because the thread of a browser test already has a running loop."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        executor.submit(asyncio.run, work).result()


async def _ensure_template(server: Server) -> None:
    connection = await _connect(server)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext($1))", server.run)
        if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", server.template):
            return
        unfinished = f"{server.template}_unfinished"
        await connection.execute(f"DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {unfinished} TEMPLATE template0")
        await migrations.upgrade(url_of(server, unfinished))
        await connection.execute(f"ALTER DATABASE {unfinished} RENAME TO {server.template}")
    finally:
        await connection.close()


async def _drop_all(server: Server) -> None:
    connection = await _connect(server)
    try:
        ours = "SELECT datname FROM pg_database WHERE starts_with(datname, $1)"
        for row in await connection.fetch(ours, f"test_{server.run}_"):
            await connection.execute(f"DROP DATABASE {row['datname']} WITH (FORCE)")
    finally:
        await connection.close()


async def _execute(server: Server, statement: str) -> None:
    connection = await _connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _connect(server: Server) -> Any:
    return await asyncpg.connect(server.url)
