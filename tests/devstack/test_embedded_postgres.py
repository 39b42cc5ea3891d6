import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from app.storage.database import create_engine
from devstack import data_directory as data_directories
from devstack import embedded_postgres, ports, postgres_binaries
from devstack.errors import (
    DataDirectoryError,
    DataDirectoryInUseError,
    EmbeddedPostgresError,
    PostgresBinariesMissingError,
)
from tests import databases
from tests.devstack.liveness import all_end, is_alive

SECONDS = 10
NO_TIME = timedelta(0)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A new data directory that `nobody` can enter, unlike pytest's `tmp_path`."""
    with tempfile.TemporaryDirectory(prefix="dots-gateway-tests-", dir=databases.fast_directory()) as path:
        Path(path).chmod(0o711)
        yield Path(path)


async def ask(url: str, *statements: str) -> object:
    """Execute and commit the statements. Returns the first value of the last one."""
    engine = create_engine(url)
    answer: object = None
    async with engine.begin() as connection:
        for statement in statements:
            result = await connection.execute(text(statement))
            answer = result.scalar() if result.returns_rows else None
    await engine.dispose()
    return answer


@pytest.mark.parametrize(("binaries", "expected"), [(None, "18"), (postgres_binaries.find(16), "16")])
async def test_server_answers_as_soon_as_it_is_started(directory: Path, binaries: Path | None, expected: str) -> None:
    """`start` returns when the server accepts connections. By default it runs Postgres 18, otherwise `binaries`."""
    with embedded_postgres.running(directory, durable=False, binaries=binaries) as postgres:
        answer = await ask(postgres.url, "SHOW server_version_num")

    assert str(answer).startswith(expected)


async def test_server_keeps_this_machine_and_account_to_itself(directory: Path) -> None:
    """It listens on the loopback address and requires a password that only its owner can read.

    It refuses a second server on its data. Stopping ends its process and unlocks the directory.
    """
    with embedded_postgres.running(directory, durable=False) as postgres:
        addresses = await ask(postgres.url, "SHOW listen_addresses")
        sockets = await ask(postgres.url, "SHOW unix_socket_directories")
        authentication = await ask(postgres.url, "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules")
        password_mode = stat.S_IMODE((directory / "password").stat().st_mode)
        with pytest.raises(DataDirectoryInUseError, match=f"runs on {directory}"):
            embedded_postgres.start(directory, durable=False, timeout=NO_TIME)
        assert is_alive(postgres.pid)

    assert (addresses, sockets, authentication) == ("127.0.0.1", "", "scram-sha-256")
    assert password_mode == 0o600
    assert (directory / "password").read_text() not in repr(postgres)
    assert not is_alive(postgres.pid)
    os.close(data_directories.lock(data_directories.prepare(directory), timeout=NO_TIME))


async def test_durable_server_keeps_data_after_each_kind_of_end(directory: Path) -> None:
    """Data survive a kill, whose process id in `postmaster.pid` is stale, and a server that ignores the first signal.

    Then a stop sends stronger signals.
    """
    killed = embedded_postgres.start(directory, durable=True)
    safety = [await ask(killed.url, f"SHOW {name}") for name in ("fsync", "synchronous_commit")]
    await ask(killed.url, "CREATE TABLE kept ()")
    os.kill(killed.pid, signal.SIGKILL)
    killed.process.wait(SECONDS)
    (directory / "cluster/postmaster.pid").write_text(f"{os.getppid()}\n{directory}/cluster\n0\n")

    stopped = embedded_postgres.start(directory, durable=True)
    after_kill = await ask(stopped.url, "SELECT to_regclass('kept') IS NOT NULL")
    os.kill(stopped.pid, signal.SIGSTOP)
    embedded_postgres.stop(stopped, timeout=timedelta(milliseconds=50))
    with embedded_postgres.running(directory, durable=True) as postgres:
        after_stop = await ask(postgres.url, "SELECT to_regclass('kept') IS NOT NULL")

    assert (safety, after_kill, after_stop) == (["on", "on"], True, True)


