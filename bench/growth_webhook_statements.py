"""SQL that fills the table of webhooks, apart from the others because it takes as long as all of them."""

# A flow's webhooks come within days of its creation, the most in the first hours. One webhook in seven is about a
# user and one in twenty about neither. Message ids begin with their time, as those of Svix do (KSUID).
WEBHOOKS = """
    INSERT INTO webhooks (
        app, message_id, received_at, last_received_at, received_count, body, event, kind, subject_id, raised_gen
    )
    SELECT pg_temp.app_of(pg_temp.user_of(n)),
        'msg_' || lpad(to_hex(CAST(extract(epoch FROM at) AS bigint)), 8, '0') || left(md5('message-' || g), 19),
        at, at, CASE WHEN g % 50 = 0 THEN 2 ELSE 1 END,
        CASE WHEN at > now() - make_interval(days => CAST(:body_days AS integer)) THEN convert_to(
            '{"event": "' || event || '", "' || COALESCE(kind, 'transfer') || '_id": "' || subject_id
                || '", "api_app_id": "' || pg_temp.name_of('app', 1) || '"}', 'UTF8'
        ) END,
        event, kind, CASE WHEN kind IS NOT NULL THEN subject_id END,
        CASE WHEN kind IS NOT NULL THEN 1 + g % 10 END
    FROM (
        SELECT g, n, at,
            CASE WHEN g % 7 = 0 THEN 'user' WHEN g % 20 = 3 THEN NULL ELSE 'flow' END AS kind,
            CASE WHEN g % 7 = 0 THEN 'user.updated' WHEN g % 20 = 3 THEN 'transfer.completed'
                 WHEN g % (10 * CAST(:every AS bigint)) = 9 THEN CAST(:rare_event AS text)
                 ELSE 'flow.updated' END AS event,
            CASE WHEN g % 7 = 0 THEN pg_temp.name_of('user', pg_temp.user_of(n))
                 ELSE pg_temp.name_of('flow', n) END AS subject_id
        FROM (
            SELECT g, pg_temp.time_of(g, :webhooks, :days) AS at,
                GREATEST(1, g / 10 - CAST(power(random(), 3) * LEAST(2000, CAST(:flows AS bigint) / 10) AS bigint)) AS n
            FROM generate_series(10, CAST(:webhooks AS bigint) + 9) AS g
        ) AS placed
    ) AS webhook
"""
