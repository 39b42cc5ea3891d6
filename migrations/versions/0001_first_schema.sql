-- The first schema. A statement ends with `;` at the end of a line. Text after `--` becomes the comment of its column.
-- Postgres derives the names of keys, as `flows_pkey` and `flows_id_app_key`. Only checks are named here.

CREATE TABLE api_keys (
    id text PRIMARY KEY,
    name text NOT NULL,  -- the caller; several keys of one name are one caller
    secret_hash bytea NOT NULL,  -- SHA-256 of 32 random bytes
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

CREATE TABLE apps (
    app text PRIMARY KEY,
    paused_until timestamptz,  -- no calls until then: Dots refuses the credentials or asked for a pause
    pauses integer NOT NULL DEFAULT 0,  -- consecutive refusals of the credentials
    tokens double precision,  -- in the budget at tokens_at; null: full
    tokens_at timestamptz,
    listing_due_at timestamptz,  -- when to page through Dots' list of flows again; null: now
    listing_until timestamptz  -- until when a process may page through it
);

CREATE TABLE flows (
    ref uuid PRIMARY KEY,  -- our id; sent to Dots as client_ref in the metadata
    app text NOT NULL,
    id text,  -- Dots' id; null until Dots has assigned one
    status text NOT NULL,
    caller text,  -- name of the API key; null: created elsewhere
    reference text,
    user_id text,
    link text,  -- secret
    metadata jsonb,
    payout_link_id text,
    created_at timestamptz NOT NULL,
    completed_at timestamptz,
    refreshed_at timestamptz,
    last_sequence integer NOT NULL DEFAULT 0,  -- of its events
    idempotency_key text,
    fingerprint bytea,  -- of the request, SHA-256
    request jsonb,  -- only while creating
    attempted_at timestamptz,  -- when the last POST to Dots began
    searches integer NOT NULL DEFAULT 0,  -- complete listings that did not contain it
    error jsonb,  -- why Dots created none; without Dots' texts
    waits_for_passed_over boolean NOT NULL DEFAULT false,  -- every step left was passed over
    UNIQUE (id, app),
    UNIQUE (caller, idempotency_key),
    CONSTRAINT flows_status_check CHECK (status IN ('creating', 'open', 'completed', 'failed')),
    CONSTRAINT flows_id_check CHECK ((status IN ('open', 'completed')) = (id IS NOT NULL)),
    CONSTRAINT flows_completed_at_check CHECK ((status = 'completed') = (completed_at IS NOT NULL))
);
CREATE INDEX flows_created_at_idx ON flows (created_at, ref);
CREATE INDEX flows_app_idx ON flows (app, created_at, ref);
CREATE INDEX flows_status_idx ON flows (status, created_at, ref);
CREATE INDEX flows_reference_idx ON flows (reference, created_at, ref) WHERE reference IS NOT NULL;
CREATE INDEX flows_user_id_idx ON flows (user_id, created_at, ref) WHERE user_id IS NOT NULL;
CREATE INDEX flows_creating_idx ON flows (app, attempted_at) WHERE status = 'creating';
CREATE INDEX flows_passed_over_idx ON flows (app) WHERE waits_for_passed_over;

CREATE TABLE answers (
    flow_ref uuid PRIMARY KEY,
    version integer NOT NULL,
    answered_at timestamptz NOT NULL,
    answer json NOT NULL,  -- with the secret link; repeated for the same Idempotency-Key
    FOREIGN KEY (flow_ref) REFERENCES flows (ref) ON DELETE CASCADE
);
CREATE INDEX answers_answered_at_idx ON answers (answered_at);

CREATE TABLE flow_steps (
    flow_ref uuid NOT NULL,
    name text NOT NULL,
    position integer NOT NULL,  -- as in Dots' list; unlisted steps come first
    completed_at timestamptz,  -- when we found it completed; Dots gives no time
    discovered_by text,
    PRIMARY KEY (flow_ref, name),
    FOREIGN KEY (flow_ref) REFERENCES flows (ref) ON DELETE CASCADE,
    CONSTRAINT flow_steps_discovered_by_check CHECK (discovered_by IN ('create', 'webhook', 'sweep', 'refresh')),
    CONSTRAINT flow_steps_completed_at_check CHECK ((completed_at IS NULL) = (discovered_by IS NULL))
);
CREATE INDEX flow_steps_pending_idx ON flow_steps (name, flow_ref) WHERE completed_at IS NULL;

CREATE TABLE users (
    app text NOT NULL,
    id text NOT NULL,
    status text,
    id_verified boolean,
    was_id_verified boolean NOT NULL DEFAULT false,
    check_status text,
    has_criminal_activity boolean,
    older_check_failed boolean,  -- outcome of Dots' check before 2026; null: unknown
    verdict text NOT NULL DEFAULT 'none',
    verdict_count integer NOT NULL DEFAULT 0,  -- verdicts reported so far
    reviews_announced text[] NOT NULL DEFAULT '{}',  -- Dots' statuses for which a review was announced
    check_submitted_at timestamptz,  -- when a background check was submitted whose verdict is due
    id_submitted_at timestamptz,  -- when an ID was submitted whose verification is due
    merged_into text,  -- the user that this one became part of
    last_sequence integer NOT NULL DEFAULT 0,  -- of its events
    first_seen_at timestamptz NOT NULL,
    refreshed_at timestamptz,
    PRIMARY KEY (id, app),
    CONSTRAINT users_verdict_check CHECK (verdict IN ('none', 'pending', 'needs_review', 'cleared', 'flagged'))
);
CREATE INDEX users_pending_idx ON users (app, check_submitted_at) WHERE verdict = 'pending';
CREATE INDEX users_review_idx ON users (app) WHERE verdict = 'needs_review';

CREATE TABLE webhooks (
    app text NOT NULL,
    message_id text NOT NULL,
    received_at timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL,
    received_count integer NOT NULL,
    body bytea,  -- raw, as signed; null: expired
    event text,
    kind text,  -- flow, user, or null for neither
    subject_id text,
    raised_gen bigint,  -- handled once the sync row's clean_gen has reached it
    PRIMARY KEY (app, message_id),
    CONSTRAINT webhooks_kind_check CHECK (kind IN ('flow', 'user'))
);
CREATE INDEX webhooks_subject_idx ON webhooks (subject_id, received_at) WHERE subject_id IS NOT NULL;
CREATE INDEX webhooks_event_idx ON webhooks (event, received_at) WHERE event IS NOT NULL;
CREATE INDEX webhooks_received_at_idx ON webhooks (received_at);
CREATE INDEX webhooks_body_idx ON webhooks (received_at) WHERE body IS NOT NULL;

CREATE TABLE user_merges (
    app text NOT NULL,
    old_user_id text NOT NULL,
    new_user_id text NOT NULL,
    survivor_id text NOT NULL,  -- the last user of the chain; its refresh applies the merge
    received_at timestamptz NOT NULL,
    applied_at timestamptz,  -- null: the old user's flows and checks have not moved yet
    PRIMARY KEY (app, old_user_id)
);
CREATE INDEX user_merges_waiting_idx ON user_merges (app, survivor_id) WHERE applied_at IS NULL;

CREATE TABLE sync_rows (
    app text NOT NULL,
    kind text NOT NULL,
    subject_id text NOT NULL,
    due_at timestamptz,  -- null: no refresh is planned
    due_by text NOT NULL,  -- what made it due last
    dirty_gen bigint NOT NULL,  -- raised by every action that makes it due
    clean_gen bigint NOT NULL DEFAULT 0,  -- seen by a refresh
    lease_token uuid,
    lease_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,  -- consecutive failures
    failing_since timestamptz,  -- when the failures began
    last_error text,  -- a code
    dead_at timestamptz,  -- when it became a dead letter; it stays one until it is due again
    PRIMARY KEY (app, kind, subject_id),
    CONSTRAINT sync_rows_kind_check CHECK (kind IN ('flow', 'user')),
    CONSTRAINT sync_rows_due_by_check CHECK (due_by IN ('create', 'webhook', 'sweep', 'refresh')),
    CONSTRAINT sync_rows_lease_check CHECK ((lease_token IS NULL) = (lease_until IS NULL)),
    CONSTRAINT sync_rows_dead_at_check CHECK (dead_at IS NULL OR due_at IS NULL)
);
CREATE INDEX sync_rows_requested_due_idx ON sync_rows (app, due_at) WHERE due_at IS NOT NULL AND due_by <> 'sweep';
CREATE INDEX sync_rows_sweep_due_idx ON sync_rows (app, due_at) WHERE due_at IS NOT NULL AND due_by = 'sweep';
CREATE INDEX sync_rows_dead_at_idx ON sync_rows (app, dead_at) WHERE dead_at IS NOT NULL;
CREATE INDEX sync_rows_failing_idx ON sync_rows (app) WHERE due_at IS NOT NULL AND attempts > 0;

CREATE TABLE refreshes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app text NOT NULL,
    kind text NOT NULL,
    subject_id text NOT NULL,
    ended_at timestamptz NOT NULL,
    due_by text NOT NULL,
    outcome text NOT NULL  -- changed, unchanged, or the code of an error
);
CREATE INDEX refreshes_subject_idx ON refreshes (subject_id, id);
CREATE INDEX refreshes_ended_at_idx ON refreshes (ended_at);

