from tests.databases import Server


def test_tests_leave_the_database_of_database_url_alone(database_server: Server, database_url: str) -> None:
    """A test writes to a new database on that server."""
    assert database_url != database_server.url
    assert f"test_{database_server.run}_" in database_url
