"""The directory an embedded Postgres keeps its data in: making it, locking it, refusing what it cannot be.

In it: `cluster/` (Postgres' own), `password`, `server.log`, `lock`.
"""

import fcntl
import hashlib
import logging
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from devstack import postgres_binaries
from devstack.errors import DataDirectoryError, DataDirectoryInUseError, EmbeddedPostgresError

UNPRIVILEGED_ACCOUNT = "nobody"
SUPERUSER = "postgres"
# What surrounds us (PGDATA, PGPORT, a translated LC_MESSAGES, a local time zone) must not reach Postgres.
SERVER_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}
LOCK_POLL_SECONDS = 0.02

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account that Postgres runs under when we are root, which Postgres refuses to be."""

    user: int
    group: int


@dataclass(frozen=True, kw_only=True)
class DataDirectory:
    """A data directory that can be used, and under which account (None: our own)."""

    path: Path
    account: Account | None

    @property
    def cluster(self) -> Path:
        """What Postgres itself calls its data directory."""
        return self.path / "cluster"

    @property
    def password_file(self) -> Path:
        """The superuser's password, readable by its owner only."""
        return self.path / "password"

    @property
    def log_file(self) -> Path:
        """What the server said since its last start."""
        return self.path / "server.log"


def prepare(wanted: Path) -> DataDirectory:
    """The data directory `wanted`, made when absent, or a stand-in below the system's temporary directory.

    The stand-in is for root working below a directory that others may not enter (a checkout in a home
    directory): Postgres has to run as another account, and that account could not reach its data.
    """
    path = wanted.absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
        path = path.resolve()
        if os.geteuid() != 0:
            return DataDirectory(path=path, account=None)
        if not postgres_binaries.is_open_to_all(path):
            path = _stand_in_for(path)
        path.chmod(0o711)
    except OSError as error:
        raise DataDirectoryError(f"{path} cannot be used for embedded Postgres: {error.strerror}.") from error
    return DataDirectory(path=path, account=_account_for(path / "cluster"))


def _stand_in_for(path: Path) -> Path:
    name = hashlib.sha256(bytes(path)).hexdigest()[:12]
    stand_in = Path(tempfile.gettempdir()).resolve() / f"dots-gateway-postgres-{name}"
    stand_in.mkdir(exist_ok=True)
    if stand_in.is_symlink() or stand_in.stat().st_uid != os.geteuid():
        raise DataDirectoryError(f"{stand_in} belongs to somebody else; remove it.")
    if not postgres_binaries.is_open_to_all(stand_in):
        raise DataDirectoryError(f"Others may enter neither {path} nor {stand_in}; set TMPDIR to a place they may.")
    logger.warning("Embedded Postgres keeps its data in %s: others may not enter %s.", stand_in, path)
    return stand_in


def _account_for(cluster: Path) -> Account:
    """Whoever owns the cluster, so that one made by another account stays that account's."""
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return Account(user=owner.st_uid, group=owner.st_gid)
    try:
        account = pwd.getpwnam(UNPRIVILEGED_ACCOUNT)
    except KeyError as error:
        raise EmbeddedPostgresError(
            f"Postgres refuses to run as root, and there is no account {UNPRIVILEGED_ACCOUNT} to run it as."
        ) from error
    return Account(user=account.pw_uid, group=account.pw_gid)


def lock(directory: DataDirectory, *, timeout: timedelta) -> int:
    """A file descriptor that holds the directory for as long as any process has it open.

    The server inherits it, so the lock says truly whether one lives, which a process id in a file cannot
    after a crash or a restart of the machine. Waits because a server that is just ending still has it.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    try:
        descriptor = os.open(directory.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DataDirectoryError(f"{directory.path} cannot be locked: {error.strerror}.") from error
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise DataDirectoryInUseError(
                    f"An embedded Postgres runs on {directory.path}; stop it, or use another directory."
                ) from error
            time.sleep(LOCK_POLL_SECONDS)
        else:
            return descriptor


def fill(directory: DataDirectory, *, binaries: Path, version: int, durable: bool) -> None:
    """Makes the cluster when there is none; the caller holds the lock.

    Raises DataDirectoryError when there is one that Postgres `version` cannot run.
    """
    if not directory.cluster.exists():
        _make_cluster(directory, binaries=binaries, durable=durable)
        return
    try:
        found = (directory.cluster / "PG_VERSION").read_text().strip()
        directory.password_file.read_text()
    except OSError as error:
        raise DataDirectoryError(
            f"{directory.path} is no data directory of embedded Postgres that we may read: {error.strerror}."
        ) from error
    if found != str(version):
        raise DataDirectoryError(
            f"{directory.path} was made by Postgres {found}, and this is Postgres {version}: "
            "remove the directory to start afresh, or use another one."
        )


def _make_cluster(directory: DataDirectory, *, binaries: Path, durable: bool) -> None:
    # Made under another name first: a cluster is whole, or it is not there.
    half_made = directory.path / "cluster.new"
    shutil.rmtree(half_made, ignore_errors=True)
    directory.password_file.unlink(missing_ok=True)
    half_made.mkdir(mode=0o700)
    directory.password_file.touch(mode=0o600)
    directory.password_file.write_text(secrets.token_urlsafe(24))
    account = directory.account
    if account:
        for path in (half_made, directory.password_file):
            os.chown(path, account.user, account.group)
    command = [str(binaries / "initdb"), f"--pgdata={half_made}", f"--pwfile={directory.password_file}"]
    command += [f"--username={SUPERUSER}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    result = subprocess.run(  # noqa: S603 - our own program, no shell
        command if durable else [*command, "--no-sync"],
        check=False,
        capture_output=True,
        text=True,
        cwd=directory.path,
        env=SERVER_ENVIRONMENT,
        user=account.user if account else None,
        group=account.group if account else None,
        extra_groups=() if account else None,
    )
    if result.returncode:
        raise EmbeddedPostgresError(f"initdb failed: {result.stderr.strip()}")
    half_made.rename(directory.cluster)
