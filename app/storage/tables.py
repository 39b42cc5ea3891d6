"""The tables of flows, users, webhooks and events; those of deliveries are in `delivery_tables`.

A test compares both modules with the migrations.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

MOMENT = DateTime(timezone=True)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, comment="the caller; several keys of one name are one caller"),
    Column("secret_hash", LargeBinary, nullable=False, comment="SHA-256 of 32 random bytes"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("revoked_at", MOMENT),
)

apps = Table(
    "apps",
    metadata,
    Column("app", Text, primary_key=True),
    Column("paused_until", MOMENT, comment="no calls until then: Dots refuses the credentials or asked for a pause"),
    Column(
        "pauses", Integer, nullable=False, server_default=text("0"), comment="consecutive refusals of the credentials"
    ),
    Column("tokens", Double, comment="in the budget at tokens_at; null: full"),
    Column("tokens_at", MOMENT),
    Column("listing_due_at", MOMENT, comment="when to page through Dots' list of flows again; null: now"),
    Column("listing_until", MOMENT, comment="until when a process may page through it"),
)

flows = Table(
    "flows",
    metadata,
    Column("ref", Uuid, primary_key=True, comment="our id; sent to Dots as client_ref in the metadata"),
    Column("app", Text, nullable=False),
    Column("id", Text, comment="Dots' id; null until Dots has assigned one"),
    Column("status", Text, nullable=False),
    Column("caller", Text, comment="name of the API key; null: created elsewhere"),
    Column("reference", Text),
    Column("user_id", Text),
    Column("link", Text, comment="secret"),
    Column("metadata", JSONB(none_as_null=True)),
    Column("payout_link_id", Text),
    Column("created_at", MOMENT, nullable=False),
    Column("completed_at", MOMENT),
    Column("refreshed_at", MOMENT),
    Column("last_sequence", Integer, nullable=False, server_default=text("0"), comment="of its events"),
    Column("idempotency_key", Text),
    Column("fingerprint", LargeBinary, comment="of the request, SHA-256"),
    Column("request", JSONB(none_as_null=True), comment="only while creating"),
    Column("attempted_at", MOMENT, comment="when the last POST to Dots began"),
    Column(
        "searches",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="complete listings that did not contain it",
    ),
    Column("error", JSONB(none_as_null=True), comment="why Dots created none; without Dots' texts"),
    Column(
        "waits_for_passed_over",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="every step left was passed over",
    ),
    UniqueConstraint("id", "app"),
    UniqueConstraint("caller", "idempotency_key"),
    CheckConstraint("status IN ('creating', 'open', 'completed', 'failed')", name="status"),
    CheckConstraint("(status IN ('open', 'completed')) = (id IS NOT NULL)", name="id"),
    CheckConstraint("(status = 'completed') = (completed_at IS NOT NULL)", name="completed_at"),
    # Each list of flows is newest first. An index that ends with this order finds a page of it without sorting.
    Index("flows_created_at_idx", "created_at", "ref"),
    Index("flows_app_idx", "app", "created_at", "ref"),
    Index("flows_status_idx", "status", "created_at", "ref"),
    Index("flows_reference_idx", "reference", "created_at", "ref", postgresql_where=text("reference IS NOT NULL")),
    Index("flows_user_id_idx", "user_id", "created_at", "ref", postgresql_where=text("user_id IS NOT NULL")),
    Index("flows_creating_idx", "app", "attempted_at", postgresql_where=text("status = 'creating'")),
    Index("flows_passed_over_idx", "app", postgresql_where=text("waits_for_passed_over")),
)

answers = Table(
    "answers",
    metadata,
    Column("flow_ref", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("answered_at", MOMENT, nullable=False),
    Column("answer", JSON, nullable=False, comment="with the secret link; repeated for the same Idempotency-Key"),
    ForeignKeyConstraint(["flow_ref"], ["flows.ref"], ondelete="CASCADE"),
    Index("answers_answered_at_idx", "answered_at"),
)

flow_steps = Table(
    "flow_steps",
    metadata,
    Column("flow_ref", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("position", Integer, nullable=False, comment="as in Dots' list; unlisted steps come first"),
    Column("completed_at", MOMENT, comment="when we found it completed; Dots gives no time"),
    Column("discovered_by", Text),
    PrimaryKeyConstraint("flow_ref", "name"),
    ForeignKeyConstraint(["flow_ref"], ["flows.ref"], ondelete="CASCADE"),
    CheckConstraint("discovered_by IN ('create', 'webhook', 'sweep', 'refresh')", name="discovered_by"),
    CheckConstraint("(completed_at IS NULL) = (discovered_by IS NULL)", name="completed_at"),
    Index("flow_steps_pending_idx", "name", "flow_ref", postgresql_where=text("completed_at IS NULL")),
)

users = Table(
    "users",
    metadata,
    Column("app", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("status", Text),
    Column("id_verified", Boolean),
    Column("was_id_verified", Boolean, nullable=False, server_default=text("false")),
    Column("check_status", Text),
    Column("has_criminal_activity", Boolean),
    Column("older_check_failed", Boolean, comment="outcome of Dots' check before 2026; null: unknown"),
    Column("verdict", Text, nullable=False, server_default=text("'none'")),
    Column("verdict_count", Integer, nullable=False, server_default=text("0"), comment="verdicts reported so far"),
    Column(
        "reviews_announced",
        ARRAY(Text),
        nullable=False,
        server_default=text("'{}'"),
        comment="Dots' statuses for which a review was announced",
    ),
    Column("check_submitted_at", MOMENT, comment="when a background check was submitted whose verdict is due"),
    Column("id_submitted_at", MOMENT, comment="when an ID was submitted whose verification is due"),
    Column("merged_into", Text, comment="the user that this one became part of"),
    Column("last_sequence", Integer, nullable=False, server_default=text("0"), comment="of its events"),
    Column("first_seen_at", MOMENT, nullable=False),
    Column("refreshed_at", MOMENT),
    PrimaryKeyConstraint("id", "app"),
    CheckConstraint("verdict IN ('none', 'pending', 'needs_review', 'cleared', 'flagged')", name="verdict"),
    Index("users_pending_idx", "app", "check_submitted_at", postgresql_where=text("verdict = 'pending'")),
    Index("users_review_idx", "app", postgresql_where=text("verdict = 'needs_review'")),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("app", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("received_at", MOMENT, nullable=False),
    Column("last_received_at", MOMENT, nullable=False),
    Column("received_count", Integer, nullable=False),
    Column("body", LargeBinary, comment="raw, as signed; null: expired"),
    Column("event", Text),
    Column("kind", Text, comment="flow, user, or null for neither"),
    Column("subject_id", Text),
    Column("raised_gen", BigInteger, comment="handled once the sync row's clean_gen has reached it"),
    PrimaryKeyConstraint("app", "message_id"),
    CheckConstraint("kind IN ('flow', 'user')", name="kind"),
    # Only the subject's index takes its entries in random order; the others grow at one end or a few, which is cheap.
    Index("webhooks_subject_idx", "subject_id", "received_at", postgresql_where=text("subject_id IS NOT NULL")),
    Index("webhooks_event_idx", "event", "received_at", postgresql_where=text("event IS NOT NULL")),
    Index("webhooks_received_at_idx", "received_at"),
    Index("webhooks_body_idx", "received_at", postgresql_where=text("body IS NOT NULL")),
)

user_merges = Table(
    "user_merges",
    metadata,
    Column("app", Text, nullable=False),
    Column("old_user_id", Text, nullable=False),
    Column("new_user_id", Text, nullable=False),
    Column("survivor_id", Text, nullable=False, comment="the last user of the chain; its refresh applies the merge"),
    Column("received_at", MOMENT, nullable=False),
    Column("applied_at", MOMENT, comment="null: the old user's flows and checks have not moved yet"),
    PrimaryKeyConstraint("app", "old_user_id"),
    Index("user_merges_waiting_idx", "app", "survivor_id", postgresql_where=text("applied_at IS NULL")),
)

sync_rows = Table(
    "sync_rows",
    metadata,
    Column("app", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("due_at", MOMENT, comment="null: no refresh is planned"),
    Column("due_by", Text, nullable=False, comment="what made it due last"),
    Column("dirty_gen", BigInteger, nullable=False, comment="raised by every action that makes it due"),
    Column("clean_gen", BigInteger, nullable=False, server_default=text("0"), comment="seen by a refresh"),
    Column("lease_token", Uuid),
    Column("lease_until", MOMENT),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="consecutive failures"),
    Column("failing_since", MOMENT, comment="when the failures began"),
    Column("last_error", Text, comment="a code"),
    Column("dead_at", MOMENT, comment="when it became a dead letter; it stays one until it is due again"),
    PrimaryKeyConstraint("app", "kind", "subject_id"),
    CheckConstraint("kind IN ('flow', 'user')", name="kind"),
    CheckConstraint("due_by IN ('create', 'webhook', 'sweep', 'refresh')", name="due_by"),
    CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name="lease"),
    CheckConstraint("dead_at IS NULL OR due_at IS NULL", name="dead_at"),
    Index(
        "sync_rows_requested_due_idx",
        "app",
        "due_at",
        postgresql_where=text("due_at IS NOT NULL AND due_by <> 'sweep'"),
    ),
    Index("sync_rows_sweep_due_idx", "app", "due_at", postgresql_where=text("due_at IS NOT NULL AND due_by = 'sweep'")),
    Index("sync_rows_dead_at_idx", "app", "dead_at", postgresql_where=text("dead_at IS NOT NULL")),
    # No index may depend on dirty_gen: Postgres would then write to every index of the row for each webhook.
    Index("sync_rows_failing_idx", "app", postgresql_where=text("due_at IS NOT NULL AND attempts > 0")),
)

refreshes = Table(
    "refreshes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("app", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("ended_at", MOMENT, nullable=False),
    Column("due_by", Text, nullable=False),
    Column("outcome", Text, nullable=False, comment="changed, unchanged, or the code of an error"),
    Index("refreshes_subject_idx", "subject_id", "id"),
    Index("refreshes_ended_at_idx", "ended_at"),
)

events = Table(
    "events",
    metadata,
    Column("row_id", BigInteger, Identity(always=True), primary_key=True, comment="order of insertion; internal"),
    Column("id", Uuid, nullable=False),
    Column("app", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("sequence", Integer, nullable=False, comment="1, 2, 3, … within the subject"),
    Column("occurred_at", MOMENT, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("position", BigInteger, comment="in the feed; the sequencer sets it after the commit"),
    UniqueConstraint("id"),
    UniqueConstraint("app", "subject", "sequence"),
    UniqueConstraint("position"),
    Index("events_unsequenced_idx", "row_id", postgresql_where=text("position IS NULL")),
    Index("events_occurred_at_idx", "occurred_at", postgresql_using="brin"),
)

feed = Table(
    "feed",
    metadata,
    Column("is_singleton", Boolean, primary_key=True, server_default=text("true")),
    Column("epoch", Uuid, nullable=False, comment="changes after a restore, so that old cursors are refused"),
    Column(
        "expired_position",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="events after this position are kept",
    ),
    CheckConstraint("is_singleton", name="is_singleton"),
)

compliance_reads = Table(
    "compliance_reads",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("read_at", MOMENT, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("what", Text, nullable=False, comment="a user, or a range of the feed"),
    Index("compliance_reads_read_at_idx", "read_at"),
)
