"""SQL that fills the tables of deliveries, their attempts and their ordering keys, for one subscription."""

# The youngest `:deliveries` events of a type. The last few wait for another attempt, and one in `:dead_every` is a dead
# letter.
DELIVERIES = """
    INSERT INTO deliveries (
        subscription_id, position, app, subject, state, attempts, created_at, settled_at, last_error
    )
    SELECT :subscription_id, position, app, subject,
        CASE WHEN is_pending THEN 'pending' WHEN is_dead THEN 'dead' ELSE 'delivered' END,
        CASE WHEN is_pending THEN 3 WHEN is_dead THEN 9 ELSE 0 END, occurred_at,
        CASE WHEN NOT is_pending THEN occurred_at + interval '1 second' END,
        CASE WHEN is_pending OR is_dead THEN 'timed_out' END
    FROM (
        SELECT position, app, subject, occurred_at,
            row_number() OVER (ORDER BY position DESC) <= :pending AS is_pending, position % :dead_every = 0 AS is_dead
        FROM (
            SELECT position, app, subject, occurred_at FROM events
            WHERE type = :type ORDER BY position DESC LIMIT :deliveries
        ) AS youngest
    ) AS chosen
    ORDER BY position
"""

QUEUES = """
    INSERT INTO delivery_queues (subscription_id, app, subject, due_at)
    SELECT DISTINCT subscription_id, app, subject, now() + interval '1 day'
    FROM deliveries
    WHERE subscription_id = :subscription_id AND state = 'pending'
"""

ATTEMPTS = """
    INSERT INTO delivery_attempts (subscription_id, position, attempted_at, status, error, took_ms)
    SELECT subscription_id, position, created_at + k * interval '1 second',
        CASE WHEN k = 2 OR state <> 'delivered' THEN 503 ELSE 204 END,
        CASE WHEN k = 2 OR state <> 'delivered' THEN 'http_status' END, 40
    FROM deliveries
    CROSS JOIN LATERAL generate_series(1, CASE WHEN position % 30 = 0 THEN 2 ELSE 1 END) AS k
    WHERE subscription_id = :subscription_id
    ORDER BY position
"""

STATEMENTS = (DELIVERIES, QUEUES, ATTEMPTS)
