"""First schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade to this revision."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="the caller; several keys of one name are one caller"),
        sa.Column(
            "secret_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of 32 random bytes; nothing to guess"
        ),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("api_keys_pkey")),
    )
    op.create_table(
        "apps",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column(
            "paused_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="no refresh before; set when Dots refuses the credentials",
        ),
        sa.Column("pauses", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="in a row"),
        sa.PrimaryKeyConstraint("app", name=op.f("apps_pkey")),
    )
    op.create_table(
        "compliance_reads",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False, comment="a user, or a stretch of the feed"),
        sa.PrimaryKeyConstraint("id", name=op.f("compliance_reads_pkey")),
    )
    op.create_index("compliance_reads_read_at_idx", "compliance_reads", ["read_at"], unique=False)
    op.create_table(
        "events",
        sa.Column(
            "row_id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="order of insertion; never shown",
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False, comment="1, 2, 3, … in its subject"),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "position", sa.BigInteger(), nullable=True, comment="in the feed; stamped by the sequencer after commit"
        ),
        sa.PrimaryKeyConstraint("row_id", name=op.f("events_pkey")),
        sa.UniqueConstraint("app", "subject", "sequence", name=op.f("events_app_subject_sequence_key")),
        sa.UniqueConstraint("id", name=op.f("events_id_key")),
        sa.UniqueConstraint("position", name=op.f("events_position_key")),
    )
    op.create_index(
        "events_unsequenced_idx", "events", ["row_id"], unique=False, postgresql_where=sa.text("position IS NULL")
    )
    op.create_table(
        "feed",
        sa.Column("is_the_one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("epoch", sa.Uuid(), nullable=False, comment="another one after a restore: old cursors are refused"),
        sa.Column("last_position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "expired_position", sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment="kept: later ones"
        ),
        sa.CheckConstraint("is_the_one", name=op.f("feed_is_the_one_check")),
        sa.PrimaryKeyConstraint("is_the_one", name=op.f("feed_pkey")),
    )
    op.create_table(
        "flows",
        sa.Column("ref", sa.Uuid(), nullable=False, comment="ours; rides in Dots' metadata as client_ref"),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=True, comment="Dots'; null until Dots has given one"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=True, comment="name of the API key; null when made elsewhere"),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("link", sa.Text(), nullable=True, comment="secret"),
        sa.Column("metadata", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("payout_link_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_sequence", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="of its events"),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True, comment="of the request, SHA-256"),
        sa.Column(
            "request",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="only while creating",
        ),
        sa.Column(
            "attempted_at", sa.DateTime(timezone=True), nullable=True, comment="when the POST to Dots was last begun"
        ),
        sa.Column(
            "answer",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="what the first caller was told: a flow or an error",
        ),
        sa.CheckConstraint(
            "(status = 'completed') = (completed_at IS NOT NULL)", name=op.f("flows_completed_at_check")
        ),
        sa.CheckConstraint("(status IN ('open', 'completed')) = (id IS NOT NULL)", name=op.f("flows_id_check")),
        sa.CheckConstraint("status IN ('creating', 'open', 'completed', 'failed')", name=op.f("flows_status_check")),
        sa.PrimaryKeyConstraint("ref", name=op.f("flows_pkey")),
        sa.UniqueConstraint("app", "id", name=op.f("flows_app_id_key")),
        sa.UniqueConstraint("caller", "idempotency_key", name=op.f("flows_caller_idempotency_key_key")),
    )
    op.create_index("flows_created_at_idx", "flows", ["created_at", "ref"], unique=False)
    op.create_index(
        "flows_reference_idx", "flows", ["reference"], unique=False, postgresql_where=sa.text("reference IS NOT NULL")
    )
    op.create_index(
        "flows_user_id_idx", "flows", ["app", "user_id"], unique=False, postgresql_where=sa.text("user_id IS NOT NULL")
    )
    op.create_table(
        "refreshes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_by", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False, comment="grown, unchanged, or the code of an error"),
        sa.PrimaryKeyConstraint("id", name=op.f("refreshes_pkey")),
    )
    op.create_index("refreshes_ended_at_idx", "refreshes", ["ended_at"], unique=False)
    op.create_index("refreshes_subject_idx", "refreshes", ["app", "kind", "subject_id", "id"], unique=False)
    op.create_table(
        "sync_rows",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True, comment="null: nothing left to look for"),
        sa.Column("due_by", sa.Text(), nullable=False, comment="who made it due last"),
        sa.Column("dirty_gen", sa.BigInteger(), nullable=False, comment="bumped by whoever makes it due"),
        sa.Column(
            "clean_gen", sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment="seen by a refresh"
        ),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="failures in a row"),
        sa.Column("last_error", sa.Text(), nullable=True, comment="a code, never a body"),
        sa.CheckConstraint("due_by IN ('create', 'webhook', 'sweep', 'refresh')", name=op.f("sync_rows_due_by_check")),
        sa.CheckConstraint("kind IN ('flow', 'user')", name=op.f("sync_rows_kind_check")),
        sa.CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name=op.f("sync_rows_lease_check")),
        sa.PrimaryKeyConstraint("app", "kind", "subject_id", name=op.f("sync_rows_pkey")),
    )
    op.create_index(
        "sync_rows_due_at_idx", "sync_rows", ["due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.create_table(
        "users",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("id_verified", sa.Boolean(), nullable=True),
        sa.Column("was_id_verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("check_status", sa.Text(), nullable=True),
        sa.Column("has_criminal_activity", sa.Boolean(), nullable=True),
        sa.Column("verdict", sa.Text(), server_default=sa.text("'none'"), nullable=False),
        sa.Column(
            "settlements", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="verdicts told so far"
        ),
        sa.Column(
            "check_submitted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="a background check was handed in; a verdict is to come",
        ),
        sa.Column(
            "id_submitted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="an ID was handed in; a verification is to come",
        ),
        sa.Column("last_sequence", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="of its events"),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("verdict IN ('none', 'pending', 'cleared', 'flagged')", name=op.f("users_verdict_check")),
        sa.PrimaryKeyConstraint("app", "id", name=op.f("users_pkey")),
    )
    op.create_table(
        "webhooks",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_count", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True, comment="raw, as signed; null once expired"),
        sa.Column("event", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True, comment="what it is about: flow, user, or null for neither"),
        sa.Column("subject_id", sa.Text(), nullable=True),
        sa.Column(
            "raised_gen", sa.BigInteger(), nullable=True, comment="handled once the sync row's clean_gen has reached it"
        ),
        sa.CheckConstraint("kind IN ('flow', 'user')", name=op.f("webhooks_kind_check")),
        sa.PrimaryKeyConstraint("app", "message_id", name=op.f("webhooks_pkey")),
    )
    op.create_index("webhooks_received_at_idx", "webhooks", ["received_at"], unique=False)
    op.create_index(
        "webhooks_subject_idx",
        "webhooks",
        ["app", "kind", "subject_id"],
        unique=False,
        postgresql_where=sa.text("kind IS NOT NULL"),
    )
    op.create_table(
        "flow_steps",
        sa.Column("flow_ref", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "position", sa.Integer(), nullable=False, comment="as listed by Dots; steps it never listed come last"
        ),
        sa.Column(
            "completed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when we found it done; Dots gives no time",
        ),
        sa.Column("discovered_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "discovered_by IN ('create', 'webhook', 'sweep', 'refresh')", name=op.f("flow_steps_discovered_by_check")
        ),
        sa.CheckConstraint(
            "(completed_at IS NULL) = (discovered_by IS NULL)", name=op.f("flow_steps_completed_at_check")
        ),
        sa.ForeignKeyConstraint(["flow_ref"], ["flows.ref"], name=op.f("flow_steps_flow_ref_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("flow_ref", "name", name=op.f("flow_steps_pkey")),
    )
    # The feed has one row from the start; its epoch tells cursors of another database's feed apart.
    op.execute("INSERT INTO feed (epoch) VALUES (gen_random_uuid())")


def downgrade() -> None:
    """Go back to the revision before."""
    op.drop_table("flow_steps")
    op.drop_index("webhooks_subject_idx", table_name="webhooks", postgresql_where=sa.text("kind IS NOT NULL"))
    op.drop_index("webhooks_received_at_idx", table_name="webhooks")
    op.drop_table("webhooks")
    op.drop_table("users")
    op.drop_index("sync_rows_due_at_idx", table_name="sync_rows", postgresql_where=sa.text("due_at IS NOT NULL"))
    op.drop_table("sync_rows")
    op.drop_index("refreshes_subject_idx", table_name="refreshes")
    op.drop_index("refreshes_ended_at_idx", table_name="refreshes")
    op.drop_table("refreshes")
    op.drop_index("flows_user_id_idx", table_name="flows", postgresql_where=sa.text("user_id IS NOT NULL"))
    op.drop_index("flows_reference_idx", table_name="flows", postgresql_where=sa.text("reference IS NOT NULL"))
    op.drop_index("flows_created_at_idx", table_name="flows")
    op.drop_table("flows")
    op.drop_table("feed")
    op.drop_index("events_unsequenced_idx", table_name="events", postgresql_where=sa.text("position IS NULL"))
    op.drop_table("events")
    op.drop_index("compliance_reads_read_at_idx", table_name="compliance_reads")
    op.drop_table("compliance_reads")
    op.drop_table("apps")
    op.drop_table("api_keys")