CREATE TABLE events (
    row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- order of insertion; internal
    id uuid NOT NULL,
    app text NOT NULL,
    type text NOT NULL,
    subject text NOT NULL,
    sequence integer NOT NULL,  -- 1, 2, 3, … within the subject
    occurred_at timestamptz NOT NULL,
    data jsonb NOT NULL,
    position bigint,  -- in the feed; the sequencer sets it after the commit
    UNIQUE (id),
    UNIQUE (app, subject, sequence),
    UNIQUE (position)
);
CREATE INDEX events_unsequenced_idx ON events (row_id) WHERE position IS NULL;
CREATE INDEX events_occurred_at_idx ON events USING brin (occurred_at);

CREATE TABLE feed (
    is_singleton boolean PRIMARY KEY DEFAULT true,
    epoch uuid NOT NULL,  -- changes after a restore, so that old cursors are refused
    expired_position bigint NOT NULL DEFAULT 0,  -- events after this position are kept
    CONSTRAINT feed_is_singleton_check CHECK (is_singleton)
);

CREATE TABLE compliance_reads (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    read_at timestamptz NOT NULL,
    key_id text NOT NULL,
    caller text NOT NULL,
    what text NOT NULL  -- a user, or a range of the feed
);
CREATE INDEX compliance_reads_read_at_idx ON compliance_reads (read_at);

