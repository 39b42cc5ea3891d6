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
        (SELECT count(*) FROM sync_rows WHERE due_at <= now()) AS due,
        (SELECT user_id FROM flows WHERE id = :flow) AS owner,
        (SELECT count(*) FROM users WHERE id = :user) AS owners
"""


async def test_fill_agrees_with_the_sizes(empty_database_url: str) -> None:
    """The statements fit the migrated schema, every request finds rows, and Python and SQL use the same ids."""
    await growth_fill.fill(empty_database_url, Sizes.empty())

    values = {
        "rare_event": growth_sizes.RARE_EVENT,
        "flow": growth_sizes.flow_id(17),
        "user": growth_sizes.user_id(17),
    }
    async with connected(empty_database_url) as connection:
        counts = dict((await connection.execute(text(COUNTS), values)).mappings().one())
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
        "owner": growth_sizes.user_id(17),
        "owners": 1,
    }
