"""Processes that cannot start say why, in one line."""

import pytest

from tests.stack.processes import empty_stack


@pytest.mark.parametrize("arguments", [("api", "--port", "0"), ("worker",)], ids=["api", "worker"])
async def test_no_process_starts_on_a_database_that_was_not_migrated(
    empty_database_url: str, arguments: tuple[str, ...]
) -> None:
    """Exit status 1, and one line that names the command to run."""
    async with empty_stack(empty_database_url) as stack:
        await stack.start_simulator()

        status, output, errors = await stack.run(*arguments)

    assert (status, output) == (1, "")
    assert errors.startswith("dots-gateway: The database is at schema none, this program needs ")
    assert errors.endswith(": run `dots-gateway migrate`.\n")
    assert errors.count("\n") == 1


async def test_migrate_makes_an_empty_database_fit_to_start_on(empty_database_url: str) -> None:
    """The named command makes the start possible. Running it again changes nothing."""
    async with empty_stack(empty_database_url) as stack:
        await stack.start_simulator()
        first = await stack.run("migrate")
        again = await stack.run("migrate")

        api = await stack.start_api("--with-worker")

        assert (first[0], again[0], first[1]) == (0, 0, again[1])
        assert (await stack.client.get(f"{api.url}/readyz")).status_code == 200


@pytest.mark.parametrize("arguments", [("api", "--port", "0"), ("worker",)], ids=["api", "worker"])
async def test_no_process_starts_without_its_database(database_url: str, arguments: tuple[str, ...]) -> None:
    """Exit status 1, and one line with the host and the port, without the password."""
    nowhere = "postgresql://somebody:a-password@127.0.0.1:1/nothing"
    async with empty_stack(database_url, DATABASE_URL=nowhere, DATABASE_WAIT_SECONDS="0") as stack:
        await stack.start_simulator()

        status, output, errors = await stack.run(*arguments)

    assert (status, output) == (1, "")
    assert errors == "dots-gateway: DATABASE_URL: nothing listens at 127.0.0.1:1.\n"