CREATE TABLE subscriptions (
    id uuid PRIMARY KEY,
    caller text NOT NULL,  -- name of the API key that created it
    description text,
    url text NOT NULL,
    types text[] NOT NULL,  -- dots.flow.completed, dots.flow.*, * and the like
    app text,  -- null: all apps
    with_compliance boolean NOT NULL,  -- receives events that need compliance:read
    created_at timestamptz NOT NULL,
    paused_at timestamptz,
    paused_by text,  -- caller, gone (it answered 410) or failing (for days)
    failing_since timestamptz,  -- when the failures began
    opened_at timestamptz,  -- when the circuit breaker opened; null: closed
    held_until timestamptz,  -- no deliveries until then
    closed_at timestamptz,  -- when the breaker closed; earlier attempts do not count
    CONSTRAINT subscriptions_paused_by_check CHECK (paused_by IN ('caller', 'gone', 'failing')),
    CONSTRAINT subscriptions_paused_at_check CHECK ((paused_at IS NULL) = (paused_by IS NULL))
);

CREATE TABLE subscription_secrets (
    id uuid PRIMARY KEY,
    subscription_id uuid NOT NULL,
    key_id text NOT NULL,  -- the one of ENCRYPTION_KEYS that encrypted it
    nonce bytea NOT NULL,
    ciphertext bytea NOT NULL,  -- AES-GCM, bound to the subscription
    created_at timestamptz NOT NULL,
    expires_at timestamptz,  -- signs until then, beside a newer secret; null: the newest
    FOREIGN KEY (subscription_id) REFERENCES subscriptions (id) ON DELETE CASCADE
);
CREATE INDEX subscription_secrets_subscription_id_idx ON subscription_secrets (subscription_id);
CREATE UNIQUE INDEX subscription_secrets_newest_idx ON subscription_secrets (subscription_id) WHERE expires_at IS NULL;

