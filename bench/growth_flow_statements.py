"""SQL that fills the tables of flows, users, sync rows, refreshes and events.

Flow 1 is the oldest. Flow numbers that end in 3 are open, the others are complete. Flow numbers that divide by
`:every` with the remainder 2 have a failing sync row. Only three old flows have a dead one and three a pending one: a
search for their webhooks from the latest on would have to go through all. Flow 1 is not one of them: the fill gives it
thousands of webhooks.
"""

# Temporary functions: the schema that is measured stays the migrated one.
FUNCTIONS = (
    """
    CREATE FUNCTION pg_temp.name_of(kind text, number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT CAST(CAST(md5(kind || '-' || number) AS uuid) AS text) $$
    """,
    """
    CREATE FUNCTION pg_temp.user_of(number bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    $$ SELECT 1 + (number - 1) * 2 / 3 $$
    """,
    """
    CREATE FUNCTION pg_temp.app_of(number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT CASE WHEN number % 10 = 7 THEN 'europe' ELSE 'default' END $$
    """,
    """
    CREATE FUNCTION pg_temp.time_of(number bigint, total bigint, days bigint) RETURNS timestamptz LANGUAGE sql STABLE
    AS $$
    SELECT now() - interval '5 minutes' - make_interval(secs => 86400.0 * days * (1 - number / CAST(total AS float8)))
    $$
    """,
)

FLOWS = """
    INSERT INTO flows (
        ref, app, id, status, caller, reference, user_id, link, metadata, created_at, completed_at, refreshed_at,
        last_sequence, idempotency_key, fingerprint
    )
    SELECT CAST(md5('ref-' || n) AS uuid), pg_temp.app_of(pg_temp.user_of(n)), pg_temp.name_of('flow', n),
        CASE WHEN n % 10 = 3 THEN 'open' ELSE 'completed' END, 'bench', 'payee-' || n,
        pg_temp.name_of('user', pg_temp.user_of(n)), 'https://my.dots.dev/flow/' || pg_temp.name_of('flow', n),
        jsonb_build_object('team', 'eu', 'number', n), pg_temp.time_of(n, :flows, :days),
        CASE WHEN n % 10 <> 3 THEN LEAST(now(), pg_temp.time_of(n, :flows, :days) + interval '1 day') END, now(),
        CASE WHEN n % 10 = 3 THEN 3 ELSE 5 END, 'key-' || n, decode(md5('fingerprint-' || n), 'hex')
    FROM generate_series(1, CAST(:flows AS bigint)) AS n
"""

FAILED_FLOWS = """
    INSERT INTO flows (ref, app, status, caller, reference, created_at, idempotency_key, fingerprint)
    SELECT CAST(md5('failed-' || n) AS uuid), 'default', 'failed', 'bench', 'failed-' || n,
        pg_temp.time_of(n, :failed, :days), 'failed-' || n, decode(md5('failed-' || n), 'hex')
    FROM generate_series(1, CAST(:failed AS bigint)) AS n
"""

STEPS = """
    INSERT INTO flow_steps (flow_ref, name, position, completed_at, discovered_by)
    SELECT CAST(md5('ref-' || n) AS uuid), step.name, step.position,
        CASE WHEN step.is_done THEN LEAST(now(), pg_temp.time_of(n, :flows, :days) + interval '6 hours') END,
        CASE WHEN step.is_done THEN 'webhook' END
    FROM generate_series(1, CAST(:flows AS bigint)) AS n
    CROSS JOIN LATERAL (
        SELECT name, position, position < CASE WHEN n % 10 = 3 THEN 1 ELSE 3 END AS is_done
        FROM (VALUES ('compliance', 0), ('id-verification', 1), ('manage-payouts', 2), ('redirect', 3))
            AS listed (name, position)
    ) AS step
"""

USERS = """
    INSERT INTO users (
        app, id, status, id_verified, was_id_verified, check_status, has_criminal_activity, verdict, verdict_count,
        check_submitted_at, last_sequence, first_seen_at, refreshed_at
    )
    SELECT pg_temp.app_of(n), pg_temp.name_of('user', n), 'verified', n % 2 = 0, n % 2 = 0,
        CASE WHEN n % 5 = 0 THEN 'pass' WHEN n % :every = 1 THEN 'pending' END, false,
        CASE WHEN n % 5 = 0 THEN 'cleared' WHEN n % :every = 1 THEN 'pending' ELSE 'none' END,
        CASE WHEN n % 5 = 0 THEN 1 ELSE 0 END, CASE WHEN n % :every = 1 THEN now() END,
        CASE WHEN n % 2 = 0 THEN 1 ELSE 0 END, pg_temp.time_of(n, :users, :days), now()
    FROM generate_series(1, CAST(:users AS bigint)) AS n
"""

