"""Rows for the tests of plans: enough to notice a sequential scan, and skewed like real data.

Rare rows are old, so a search that reads all rows, newest first, finds them last.
"""

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.storage import stored

_ROWS = (
    """
    INSERT INTO flows (ref, app, id, status, reference, user_id, created_at, completed_at, attempted_at)
    SELECT md5('ref' || n)::uuid, CASE WHEN n <= 5 THEN 'eu' ELSE 'default' END,
        CASE WHEN status IN ('open', 'completed') THEN 'flow-' || n END, status, 'payee-' || n / 2,
        'user-' || n / 2, now() - (20000 - n) * interval '1 minute', CASE WHEN status = 'completed' THEN now() END,
        now() - interval '1 hour'
    FROM generate_series(1, 20000) AS n, LATERAL (
        SELECT CASE WHEN n <= 20 AND n % 2 = 0 THEN 'failed' WHEN n % 1000 = 0 THEN 'creating'
            WHEN n % 2 = 0 THEN 'completed' ELSE 'open' END AS status
    ) AS s
    """,
    """
    INSERT INTO flow_steps (flow_ref, name, position, completed_at, discovered_by)
    SELECT ref, 'compliance', 0, now(), 'webhook' FROM flows
    UNION ALL
    SELECT ref, 'payout', 1, completed_at, CASE WHEN completed_at IS NOT NULL THEN 'webhook' END FROM flows
    UNION ALL
    SELECT ref, 'rare-step', 2, NULL, NULL FROM flows WHERE id IN ('flow-1', 'flow-3', 'flow-5')
    """,
    """
    INSERT INTO answers (flow_ref, version, answered_at, answer)
    SELECT ref, 1, created_at, '{}' FROM flows WHERE id IS NOT NULL
    """,
    "UPDATE flows SET waits_for_passed_over = true WHERE id IN ('flow-7', 'flow-9', 'flow-11')",
    """
    INSERT INTO users (app, id, verdict, check_submitted_at, first_seen_at)
    SELECT 'default', 'user-' || n,
        CASE WHEN n % 1000 = 0 THEN 'pending' WHEN n % 1000 = 1 THEN 'needs_review' ELSE 'cleared' END, now(), now()
    FROM generate_series(1, 10000) AS n
    """,
    """
    INSERT INTO sync_rows (app, kind, subject_id, due_at, due_by, dirty_gen, clean_gen, attempts, dead_at)
    SELECT f.app, 'flow', f.id, CASE WHEN n % 2000 <> 1 THEN now() + (n % 2000 - 10) * interval '1 minute' END,
        CASE WHEN n % 2000 < 20 THEN 'webhook' ELSE 'sweep' END, 10, CASE WHEN n % 2000 < 20 THEN 9 ELSE 10 END,
        CASE WHEN n % 2000 < 10 THEN 1 ELSE 0 END, CASE WHEN n % 2000 = 1 THEN now() END
    FROM (SELECT *, substr(id, 6)::int AS n FROM flows WHERE id IS NOT NULL) AS f
    """,
    """
    INSERT INTO sync_rows (app, kind, subject_id, due_by, dirty_gen, clean_gen)
    SELECT 'default', 'user', 'user-' || n, 'sweep', 1, 1 FROM generate_series(1, 10000) AS n
    """,
    """
    INSERT INTO webhooks
        (app, message_id, received_at, last_received_at, received_count, body, event, kind, subject_id, raised_gen)
    SELECT CASE WHEN n <= 5 THEN 'eu' ELSE 'default' END, 'msg_' || md5(n::text), at, at, 1,
        CASE WHEN n > 10000 THEN 'body'::bytea END, CASE WHEN n <= 5 THEN 'rare.event' ELSE 'flow.updated' END,
        'flow', 'flow-' || 1 + n % 20000, CASE WHEN n > 20000 THEN 10 ELSE 9 END
    FROM generate_series(1, 30000) AS n, LATERAL (SELECT now() - (30000 - n) * interval '1 minute' AS at) AS t
    """,
    # A user with thousands of webhooks.
    """
    INSERT INTO webhooks
        (app, message_id, received_at, last_received_at, received_count, event, kind, subject_id, raised_gen)
    SELECT 'default', 'msg_user_' || n, at, at, 1, 'user.updated', 'user', 'user-1', 1
    FROM generate_series(1, 3000) AS n, LATERAL (SELECT now() - interval '20 days' + n * interval '1 second' AS at) AS t
    """,
    # One of a hundred merges still waits.
    """
    INSERT INTO user_merges (app, old_user_id, new_user_id, survivor_id, received_at, applied_at)
    SELECT 'default', 'old-' || n, 'user-' || n / 2, 'user-' || n / 2, now(), CASE WHEN n % 100 <> 0 THEN now() END
    FROM generate_series(1, 20000) AS n
    """,
    """
    INSERT INTO refreshes (app, kind, subject_id, ended_at, due_by, outcome)
    SELECT 'default', 'flow', 'flow-' || 1 + n % 20000, now() - (30000 - n) * interval '1 minute', 'sweep', 'unchanged'
    FROM generate_series(1, 30000) AS n
    """,
    """
    INSERT INTO events (id, app, type, subject, sequence, occurred_at, data, position)
    SELECT md5('event' || n)::uuid, 'default', 'dots.flow.step_completed', 'flow/flow-' || 1 + n % 20000,
        1 + n / 20000, now() - (30000 - n) * interval '1 minute', '{}', n
    FROM generate_series(1, 30000) AS n
    """,
    """
    INSERT INTO subscriptions (id, caller, url, types, with_compliance, created_at)
    SELECT md5('subscription' || n)::uuid, 'shop', 'http://127.0.0.1:9', '{*}', true, now()
    FROM generate_series(1, 3) AS n
    """,
    # The third subscription has had a few deliveries, long ago.
    """
    INSERT INTO deliveries (subscription_id, position, app, subject, state, created_at, settled_at)
    SELECT md5('subscription' || CASE WHEN n <= 5 THEN 3 ELSE 1 + n % 2 END)::uuid, n, 'default',
        'flow/flow-' || 1 + n % 20000, CASE WHEN n % 5000 = 9 THEN 'dead' ELSE 'delivered' END, now(), now()
    FROM generate_series(1, 30000) AS n
    """,
    """
    INSERT INTO delivery_attempts (subscription_id, position, attempted_at, took_ms)
    SELECT subscription_id, position, now() - (30000 - position) * interval '1 minute', 12
    FROM deliveries ORDER BY position
    """,
    """
    INSERT INTO delivery_queues (subscription_id, app, subject, due_at)
    SELECT s.id, 'default', 'flow/flow-' || n, now() + (n - 10) * interval '1 minute'
    FROM subscriptions AS s, generate_series(1, 5000) AS n
    """,
)


async def fill(engine: AsyncEngine) -> None:
    """Fill a migrated database, and let Postgres know what is in it."""
    await stored.execute(engine, *_ROWS)
    await stored.vacuum(engine)