CREATE TABLE deliveries (
    subscription_id uuid NOT NULL,
    position bigint NOT NULL,  -- of the event in the feed
    app text NOT NULL,
    subject text NOT NULL,
    state text NOT NULL DEFAULT 'pending',
    attempts integer NOT NULL DEFAULT 0,  -- failed attempts since it became pending
    created_at timestamptz NOT NULL,
    settled_at timestamptz,  -- when it was delivered or became a dead letter
    last_error text,  -- a code
    PRIMARY KEY (subscription_id, position),
    FOREIGN KEY (subscription_id) REFERENCES subscriptions (id) ON DELETE CASCADE,
    CONSTRAINT deliveries_state_check CHECK (state IN ('pending', 'delivered', 'dead')),
    CONSTRAINT deliveries_settled_at_check CHECK ((state = 'pending') = (settled_at IS NULL))
);
CREATE INDEX deliveries_pending_idx ON deliveries (subscription_id, app, subject, position) WHERE state = 'pending';
CREATE INDEX deliveries_dead_idx ON deliveries (subscription_id, position) WHERE state = 'dead';
CREATE INDEX deliveries_position_idx ON deliveries (position);

CREATE TABLE delivery_queues (
    subscription_id uuid NOT NULL,
    app text NOT NULL,
    subject text NOT NULL,
    due_at timestamptz NOT NULL,  -- when to send its earliest pending delivery
    lease_token uuid,
    lease_until timestamptz,
    PRIMARY KEY (subscription_id, app, subject),
    FOREIGN KEY (subscription_id) REFERENCES subscriptions (id) ON DELETE CASCADE,
    CONSTRAINT delivery_queues_lease_check CHECK ((lease_token IS NULL) = (lease_until IS NULL))
);
CREATE INDEX delivery_queues_due_at_idx ON delivery_queues (subscription_id, due_at);

CREATE TABLE delivery_attempts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id uuid NOT NULL,
    position bigint NOT NULL,
    attempted_at timestamptz NOT NULL,
    status integer,  -- HTTP status; null: no answer
    error text,  -- a code; null: it was delivered
    took_ms integer NOT NULL,
    FOREIGN KEY (subscription_id, position) REFERENCES deliveries (subscription_id, position) ON DELETE CASCADE
);
CREATE INDEX delivery_attempts_delivery_idx ON delivery_attempts (subscription_id, position, id);
CREATE INDEX delivery_attempts_latest_idx ON delivery_attempts (subscription_id, id);

CREATE TABLE broker_offsets (
    broker text PRIMARY KEY,  -- URL without credentials
    epoch uuid NOT NULL,
    position bigint NOT NULL,  -- the broker has confirmed all events up to here
    lease_token uuid,
    lease_until timestamptz,
    failing_since timestamptz,
    last_error text,  -- a code
    published_at timestamptz,
    CONSTRAINT broker_offsets_lease_check CHECK ((lease_token IS NULL) = (lease_until IS NULL))
);

-- The feed has one row from the start. Its epoch distinguishes cursors of this database from those of another one.
INSERT INTO feed (epoch) VALUES (gen_random_uuid());
