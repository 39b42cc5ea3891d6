"""Runs Debian's own Postgres server, which compiles statements with llvmjit; the embedded one has no llvmjit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.databases import NotComparableError
from devstack import embedded_postgres
from devstack.embedded_postgres import EmbeddedPostgres

INSTALLATIONS = Path("/usr/lib/postgresql")


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The programs of one major version."""

    version: int
    binaries: Path


def newest(installations: Path = INSTALLATIONS) -> Installation:
    """Return the newest installed server. Raises `NotComparableError` if there is none with llvmjit."""
    found = [
        Installation(version=int(directory.name), binaries=directory / "bin")
        for directory in installations.glob("[0-9]*")
        if directory.name.isdecimal()
        and (directory / "bin" / "postgres").is_file()
        and (directory / "lib" / "llvmjit.so").is_file()
    ]
    if not found:
        raise NotComparableError(
            f"{installations} contains no Postgres server with llvmjit; run scripts/need_postgres.sh"
        )
    return max(found, key=lambda each: each.version)


@contextmanager
def running(data_directory: Path) -> Iterator[EmbeddedPostgres]:
    """Run the newest server on a free port of 127.0.0.1, as durable as a real one; stop it at the end.

    As root the server runs under an unprivileged account. See `devstack.embedded_postgres`.
    """
    installation = newest()
    with embedded_postgres.running(
        data_directory, version=installation.version, binaries=installation.binaries
    ) as postgres:
        yield postgres
