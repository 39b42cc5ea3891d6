"""Where the tests' databases come from: a server, one migrated template in it, and clones of the template.

A clone a test, made by copying 400 files and dropped afterwards, takes 18 to 25 ms where they are in memory, and 113
to 340 ms where they are not; emptying the tables takes half of it, and leaves sequences, seeded rows and forgotten
sessions to think about.
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
# Linux' directory in memory. In containers it is often too small for all clones and what is logged of them.
MEMORY, FREE_BYTES = Path("/dev/shm"), 4 * 2**30  # noqa: S108  # what is made in it has a random name of its own


@dataclass(frozen=True, kw_only=True)
class Server:
    """A Postgres server; `url` names a database that stays untouched, `run` is in the name of all we make."""

    url: str
    run: str

    @property
    def template(self) -> str:
        """The name of the migrated database that clones are made from."""
        return f"test_{self.run}_template"


@contextmanager
def server(url: str | None) -> Iterator[Server]:
    """The server at `url`, or an embedded one when None; nothing of ours is left on it, or of it, afterwards."""
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


def fast_directory(memory: Path = MEMORY) -> Path | None:
    """Where files cost least: in memory where there is room for them, else wherever temporary files are (None)."""
    has_space = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= FREE_BYTES
    return memory if has_space else None


@contextmanager
def database(server: Server, *, template: str | None = None) -> Iterator[str]:
    """The URL of a new database, empty or a copy of `template`, dropped at the end whoever is still in it."""
    name = f"test_{server.run}_{secrets.token_hex(4)}"
    # template1 could hold what somebody put there; template0 never does.
    run_apart(_execute(server, f"CREATE DATABASE {name} TEMPLATE {template or 'template0'} STRATEGY file_copy"))
    try:
        yield url_of(server, name)
    finally:
        run_apart(_execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


def url_of(server: Server, database_name: str) -> str:
    """The server's URL with another database in it."""
    return urlsplit(server.url)._replace(path=f"/{database_name}").geturl()


def ensure_template(server: Server) -> str:
    """The name of the migrated template, made by whichever worker asks first."""
    run_apart(_ensure_template(server))
    return server.template


def run_apart(work: Coroutine[None, None, None]) -> None:
    """Runs `work` in a thread of its own, since a browser test's thread already has a running loop."""
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
