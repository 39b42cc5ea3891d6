from sqlalchemy import text

from bench import growth_fill, growth_sizes
from bench.databases import connected
from bench.growth_sizes import Sizes

COUNTS = """
    SELECT
        (SELECT count(*) FROM webhooks) AS webhooks,
        (SELECT count(*) FROM webhooks WHERE event = :rare_event) AS rare_webhooks,
        (SELECT count(*) FROM flows) AS flows,
        (SELECT count(*) FROM flows WHERE status = 'failed') AS failed_flows,
        (SELECT count(*) FROM flows WHERE status = 'open') AS open_flows,
        (SELECT count(*) FROM users) AS users,
        (SELECT count(*) FROM sync_rows WHERE dead_at IS NOT NULL) AS dead,
        (SELECT count(*) FROM sync_rows WHERE attempts > 0 AND dead_at IS NULL) AS failing,
        (SELECT count(*) FROM sync_rows WHERE due_at <= now()) AS due
"""


async def test_fill_agrees_with_the_sizes(empty_database_url: str) -> None:
    """The statements fit the migrated schema, and every question of the bench has rows to find."""
    sizes = Sizes.empty()

    await growth_fill.fill(empty_database_url, sizes)

    async with connected(empty_database_url) as connection:
        result = await connection.execute(text(COUNTS), {"rare_event": growth_sizes.RARE_EVENT})
        counts = dict(result.mappings().one())
    assert counts.pop("rare_webhooks") >= 10
    assert counts == {
        "webhooks": 10_000,
        "flows": 1_020,
        "failed_flows": 20,
        "open_flows": 100,
        "users": 666,
        "dead": 3,
        "failing": 200,
        "due": 0,
    }


async def test_ids_that_requests_ask_for_are_in_the_database(empty_database_url: str) -> None:
    """Python and SQL name flows and their users alike."""
    await growth_fill.fill(empty_database_url, Sizes.empty())

    async with connected(empty_database_url) as connection:
        owner = await connection.scalar(
            text("SELECT user_id FROM flows WHERE id = :id"), {"id": growth_sizes.flow_id(17)}
        )
        users = await connection.scalar(
            text("SELECT count(*) FROM users WHERE id = :id"), {"id": growth_sizes.user_id(17)}
        )
    assert owner == growth_sizes.user_id(17)
    assert users == 1
