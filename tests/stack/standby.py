"""Starts and promotes a synchronous standby of an embedded Postgres server.

A relay or a proxy leads clients from one server to the other.
"""

import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from devstack import data_directory as data_directories
from devstack import embedded_postgres
from devstack.data_directory import SERVER_ENVIRONMENT, DataDirectory
from devstack.embedded_postgres import EmbeddedPostgres
from tests.stack import database
from tests.stack.waiting import eventually

COPY_SECONDS = 60.0


def start_standby(primary: EmbeddedPostgres, directory: Path) -> EmbeddedPostgres:
    """Start a new standby of `primary`. Replaces the content of `directory`.

    It stops when the calling thread ends. Commits wait for it only after `require_standby`.
    """
    prepared = data_directories.prepare(directory)
    lock = data_directories.lock(prepared, timeout=timedelta(seconds=10))
    try:
        _copy(primary, prepared)
    finally:
        os.close(lock)
    return embedded_postgres.start(directory)


async def require_standby(primary: EmbeddedPostgres) -> None:
    """Make the primary acknowledge a commit only after its standby has written it."""
    async with database.connected(primary.url) as connection:
        await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await connection.execute("SELECT pg_reload_conf()")

        async def is_synchronous() -> bool:
            states = await connection.fetch("SELECT sync_state FROM pg_stat_replication")
            return [row["sync_state"] for row in states] == ["sync"]

        await eventually(is_synchronous)


async def fence(postgres: EmbeddedPostgres) -> None:
    """Make a server read-only for all sessions, including open ones, like managed Postgres before a failover."""
    await _set_read_only(postgres, value="on")


async def unfence(postgres: EmbeddedPostgres) -> None:
    """Make a server writable again."""
    await _set_read_only(postgres, value="off")


def promote(standby: EmbeddedPostgres) -> None:
    """Promote a standby and wait until it accepts writes."""
    prepared = data_directories.prepare(standby.data_directory)
    _run(standby, prepared, "pg_ctl", "promote", "--wait", f"--pgdata={prepared.cluster}")


def _copy(primary: EmbeddedPostgres, prepared: DataDirectory) -> None:
    """Copy the primary with pg_basebackup and configure the copy as its standby."""
    shutil.rmtree(prepared.cluster, ignore_errors=True)
    copy = prepared.path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(mode=0o700)
    parts = urlsplit(primary.url)
    prepared.password_file.write_text(parts.password or "")
    if prepared.account:
        for path in (copy, prepared.password_file):
            os.chown(path, prepared.account.user, prepared.account.group)
    source = f"host={parts.hostname} port={parts.port} user={parts.username} password={parts.password}"
    options = ("--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync")
    _run(primary, prepared, "pg_basebackup", f"--pgdata={copy}", f"--dbname={source}", *options)
    # The primary's own conditions for a commit came along with its settings.
    settings = copy / "postgresql.auto.conf"
    kept = [line for line in settings.read_text().splitlines() if not line.startswith("synchronous_standby_names")]
    settings.write_text("\n".join([*kept, ""]))
    copy.rename(prepared.cluster)


def _run(postgres: EmbeddedPostgres, prepared: DataDirectory, program: str, *arguments: str) -> None:
    """Run one of Postgres' programs in the server's version, under the account of the data directory."""
    server = Path(str(postgres.process.args[0] if isinstance(postgres.process.args, list) else ""))
    account = prepared.account
    subprocess.run(
        [str(server.with_name(program)), *arguments],
        check=True,
        capture_output=True,
        timeout=COPY_SECONDS,
        cwd=prepared.path,
        env=SERVER_ENVIRONMENT,
        user=account.user if account else None,
        group=account.group if account else None,
        extra_groups=() if account else None,
    )


async def _set_read_only(postgres: EmbeddedPostgres, *, value: str) -> None:
    async with database.connected(postgres.url) as connection:
        await connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        await connection.execute("SELECT pg_reload_conf()")

    async def has_reloaded() -> bool:
        return await database.column(postgres.url, "SHOW default_transaction_read_only") == [value]

    await eventually(has_reloaded)
