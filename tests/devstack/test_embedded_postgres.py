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
AT_ONCE = timedelta(0)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A new data directory that `nobody` can reach too, which pytest's own `tmp_path` is not."""
    with tempfile.TemporaryDirectory(prefix="dots-gateway-tests-", dir=databases.fast_directory()) as path:
        Path(path).chmod(0o711)
        yield Path(path)


async def ask(url: str, *statements: str) -> object:
    """The first value that the last of the statements gives; all are committed."""
    engine = create_engine(url)
    answer: object = None
    async with engine.begin() as connection:
        for statement in statements:
            result = await connection.execute(text(statement))
            answer = result.scalar() if result.returns_rows else None
    await engine.dispose()
    return answer


@pytest.mark.parametrize("version", [18, 16])
async def test_server_answers_as_soon_as_it_is_started(directory: Path, version: int) -> None:
    """`start` returns when connections are accepted, not before, for every Postgres in the package."""
    with embedded_postgres.running(directory, durable=False, version=version) as postgres:
        answer = await ask(postgres.url, "SHOW server_version_num")

    assert str(answer).startswith(str(version))


async def test_server_of_another_installation_is_run(directory: Path) -> None:
    """Programs that are named, such as Debian's, are run instead of the package's default."""
    with embedded_postgres.running(
        directory, durable=False, version=16, binaries=postgres_binaries.find(16)
    ) as postgres:
        answer = await ask(postgres.url, "SHOW server_version_num")

    assert str(answer).startswith("16")


async def test_data_are_kept_from_run_to_run(directory: Path) -> None:
    """A second server on the same directory finds what the first was told."""
    with embedded_postgres.running(directory, durable=False) as first:
        await ask(first.url, "CREATE TABLE kept (answer integer)", "INSERT INTO kept VALUES (42)")

    with embedded_postgres.running(directory, durable=False) as second:
        answer = await ask(second.url, "SELECT answer FROM kept")

    assert answer == 42


async def test_durable_server_waits_for_the_disk(directory: Path) -> None:
    """What `dev` and the bench run on keeps every safety of a real server."""
    with embedded_postgres.running(directory, durable=True) as postgres:
        fsync = await ask(postgres.url, "SHOW fsync")
        commit = await ask(postgres.url, "SHOW synchronous_commit")

    assert (fsync, commit) == ("on", "on")


async def test_server_is_for_this_machine_and_this_account_only(directory: Path) -> None:
    """It listens on the loopback address, wants its password, and only its owner may read that."""
    with embedded_postgres.running(directory, durable=False) as postgres:
        addresses = await ask(postgres.url, "SHOW listen_addresses")
        sockets = await ask(postgres.url, "SHOW unix_socket_directories")
        authentication = await ask(postgres.url, "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules")
        password_mode = stat.S_IMODE((directory / "password").stat().st_mode)

    assert (addresses, sockets, authentication) == ("127.0.0.1", "", "scram-sha-256")
    assert password_mode == 0o600
    assert (directory / "password").read_text() not in repr(postgres)


def test_server_is_gone_when_stopped(directory: Path) -> None:
    """Stopping ends the process and frees the directory at once."""
    postgres = embedded_postgres.start(directory, durable=False)

    embedded_postgres.stop(postgres)

    assert not is_alive(postgres.pid)
    os.close(data_directories.lock(data_directories.prepare(directory), timeout=AT_ONCE))


async def test_server_that_ignores_a_fast_stop_is_stopped_harder(directory: Path) -> None:
    """A server that does not end in time gets the next signal, and the data survive."""
    postgres = embedded_postgres.start(directory, durable=True)
    await ask(postgres.url, "CREATE TABLE kept ()")
    os.kill(postgres.pid, signal.SIGSTOP)

    embedded_postgres.stop(postgres, timeout=timedelta(milliseconds=50))

    with embedded_postgres.running(directory, durable=True) as again:
        assert await ask(again.url, "SELECT to_regclass('kept') IS NOT NULL")


async def test_stale_process_id_does_not_stop_a_start(directory: Path) -> None:
    """After a crash the id in `postmaster.pid` may be any process; the lock knows better."""
    with embedded_postgres.running(directory, durable=False):
        pass
    (directory / "cluster/postmaster.pid").write_text(f"{os.getppid()}\n{directory}/cluster\n0\n")

    with embedded_postgres.running(directory, durable=False) as postgres:
        answer = await ask(postgres.url, "SELECT 1")

    assert answer == 1