def test_directory_of_another_version_is_refused(directory: Path) -> None:
    """Postgres 18 does not change a cluster of Postgres 16. The error says what to do."""
    with embedded_postgres.running(directory, durable=False, version=16):
        pass

    with pytest.raises(DataDirectoryError, match="created by Postgres 16, and this is Postgres 18: remove"):
        embedded_postgres.start(directory, durable=False, version=18)


def test_directory_of_something_else_is_refused(directory: Path) -> None:
    """The error reports an invalid cluster and does not repair it."""
    (directory / "cluster").mkdir()

    with pytest.raises(DataDirectoryError, match="cannot be read as a data directory"):
        embedded_postgres.start(directory, durable=False)


async def test_incomplete_cluster_is_replaced(directory: Path) -> None:
    """A start that was killed during initdb leaves the directory usable."""
    (directory / "cluster.new").mkdir()
    (directory / "cluster.new/PG_VERSION").write_text("18\n")
    (directory / "password").write_text("from the start that was killed")

    with embedded_postgres.running(directory, durable=False) as postgres:
        answer = await ask(postgres.url, "SELECT 1")

    assert answer == 1


def test_server_that_cannot_start_says_why(directory: Path) -> None:
    """The error contains the last lines of the server's log."""
    with embedded_postgres.running(directory, durable=False):
        pass
    with (directory / "cluster/postgresql.conf").open("a") as configuration:
        configuration.write("no_such_setting = 1\n")

    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        embedded_postgres.start(directory, durable=False)


async def test_taken_port_is_replaced_by_another(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another program takes the free port first, the start tries another one."""
    free_port = ports.free_port
    with embedded_postgres.running(directory / "first", durable=False) as first:
        taken = int(first.url.rpartition(":")[2].removesuffix("/postgres"))
        candidates = iter([taken])
        monkeypatch.setattr(ports, "free_port", lambda: next(candidates, None) or free_port())

        with embedded_postgres.running(directory / "second", durable=False) as second:
            answer = await ask(second.url, "SHOW port")

    assert answer not in {None, str(taken)}


async def test_server_works_below_a_directory_that_others_may_not_enter(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For root, data and programs move to a place that `nobody` can enter. For others, they stay."""
    private = directory / "private"
    private.mkdir(mode=0o700)
    installed = postgres_binaries.copy(postgres_binaries.find(18), private / "installed")
    monkeypatch.setattr(postgres_binaries, "find", lambda _version: installed)
    monkeypatch.setattr(tempfile, "tempdir", str(directory))

    with embedded_postgres.running(private / "data", durable=False) as postgres:
        answer = await ask(postgres.url, "SELECT 1")

    assert answer == 1
    assert (postgres.data_directory == private / "data") == (os.geteuid() != 0)


def test_closed_temporary_directory_is_explained(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If other accounts cannot enter the temporary directory, the error tells root to set another one."""
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    directory.chmod(0o700)

    with pytest.raises(DataDirectoryError, match="set TMPDIR"):
        data_directories._substitute_for(directory / "data")


def test_missing_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra `dev`, the error names it."""
    monkeypatch.setattr(postgres_binaries, "PACKAGE", "no_such_package")

    with pytest.raises(PostgresBinariesMissingError, match="install the extra dev"):
        postgres_binaries.find(18)


def test_unknown_version_is_explained() -> None:
    """The error for an unknown version names the available ones."""
    with pytest.raises(PostgresBinariesMissingError, match="contains no Postgres 15; use 18 or 16"):
        postgres_binaries.find(15)


START_AND_PRINT = """
import sys
from pathlib import Path
from devstack import embedded_postgres
print(embedded_postgres.start(Path(sys.argv[1]), durable=False).pid, flush=True)
sys.stdin.read()
"""


def test_server_ends_with_its_killed_parent(directory: Path) -> None:
    """On Linux even a killed parent leaves no server behind."""
    command = [sys.executable, "-c", START_AND_PRINT, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if sys.platform != "linux":
            os.kill(pid, signal.SIGINT)

        parent.kill()

    assert all_end(pid)
