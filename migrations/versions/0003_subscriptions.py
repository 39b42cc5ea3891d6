"""Subscriptions, their deliveries, and how far a broker has come."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade to this revision."""
    op.create_index("events_occurred_at_idx", "events", ["occurred_at"], unique=False, postgresql_using="brin")
    op.create_table(
        "broker_cursors",
        sa.Column("broker", sa.Text(), nullable=False, comment="its URL, without credentials"),
        sa.Column("epoch", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="the broker has confirmed every event up to it"),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True, comment="a code"),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name=op.f("broker_cursors_lease_check")),
        sa.PrimaryKeyConstraint("broker", name=op.f("broker_cursors_pkey")),
    )
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False, comment="name of the API key that made it"),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column(
            "types",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="such as dots.flow.completed, dots.flow.* or *",
        ),
        sa.Column("app", sa.Text(), nullable=True, comment="null: every app"),
        sa.Column("with_compliance", sa.Boolean(), nullable=False, comment="gets what needs compliance:read"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "paused_by", sa.Text(), nullable=True, comment="caller, gone (it answered 410) or failing (for days)"
        ),
        sa.Column(
            "failing_since", sa.DateTime(timezone=True), nullable=True, comment="since when every attempt has failed"
        ),
        sa.Column(
            "opened_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="since when the circuit breaker lets only a probe through",
        ),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True, comment="nothing is sent before"),
        sa.Column(
            "closed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the breaker closed; attempts before do not count for it",
        ),
        sa.CheckConstraint("paused_by IN ('caller', 'gone', 'failing')", name=op.f("subscriptions_paused_by_check")),
        sa.CheckConstraint("(paused_at IS NULL) = (paused_by IS NULL)", name=op.f("subscriptions_paused_at_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("subscriptions_pkey")),
    )
    op.create_table(
        "deliveries",
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="of the event in the feed"),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="failed, since it became pending",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True, comment="when it was delivered or given up"),
        sa.Column("last_error", sa.Text(), nullable=True, comment="a code"),
        sa.CheckConstraint("(state = 'pending') = (settled_at IS NULL)", name=op.f("deliveries_settled_at_check")),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'dead')", name=op.f("deliveries_state_check")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("deliveries_subscription_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("subscription_id", "position", name=op.f("deliveries_pkey")),
    )
    op.create_index(
        "deliveries_dead_idx",
        "deliveries",
        ["subscription_id", "position"],
        unique=False,
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "deliveries_pending_idx",
        "deliveries",
        ["subscription_id", "app", "subject", "position"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("deliveries_position_idx", "deliveries", ["position"], unique=False)
    op.create_table(
        "delivery_lanes",
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when to send its earliest pending delivery",
        ),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name=op.f("delivery_lanes_lease_check")),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("delivery_lanes_subscription_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subscription_id", "app", "subject", name=op.f("delivery_lanes_pkey")),
    )
    op.create_index(
        "delivery_lanes_due_at_idx",
        "delivery_lanes",
        ["subscription_id", "due_at"],
        unique=False,
    )
    op.create_table(
        "subscription_secrets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False, comment="which of ENCRYPTION_KEYS it is encrypted with"),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False, comment="AES-GCM, bound to the subscription"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="signs until then, beside a newer one; null: the newest",
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("subscription_secrets_subscription_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("subscription_secrets_pkey")),
    )
    op.create_index(
        "subscription_secrets_newest_idx",
        "subscription_secrets",
        ["subscription_id"],
        unique=True,
        postgresql_where=sa.text("expires_at IS NULL"),
    )
    op.create_index(
        "subscription_secrets_subscription_id_idx", "subscription_secrets", ["subscription_id"], unique=False
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True, comment="HTTP status; null: no answer"),
        sa.Column("error", sa.Text(), nullable=True, comment="a code; null: it was delivered"),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id", "position"],
            ["deliveries.subscription_id", "deliveries.position"],
            name=op.f("delivery_attempts_subscription_id_position_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("delivery_attempts_pkey")),
    )
    op.create_index(
        "delivery_attempts_delivery_idx", "delivery_attempts", ["subscription_id", "position", "id"], unique=False
    )
    op.create_index("delivery_attempts_latest_idx", "delivery_attempts", ["subscription_id", "id"], unique=False)


def downgrade() -> None:
    """Go back to the revision before."""
    op.drop_index("events_occurred_at_idx", table_name="events", postgresql_using="brin")
    op.drop_index("delivery_attempts_latest_idx", table_name="delivery_attempts")
    op.drop_index("delivery_attempts_delivery_idx", table_name="delivery_attempts")
    op.drop_table("delivery_attempts")
    op.drop_index("subscription_secrets_subscription_id_idx", table_name="subscription_secrets")
    op.drop_index(
        "subscription_secrets_newest_idx",
        table_name="subscription_secrets",
        postgresql_where=sa.text("expires_at IS NULL"),
    )
    op.drop_table("subscription_secrets")
    op.drop_index("delivery_lanes_due_at_idx", table_name="delivery_lanes")
    op.drop_table("delivery_lanes")
    op.drop_index("deliveries_position_idx", table_name="deliveries")
    op.drop_index("deliveries_pending_idx", table_name="deliveries", postgresql_where=sa.text("state = 'pending'"))
    op.drop_index("deliveries_dead_idx", table_name="deliveries", postgresql_where=sa.text("state = 'dead'"))
    op.drop_table("deliveries")
    op.drop_table("subscriptions")
    op.drop_table("broker_cursors")
