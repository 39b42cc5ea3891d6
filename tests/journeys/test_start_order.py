"""Processes and Postgres start in any order, and each command explains why it cannot start."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from app.storage import migrations
from devstack import embedded_postgres
from devstack.embedded_postgres import EmbeddedPostgres
from devstack.ports import free_port
from tests.journeys.asking import KINDS, ask, ask_one_by_one
from tests.stack import database
from tests.stack.gateway import Feed
from tests.stack.processes import Stack, empty_stack
from tests.stack.relay import Relay, relaying
from tests.stack.waiting import eventually


class LatePostgres:
    """A Postgres that can be started and stopped repeatedly behind a relay with a fixed address."""

    def __init__(self, directory: Path, url: str, port: int) -> None:
        """Use this data directory and this address."""
        self.url = url
        self.port = port
        self._directory = directory
        self._server: EmbeddedPostgres | None = None
        self._relaying: asyncio.Task[None] | None = None
        self._relay: Relay | None = None
        self._is_over = asyncio.Event()

    async def start(self) -> None:
        """Start the server and the relay."""
        self._server = embedded_postgres.start(self._directory)
        is_listening = asyncio.Event()
        self._is_over.clear()
        self._relaying = asyncio.create_task(self._listen(urlsplit(self._server.url).port or 0, is_listening))
        await is_listening.wait()

    async def stop(self) -> None:
        """Stop the relay and the server."""
        if self._server is not None and self._relaying is not None:
            self._is_over.set()
            await self._relaying
            embedded_postgres.stop(self._server)
            self._server = self._relaying = None

    async def _listen(self, target: int, is_listening: asyncio.Event) -> None:
        async with relaying(target, port=self.port):
            is_listening.set()
            await self._is_over.wait()


@asynccontextmanager
async def late_postgres(directory: Path) -> AsyncIterator[LatePostgres]:
    """A stopped Postgres with a migrated database."""
    with embedded_postgres.running(directory) as before:
        await migrations.upgrade(before.url)
    parts, port = urlsplit(before.url), free_port()
    url = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
    postgres = LatePostgres(directory, url, port)
    try:
        yield postgres
    finally:
        await postgres.stop()


async def test_processes_wait_for_postgres_and_survive_its_restart(tmp_path: Path) -> None:
    """All processes start before Postgres. Later Postgres restarts, and no process needs a restart."""
    async with late_postgres(tmp_path / "postgres") as postgres, empty_stack(postgres.url) as stack:
        await stack.start_simulator()
        migrating = asyncio.create_task(stack.run("migrate"))
        api = asyncio.create_task(stack.start_api("--with-worker"))
        worker = asyncio.create_task(stack.start_worker())
        for name in ("api", "worker"):
            await eventually(lambda name=name: logs_what_it_waits_for(stack, name, postgres.port))  # type: ignore[misc]  # a lambda has no annotation
        was_waiting = not (api.done() or worker.done() or migrating.done())

        await postgres.start()
        status, _, errors = await migrating
        await stack.dots.send_webhooks_to((await api).url)
        await worker
        await stack.create_key()
        flow = await stack.gateway.create("compliance", "payout")
        await stack.dots.walk(flow, steps=1)
        await Feed(stack.gateway).until_reported(f"flow/{flow['id']}", 3)
        # A refresh that Postgres interrupts would wait until its lease expires.
        await database.all_handled(postgres.url)
        await postgres.stop()
        meanwhile = await ask_one_by_one(stack, *KINDS)
        await postgres.start()
        await eventually(lambda: is_ready(stack))
        await stack.dots.do(flow["id"], "payout")
        reported = await Feed(stack.gateway).until_reported(f"flow/{flow['id']}", 5)

        assert was_waiting
        assert (status, errors.count("Traceback")) == (0, 0)
        assert [answer.status for answer in meanwhile] == [503] * len(KINDS)
        assert reported[-1] == "flow.completed"
        assert [child.process.returncode for child in stack.children] == [None] * 3
        assert password_of(postgres.url) not in stack.logs.text() + errors


@dataclass(frozen=True, kw_only=True)
class Case:
    """A problem with the database: statements and a changed URL that cause it, and words that the error must have."""

    prepare: tuple[str, ...] = ()
    user: str = ""
    password: str = ""
    host: str = ""
    port: str = ""
    name: str = ""
    commands: tuple[str, ...] = ("api", "worker", "migrate")
    words: tuple[str, ...] = ()

    def url(self, url: str) -> str:
        """The changed URL."""
        parts = urlsplit(url)
        login = f"{self.user or parts.username}:{self.password or parts.password}"
        address = f"{self.host or parts.hostname}:{self.port or parts.port}"
        return parts._replace(netloc=f"{login}@{address}", path=f"/{self.name}" if self.name else parts.path).geturl()


COMMANDS = {"api": ("api", "--port", "0"), "worker": ("worker",), "migrate": ("migrate",)}
ROLE = "dots_gateway_test_no_rights"
THEIRS = ("CREATE TABLE alembic_version (version_num text)", "CREATE TABLE orders (id int)")

# EMPTY needs an empty database, MIGRATED a migrated one.
EMPTY = {
    "an unused port": Case(port="1", words=("127.0.0.1:1",)),
    "a wrong password": Case(password="not-the-password", words=("DATABASE_URL", "password")),
    "an unknown host": Case(host="database.invalid", words=("DATABASE_URL", "database.invalid")),
    "an unknown database": Case(name="no_such_database", words=("DATABASE_URL", "no_such_database")),
    "no migration yet": Case(commands=("api", "worker"), words=("dots-gateway migrate",)),
    "another program's tables": Case(prepare=THEIRS, commands=("api", "worker"), words=("DATABASE_SCHEMA",)),
    "no permission to create tables": Case(
        prepare=(
            f"DROP ROLE IF EXISTS {ROLE}",
            f"CREATE ROLE {ROLE} LOGIN PASSWORD 'a-role-of-tests'",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        ),
        user=ROLE,
        password="a-role-of-tests",
        commands=("migrate",),
        words=("public",),
    ),
}
MIGRATED = {
    "a newer schema": Case(
        prepare=("UPDATE dots_gateway_version SET version_num = '9999'",), words=("newer than this program",)
    ),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in EMPTY.items()])
async def test_start_up_errors_are_one_line(empty_database_url: str, case: Case) -> None:
    """Exit status 1 and one line that explains the problem, without the password."""
    await assert_one_line(empty_database_url, case)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in MIGRATED.items()])
async def test_start_up_errors_about_a_schema_are_one_line(database_url: str, case: Case) -> None:
    """The same with a migrated database."""
    await assert_one_line(database_url, case)


async def assert_one_line(database_url: str, case: Case) -> None:
    """Run each command of the case and check its last line."""
    connection = await asyncpg.connect(database_url)
    for statement in case.prepare:
        await connection.execute(statement)
    await connection.close()
    url = case.url(database_url)
    async with empty_stack(url, DATABASE_WAIT_SECONDS="2") as stack:
        await stack.start_simulator()
        ended = [await stack.run(*COMMANDS[command]) for command in case.commands]
    for command, (status, output, errors) in zip(case.commands, ended, strict=True):
        last = errors.splitlines()[-1]
        assert (command, status, output) == (command, 1, "")
        assert last.startswith("dots-gateway: "), errors
        assert all(words in last for words in case.words), last
        assert [line for line in errors.splitlines()[:-1] if not line.startswith('{"')] == [], errors
        assert password_of(url) not in errors


def password_of(url: str) -> str:
    """The password in a URL."""
    return urlsplit(url).password or ""


async def logs_what_it_waits_for(stack: Stack, name: str, port: int) -> bool:
    """Whether a process has logged the address that it waits for at least twice."""
    return sum(f"127.0.0.1:{port}" in line for line in stack.logs.of(name)) >= 2


async def is_ready(stack: Stack) -> bool:
    """Whether the api is ready."""
    return (await ask(stack, "readyz")).status == 200
