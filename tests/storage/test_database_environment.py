"""Connections to the database ignore environment variables and files in HOME."""

import os
import pwd
import sys
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.storage import database_connection
from app.storage import database_url as storage_database_url
from app.storage.database_url import parse
from tests.nameless import started

# The variables that libpq or asyncpg read.
ENVIRONMENT = {
    "PGHOST": "elsewhere.invalid",
    "PGPORT": "1",
    "PGUSER": "somebody",
    "PGPASSWORD": "wrong",
    "PGDATABASE": "missing",
    "PGPASSFILE": "/no/such/file",
    "PGSERVICE": "missing",
    "PGSERVICEFILE": "/no/such/file",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/no/such/file",
    "PGSSLCERT": "/no/such/file",
    "PGSSLKEY": "/no/such/file",
    "PGSSLCRL": "/no/such/file",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLMINPROTOCOLVERSION": "TLSv1.9",
    "PGSSLMAXPROTOCOLVERSION": "TLSv1.9",
    "PGTARGETSESSIONATTRS": "standby",
    "PGKRBSRVNAME": "nobody",
    "PGGSSLIB": "missing",
    "LOGNAME": "somebody",
}
PROGRAM = """
import asyncio, sys
from app.storage import database_connection, database_url

async def main():
    address = database_url.parse(sys.argv[1])
    connection = await database_connection.connect(address, timeout=20)
    print(await connection.fetchval("SELECT current_user"))
    await connection.close()

asyncio.run(main())
"""


async def test_environment_variables_change_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters that DATABASE_URL leaves out have defaults, whatever libpq's variables are set to."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    address = parse(database_url)
    connection = await database_connection.connect(address, timeout=10)
    user = await connection.fetchval("SELECT current_user")
    await connection.close()

    assert user == address.user


@pytest.mark.parametrize("sslmode", ["disable", "prefer"])
def test_unreadable_home_and_user_without_a_name_connect(database_url: str, tmp_path: Path, sslmode: str) -> None:
    """The service does not read ~/.pgpass or ~/.postgresql, with or without TLS."""
    command = [sys.executable, "-c", PROGRAM, f"{database_url}?sslmode={sslmode}"]
    out, err = started(command, tmp_path, {}).communicate(timeout=60)

    assert (out, err) == (f"{parse(database_url).user}\n", "")


def test_default_user_is_that_of_the_process() -> None:
    """As in libpq, and without the environment variables that getpass reads."""
    address = parse("postgresql:///?host=db")

    assert (address.user, address.database) == (pwd.getpwuid(os.geteuid()).pw_name,) * 2


def test_user_id_without_a_name_is_a_settings_error() -> None:
    """In a container the user id is often not in /etc/passwd."""
    with pytest.raises(SettingsError, match="DATABASE_URL names no user"):
        storage_database_url.user_named(user_id=54321)
