from pathlib import Path

import pytest

from bench import debian_postgres
from bench.databases import NotComparableError


def install(directory: Path, version: str, *programs: str) -> None:
    """Create the files of an installation where Debian's packages put them."""
    for program in programs:
        path = directory / version / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_newest_server_with_llvmjit_is_chosen(tmp_path: Path) -> None:
    """Versions compare as numbers. Installations without a server or without llvmjit do not count."""
    install(tmp_path, "9.6", "bin/postgres", "lib/llvmjit.so")
    install(tmp_path, "15", "bin/postgres", "lib/llvmjit.so")
    install(tmp_path, "100", "bin/postgres", "lib/llvmjit.so")
    install(tmp_path, "101", "bin/psql")
    install(tmp_path, "102", "bin/postgres")

    found = debian_postgres.newest(tmp_path)

    assert (found.version, found.binaries) == (100, tmp_path / "100" / "bin")


def test_missing_server_names_the_script_that_installs_it(tmp_path: Path) -> None:
    """Without a server, the error says what to run."""
    with pytest.raises(NotComparableError, match=r"scripts/need_postgres\.sh"):
        debian_postgres.newest(tmp_path)