async def test_killed_server_starts_again(directory: Path) -> None:
    """A server that had no time to say goodbye recovers what was committed."""
    killed = embedded_postgres.start(directory, durable=True)
    await ask(killed.url, "CREATE TABLE kept ()")
    os.kill(killed.pid, signal.SIGKILL)
    killed.process.wait(SECONDS)

    with embedded_postgres.running(directory, durable=True) as postgres:
        assert await ask(postgres.url, "SELECT to_regclass('kept') IS NOT NULL")


def test_directory_in_use_is_refused(directory: Path) -> None:
    """A second server on the same data is refused by name, and the first goes on."""
    with embedded_postgres.running(directory, durable=False) as postgres:
        with pytest.raises(DataDirectoryInUseError, match=f"runs on {directory}"):
            embedded_postgres.start(directory, durable=False, timeout=AT_ONCE)

        assert is_alive(postgres.pid)


def test_directory_of_another_version_is_refused(directory: Path) -> None:
    """Postgres 18 does not touch what Postgres 16 made; the message says what to do."""
    with embedded_postgres.running(directory, durable=False, version=16):
        pass

    with pytest.raises(DataDirectoryError, match="made by Postgres 16, and this is Postgres 18: remove"):
        embedded_postgres.start(directory, durable=False, version=18)


def test_directory_of_something_else_is_refused(directory: Path) -> None:
    """A cluster that is none is reported, not repaired."""
    (directory / "cluster").mkdir()

    with pytest.raises(DataDirectoryError, match="no data directory"):
        embedded_postgres.start(directory, durable=False)


async def test_half_made_cluster_is_made_anew(directory: Path) -> None:
    """A start that was killed during initdb does not spoil the directory."""
    (directory / "cluster.new").mkdir()
    (directory / "cluster.new/PG_VERSION").write_text("18\n")
    (directory / "password").write_text("from the start that was killed")

    with embedded_postgres.running(directory, durable=False) as postgres:
        answer = await ask(postgres.url, "SELECT 1")

    assert answer == 1


def test_server_that_cannot_start_says_why(directory: Path) -> None:
    """The last lines of the server's log are in the error."""
    with embedded_postgres.running(directory, durable=False):
        pass
    with (directory / "cluster/postgresql.conf").open("a") as configuration:
        configuration.write("no_such_setting = 1\n")

    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        embedded_postgres.start(directory, durable=False)


async def test_port_taken_meanwhile_is_replaced_by_another(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losing the race for a free port costs another attempt, not the start."""
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
    """Root in a private checkout gets data and programs where `nobody` reaches them; others get what they asked for."""
    private = directory / "private"
    private.mkdir(mode=0o700)
    installed = postgres_binaries.copy(postgres_binaries.find(18), private / "installed")
    monkeypatch.setattr(postgres_binaries, "find", lambda _version: installed)
    monkeypatch.setattr(tempfile, "tempdir", str(directory))

    with embedded_postgres.running(private / "data", durable=False) as postgres:
        answer = await ask(postgres.url, "SELECT 1")

    assert answer == 1
    assert (postgres.data_directory == private / "data") == (os.geteuid() != 0)


def test_nowhere_to_go_is_explained(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When not even the temporary directory can be entered by others, root is told to name another."""
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    directory.chmod(0o700)

    with pytest.raises(DataDirectoryError, match="set TMPDIR"):
        data_directories._stand_in_for(directory / "data")


def test_missing_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error names it."""
    monkeypatch.setattr(postgres_binaries, "PACKAGE", "no_such_package")

    with pytest.raises(PostgresBinariesMissingError, match="install the extra dev"):
        postgres_binaries.find(18)


def test_unknown_version_is_explained() -> None:
    """A version that the package does not hold is refused with those it does."""
    with pytest.raises(PostgresBinariesMissingError, match="no Postgres 15; use one of 18, 16"):
        postgres_binaries.find(15)


START_AND_TELL = """
import sys
from pathlib import Path
from devstack import embedded_postgres
print(embedded_postgres.start(Path(sys.argv[1]), durable=False).pid, flush=True)
sys.stdin.read()
"""


def test_server_ends_with_its_killed_parent(directory: Path) -> None:
    """Even a parent that is killed leaves no server behind; only Linux can do that."""
    command = [sys.executable, "-c", START_AND_TELL, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if sys.platform != "linux":
            os.kill(pid, signal.SIGINT)

        parent.kill()

    assert all_end(pid)