SYNC_ROWS = """
    INSERT INTO sync_rows (
        app, kind, subject_id, due_at, due_by, dirty_gen, clean_gen, attempts, failing_since, last_error, dead_at
    )
    SELECT app, kind, subject_id,
        CASE WHEN is_dead THEN NULL WHEN is_failing OR is_pending THEN now() + interval '1 day'
             WHEN is_open THEN now() + make_interval(hours => 2 + CAST(n % 12 AS integer)) END,
        CASE WHEN is_open THEN 'sweep' ELSE 'webhook' END, 12,
        CASE WHEN is_dead OR is_failing OR is_pending THEN 5 ELSE 12 END,
        CASE WHEN is_dead OR is_failing THEN 9 ELSE 0 END,
        CASE WHEN is_dead OR is_failing THEN now() - interval '2 days' END,
        CASE WHEN is_dead OR is_failing THEN 'dots_not_found' END,
        CASE WHEN is_dead THEN pg_temp.time_of(n, :flows, :days) END
    FROM (
        SELECT pg_temp.app_of(pg_temp.user_of(n)) AS app, 'flow' AS kind, pg_temp.name_of('flow', n) AS subject_id, n,
            n % 10 = 3 AS is_open, n % :every = 2 AS is_failing,
            n % :every = 1 AND n > :every AND n <= 4 * :every AS is_dead,
            n % :every = 4 AND n <= 3 * :every AS is_pending
        FROM generate_series(1, CAST(:flows AS bigint)) AS n
        UNION ALL
        SELECT pg_temp.app_of(n), 'user', pg_temp.name_of('user', n), n, false, false, false, false
        FROM generate_series(1, CAST(:users AS bigint)) AS n
    ) AS subjects
"""

# Refreshes are kept for 30 days, so only the youngest third of the flows has any.
REFRESHES = """
    INSERT INTO refreshes (app, kind, subject_id, ended_at, due_by, outcome)
    SELECT pg_temp.app_of(pg_temp.user_of(n)), 'flow', pg_temp.name_of('flow', n),
        LEAST(now(), pg_temp.time_of(n, :flows, :days) + k * interval '2 hours'),
        CASE WHEN k < 4 THEN 'webhook' ELSE 'sweep' END, CASE WHEN k < 4 THEN 'changed' ELSE 'unchanged' END
    FROM generate_series(CAST(CAST(:flows AS bigint) * (1 - :body_days / CAST(:days AS float8)) + 2 AS bigint), :flows)
        AS n
    CROSS JOIN generate_series(1, 6) AS k
"""

EVENTS = """
    INSERT INTO events (id, app, type, subject, sequence, occurred_at, data, position)
    SELECT CAST(md5('event-' || subject || '-' || sequence) AS uuid), app, type, subject, sequence,
        LEAST(now(), pg_temp.time_of(n, :flows, :days) + sequence * interval '1 hour'), data,
        row_number() OVER (ORDER BY n, subject, sequence)
    FROM (
        SELECT n, pg_temp.app_of(pg_temp.user_of(n)) AS app, kind.type,
            'flow/' || pg_temp.name_of('flow', n) AS subject, kind.sequence, jsonb_build_object(
                'flow_id', pg_temp.name_of('flow', n), 'reference', 'payee-' || n,
                'user_id', pg_temp.name_of('user', pg_temp.user_of(n)), 'step', kind.step
            ) AS data
        FROM generate_series(1, CAST(:flows AS bigint)) AS n
        JOIN (VALUES
            (1, 'dots.flow.created', NULL), (2, 'dots.flow.claimed', NULL),
            (3, 'dots.flow.step_completed', 'compliance'), (4, 'dots.flow.step_completed', 'id-verification'),
            (5, 'dots.flow.completed', NULL)
        ) AS kind (sequence, type, step) ON kind.sequence <= CASE WHEN n % 10 = 3 THEN 3 ELSE 5 END
        UNION ALL
        SELECT n * 3 / 2, pg_temp.app_of(n), 'dots.user.id_verified', 'user/' || pg_temp.name_of('user', n), 1,
            jsonb_build_object('user_id', pg_temp.name_of('user', n))
        FROM generate_series(2, CAST(:users AS bigint), 2) AS n
    ) AS facts
    ORDER BY n, subject, sequence
"""

# A later schema may keep the last position elsewhere or work it out.
FEED = """
    DO $$
    BEGIN
        IF EXISTS (
            SELECT FROM information_schema.columns WHERE table_name = 'feed' AND column_name = 'last_position'
        ) THEN
            EXECUTE 'UPDATE feed SET last_position = (SELECT max(position) FROM events)';
        END IF;
    END $$
"""

STATEMENTS = (FLOWS, FAILED_FLOWS, STEPS, USERS, SYNC_ROWS, REFRESHES, EVENTS)
