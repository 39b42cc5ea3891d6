"""Runs PgBouncer (Debian's package) in front of a test's Postgres."""

import asyncio
import os
import pwd
import shutil
import signal
import tempfile
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from devstack.parent_death import signalled_on_parent_death
from devstack.ports import free_port
from tests.stack.waiting import eventually

READY_SECONDS = 10.0
STOP_SECONDS = 10.0
# Debian installs servers in /usr/sbin, which is not in the PATH of ordinary accounts.
_PATH = f"{os.environ['PATH']}:/usr/sbin"


@asynccontextmanager
async def pooling(database_url: str, *, mode: Literal["session", "transaction"], pool_size: int) -> AsyncIterator[str]:
    """Run a pooler in front of `database_url`; its URL. `pool_size` limits its connections to the server.

    Source: https://www.pgbouncer.org/config.html (read 2026-11-27).
    """
    program = shutil.which("pgbouncer", path=_PATH)
    assert program, "PgBouncer is missing; `make pgbouncer` installs it"
    port = free_port()
    with _directory() as directory:
        (directory / "pgbouncer.ini").write_text(_configuration(database_url, port, mode, pool_size))
        parts = urlsplit(database_url)
        (directory / "users.txt").write_text(f'"{parts.username}" "{unquote(parts.password or "")}"\n')
        with (directory / "output.log").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                program,
                "pgbouncer.ini",
                cwd=directory,
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
                user=_account(),  # PgBouncer refuses to run as root.
                preexec_fn=signalled_on_parent_death(signal.SIGKILL),
            )
        try:
            await eventually(lambda: _accepts(process, port, directory), within=READY_SECONDS)
            yield parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
        finally:
            # PgBouncer 1.18 stops immediately on SIGTERM and waits for its clients on SIGINT.
            if process.returncode is None:
                process.terminate()
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()


def _configuration(database_url: str, port: int, mode: str, pool_size: int) -> str:
    """Debian's defaults except for addresses, modes and sizes, because the service must work with the defaults."""
    server = urlsplit(database_url)
    return f"""
[databases]
* = host={server.hostname} port={server.port or 5432}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = users.txt
pool_mode = {mode}
default_pool_size = {pool_size}
max_client_conn = 500
"""


async def _accepts(process: Process, port: int, directory: Path) -> bool:
    assert process.returncode is None, (directory / "output.log").read_text()
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _account() -> int | None:
    """The user id to run as; None: the current one."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


@contextmanager
def _directory() -> Iterator[Path]:
    """A directory that the pooler's account can read, unlike pytest's directories."""
    with tempfile.TemporaryDirectory(prefix="dots-gateway-pgbouncer-") as name:
        account = _account()
        if account is not None:
            os.chown(name, account, -1)
        yield Path(name)
