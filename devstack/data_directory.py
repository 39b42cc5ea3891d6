"""The data directory of an embedded Postgres: creates, locks and checks it.

It contains `cluster/` (the data directory of Postgres itself), `password`, `server.log` and `lock`.
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
# The whole environment of Postgres. It must not inherit ours (PGDATA, PGPORT, LC_MESSAGES, a local time zone).
SERVER_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}
LOCK_POLL_SECONDS = 0.02

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account that runs Postgres if we are root, because Postgres refuses to run as root."""

    user: int
    group: int


@dataclass(frozen=True, kw_only=True)
class DataDirectory:
    """A usable data directory, and the account that runs Postgres on it (None: our own)."""

    path: Path
    account: Account | None

    @property
    def cluster(self) -> Path:
        """The data directory of Postgres itself."""
        return self.path / "cluster"

    @property
    def password_file(self) -> Path:
        """The file with the superuser's password. Only its owner can read it."""
        return self.path / "password"

    @property
    def log_file(self) -> Path:
        """The log of the server since its last start."""
        return self.path / "server.log"


def prepare(wanted: Path) -> DataDirectory:
    """The data directory `wanted`, created if missing, or a substitute below the system's temporary directory.

    If we are root, Postgres runs as another account. That account needs a substitute if it cannot enter the parent
    directories of `wanted`, for example a checkout in a home directory.
    """
    path = wanted.absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
        path = path.resolve()
        if os.geteuid() != 0:
            return DataDirectory(path=path, account=None)
        if not postgres_binaries.is_open_to_all(path):
            path = _substitute_for(path)
        path.chmod(0o711)
    except OSError as error:
        raise DataDirectoryError(f"{path} cannot be used for embedded Postgres: {error.strerror}.") from error
    return DataDirectory(path=path, account=_account_for(path / "cluster"))


def _substitute_for(path: Path) -> Path:
    name = hashlib.sha256(bytes(path)).hexdigest()[:12]
    substitute = Path(tempfile.gettempdir()).resolve() / f"dots-gateway-postgres-{name}"
    substitute.mkdir(exist_ok=True)
    if substitute.is_symlink() or substitute.stat().st_uid != os.geteuid():
        raise DataDirectoryError(f"{substitute} belongs to another account; remove it.")
    if not postgres_binaries.is_open_to_all(substitute):
        raise DataDirectoryError(
            f"Other accounts cannot enter {path} or {substitute}; set TMPDIR to a directory that they can enter."
        )
    logger.warning("Embedded Postgres keeps its data in %s: other accounts cannot enter %s.", substitute, path)
    return substitute


def _account_for(cluster: Path) -> Account:
    """The owner of an existing cluster, unless that is root; otherwise `nobody`."""
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return Account(user=owner.st_uid, group=owner.st_gid)
    try:
        account = pwd.getpwnam(UNPRIVILEGED_ACCOUNT)
    except KeyError as error:
        raise EmbeddedPostgresError(
            f"Postgres refuses to run as root, and the account {UNPRIVILEGED_ACCOUNT} to run it does not exist."
        ) from error
    return Account(user=account.pw_uid, group=account.pw_gid)


def lock(directory: DataDirectory, *, timeout: timedelta) -> int:
    """Lock the directory. Returns a file descriptor that keeps the lock as long as any process has it open.

    The server inherits the descriptor, so the lock shows reliably whether a server runs. After a crash or a reboot a
    process id in a file does not. Waits up to `timeout`, because a server that is stopping still holds the lock.
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
                    f"An embedded Postgres runs on {directory.path}; stop it or use another directory."
                ) from error
            time.sleep(LOCK_POLL_SECONDS)
        else:
            return descriptor


def fill(directory: DataDirectory, *, binaries: Path, version: int, durable: bool) -> None:
    """Creates the cluster if it is missing. The caller holds the lock.

    Raises DataDirectoryError if there is a cluster that Postgres `version` cannot run.
    """
    if not directory.cluster.exists():
        _make_cluster(directory, binaries=binaries, durable=durable)
        return
    try:
        found = (directory.cluster / "PG_VERSION").read_text().strip()
        directory.password_file.read_text()
    except OSError as error:
        raise DataDirectoryError(
            f"{directory.path} cannot be read as a data directory of embedded Postgres: {error.strerror}."
        ) from error
    if found != str(version):
        raise DataDirectoryError(
            f"{directory.path} was created by Postgres {found}, and this is Postgres {version}: "
            "remove the directory to start with an empty one, or use another one."
        )


def _make_cluster(directory: DataDirectory, *, binaries: Path, durable: bool) -> None:
    # Created under another name and renamed at the end, so that `cluster` is always complete.
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
